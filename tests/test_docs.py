"""The docs cannot rot: what exists is in them, and what they name exists."""

import re
from pathlib import Path

import click
import pytest

from agent.engines.commands import COMMANDS
from bot.cli import main
from core.settings import Settings

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
ALL = "\n".join(page.read_text() for page in PAGES)
COVERAGE = (ROOT / "docs" / "coverage.md").read_text()


def commands(group: click.Group, before: str = "") -> list[str]:
    """Return every command with the groups before it."""
    found = []
    for name, command in group.commands.items():
        whole = f"{before}{name}"
        found += commands(command, f"{whole} ") if isinstance(command, click.Group) else [whole]
    return found


@pytest.mark.parametrize("command", commands(main))
def test_command_is_in_the_docs(command: str) -> None:
    assert f"it0 {command}" in ALL


@pytest.mark.parametrize("name", list(COMMANDS))
def test_slash_command_is_in_the_docs(name: str) -> None:
    assert f"/{name}" in ALL


@pytest.mark.parametrize("name", sorted(Settings.model_fields))
def test_setting_is_in_the_example(name: str) -> None:
    assert re.search(rf"^{name.upper()}=", (ROOT / ".env.example").read_text(), re.MULTILINE)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    links = re.findall(r"\]\((?!http)([^)#]+)", page.read_text())
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_every_row_of_coverage_names_a_test_that_exists_or_says_that_it_comes_later() -> None:
    rows = [line for line in COVERAGE.splitlines() if line.startswith("| ") and "---" not in line]
    lacking = []
    for row in rows:
        tests = re.findall(r"tests/[\w/]+\.py(?:::\w+)?", row)
        if not tests and "later" not in row and "| promised |" not in row:
            lacking.append(row)
        for test in tests:
            path, _, name = test.partition("::")
            if not (ROOT / path).exists() or (name and f"def {name}" not in (ROOT / path).read_text()):
                lacking.append(f"{test} is not there")
    assert lacking == []


def test_project_stands_alone() -> None:
    for page in PAGES:
        assert "../shared" not in page.read_text()
