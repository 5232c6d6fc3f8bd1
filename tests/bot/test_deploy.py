"""The compose file is judged by Docker Compose itself and by the published schema; no engine is needed."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
SECRETS = (
    "POSTGRES_PASSWORD",
    "IT0_OWNER_PASSWORD",
    "IT0_APP_PASSWORD",
    "VAULT_MASTER_KEY",
    "AUDIT_KEY",
    "JWT_SECRET",
)


def compose(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the real Docker Compose."""
    command = [str(BIN / "docker-compose"), "-f", str(ROOT / "docker-compose.yml"), *words]
    env = {"PATH": os.environ["PATH"], **environment}
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False, cwd=ROOT)


def test_compose_accepts_the_file() -> None:
    found = compose("config", "-q", **dict.fromkeys(SECRETS, "x"))
    assert found.returncode == 0, found.stderr


@pytest.mark.parametrize("missing", SECRETS)
def test_compose_refuses_to_start_without_a_secret(missing: str) -> None:
    given = {name: "x" for name in SECRETS if name != missing}
    found = compose("config", "-q", **given)
    assert found.returncode != 0
    assert missing in found.stderr


def test_settings_of_dotenv_reach_the_bot_and_the_owners_password_does_not(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("ANTHROPIC_API_KEY=sk-1\nTELEGRAM_BOT_TOKEN=1:x\n")
    dotenv = ("--env-file", str(tmp_path / ".env"))
    given = {**dict.fromkeys(SECRETS, "x"), "IT0_OWNER_PASSWORD": "owners"}
    shown = compose(*dotenv, "config", "--format", "json", **given)
    bot = json.loads(shown.stdout)["services"]["bot"]["environment"]
    assert (bot["ANTHROPIC_API_KEY"], bot["TELEGRAM_BOT_TOKEN"]) == ("sk-1", "1:x")
    assert "owners" not in str(bot)
    assert bot.get("IT0_LANGUAGE") is None


def test_compose_file_keeps_the_published_schema() -> None:
    command = [str(BIN / "check-jsonschema"), "--builtin-schema", "vendor.compose-spec", "docker-compose.yml"]
    found = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert found.returncode == 0, found.stdout


def test_image_runs_as_an_ordinary_user_and_is_watched() -> None:
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    assert [line for line in lines if line.startswith("USER ")] == ["USER 10001"]
    assert any(line.startswith("HEALTHCHECK") for line in lines)


def test_every_service_is_watched_or_ends() -> None:
    shown = compose("--profile", "production", "config", "--format", "json", **dict.fromkeys(SECRETS, "x"))
    services = json.loads(shown.stdout)["services"]
    unwatched = [
        name
        for name, service in services.items()
        if "healthcheck" not in service and name not in ("bot", "worker")  # whose check is the image's
    ]
    assert unwatched == []


def test_proxy_with_https_comes_with_the_production_profile_only() -> None:
    plain, production = (
        json.loads(compose(*words, "config", "--format", "json", **dict.fromkeys(SECRETS, "x")).stdout)
        for words in ([], ["--profile", "production"])
    )
    assert set(production["services"]) - set(plain["services"]) == {"proxy"}
    assert production["services"]["worker"]["environment"]["IT0_WORKER_PORT"] == "8080"
