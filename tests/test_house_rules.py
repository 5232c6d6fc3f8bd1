"""Rules of the house that no linter knows: who may touch a shell, a child process, or an import."""

import ast
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from subprocess import run
from sys import executable

import pytest

ROOT = Path(__file__).parents[1]
FLOORS = ("bot", "channels", "agent", "voice", "scheduler", "skills", "core")
SHELL_CALLERS = {"agent/gate/running/execution.py": {"run", "stop", "outcome", "leave"}}
LATE_IMPORTS = (
    "agent/risk/__init__.py",
    "agent/risk/crosscheck.py",
    "bot/cli.py",
    "bot/commands/",
    "bot/process/first.py",
    "bot/process/roles.py",
    "bot/process/up.py",
    "bot/process/upgrading.py",
)
"""Commands that start fast import what only some of them need when they need it."""


@cache
def sources() -> Mapping[str, ast.Module]:
    """Return every module of the product by its path."""
    paths = [path for floor in FLOORS for path in sorted((ROOT / floor).rglob("*.py"))]
    return {str(path.relative_to(ROOT)): ast.parse(path.read_text()) for path in paths}


def found(look: type[ast.AST]) -> Iterator[tuple[str, ast.AST]]:
    """Yield every node of a kind with its module's path."""
    for path, tree in sources().items():
        yield from ((path, node) for node in ast.walk(tree) if isinstance(node, look))


def test_a_start_waits_for_no_rules_and_no_vendors_client() -> None:
    late = ("agent.risk.rules", "anthropic", "telegram", "tree_sitter")
    look = f"import sys, bot.wiring.assembly; print([name for name in {late} if name in sys.modules])"
    done = run([executable, "-c", look], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout == "[]\n"


def test_there_is_something_to_look_at() -> None:
    assert len(sources()) > 80


def test_host_keys_are_never_left_unchecked() -> None:
    for path, node in found(ast.keyword):
        assert isinstance(node, ast.keyword)
        unchecked = isinstance(node.value, ast.Constant) and node.value.value is None
        assert not (node.arg == "known_hosts" and unchecked), path


def test_every_ssh_connection_says_which_host_keys_it_takes() -> None:
    connects = 0
    for path, node in found(ast.Call):
        assert isinstance(node, ast.Call)
        if ast.unparse(node.func) in ("asyncssh.connect", "asyncssh.SSHClientConnectionOptions"):
            connects += 1
            arguments = {keyword.arg for keyword in node.keywords}
            assert "known_hosts" in arguments or "options" in arguments or None in arguments, path
    assert connects


@pytest.mark.parametrize("method", ["run", "stop", "outcome", "leave"])
def test_nobody_but_the_executor_uses_a_shell_to_run(method: str) -> None:
    for path, node in found(ast.Attribute):
        assert isinstance(node, ast.Attribute)
        holder = ast.unparse(node.value)
        if holder.rpartition(".")[2] in ("shell", "_shell") and node.attr == method:
            assert method in SHELL_CALLERS.get(path, set()), f"{path}:{node.lineno}"


def test_nobody_but_the_executor_the_fleet_and_the_wiring_knows_a_shell() -> None:
    knowing = {
        path
        for path, node in found(ast.ImportFrom)
        if isinstance(node, ast.ImportFrom)
        and node.module in ("core.ports", "agent.shell.ssh")
        and {alias.name for alias in node.names} & {"Shell", "SshShell"}
    }
    assert knowing == {
        "agent/clusters/shell.py",
        "agent/gate/running/execution.py",
        "agent/fleet/servers.py",
        "bot/wiring/build.py",
        "bot/wiring/ground.py",
    }


def test_children_are_started_where_they_are_kept_and_nowhere_else() -> None:
    for path, node in [*found(ast.Attribute), *found(ast.Name)]:
        name = node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")
        if "subprocess" in name or name in ("system", "popen", "execv", "posix_spawn"):
            assert path.startswith("bot/embedded/") or path == "agent/shell/local.py", path
    for path, node in found(ast.Import):
        assert isinstance(node, ast.Import)
        if "subprocess" in {alias.name for alias in node.names}:
            assert path.startswith("bot/embedded/"), path


def test_nothing_is_printed() -> None:
    calls = [path for path, node in found(ast.Call) if ast.unparse(node.func) == "print"]  # type: ignore[attr-defined]
    assert calls == []


def test_imports_stand_at_the_top_except_in_commands() -> None:
    late = {
        path
        for path, tree in sources().items()
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        and any(isinstance(node, ast.Import | ast.ImportFrom) for node in ast.walk(function))
    }
    assert [path for path in sorted(late) if not path.startswith(LATE_IMPORTS)] == []
