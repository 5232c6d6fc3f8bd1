"""Settings: where they come from, which source wins, and what is said of a wrong one."""

import re
from pathlib import Path

import pytest
from pydantic import SecretStr

from bot.texts.catalogue import load_catalogue
from core.errors import SetupError
from core.settings import Settings, language_alone, load_settings

ROOT = Path(__file__).parents[2]
NAMES = [name.upper() for name in Settings.model_fields]


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty folder, with no setting in the environment."""
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def words(error: SetupError) -> list[str]:
    """Return an error's sentence in English and in Chinese."""
    texts = load_catalogue()
    return [texts(error.say, language) for language in ("en", "zh")]


def test_without_any_source_the_defaults_hold() -> None:
    settings = load_settings()
    assert (settings.it0_http_host, settings.it0_http_port) == ("127.0.0.1", 8080)
    assert settings.home == Path("~/.it0").expanduser().resolve()
    assert settings.url == "http://127.0.0.1:8080"
    assert settings.vault_master_key is None


def test_environment_beats_dotenv_and_dotenv_beats_toml(
    nowhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (nowhere / "it0.toml").write_text("fan_out = 1\nsession_hours = 1\nit0_language = 'zh'\n")
    assert load_settings().fan_out == 1
    (nowhere / ".env").write_text("FAN_OUT=2\nSESSION_HOURS=2\n")
    assert (load_settings().fan_out, load_settings().session_hours) == (2, 2)
    monkeypatch.setenv("FAN_OUT", "3")
    settings = load_settings()
    assert (settings.fan_out, settings.session_hours, settings.it0_language) == (3, 2, "zh")
    assert load_settings(fan_out=4).fan_out == 4


def test_empty_variable_is_no_setting(nowhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (nowhere / ".env").write_text("DATABASE_URL=\nFAN_OUT=\n")
    monkeypatch.setenv("REDIS_URL", "")
    settings = load_settings()
    assert (settings.database_url, settings.redis_url, settings.fan_out) == (None, None, 50)


def test_names_count_in_any_case_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("fan_out", "7")
    assert load_settings().fan_out == 7


def test_other_variables_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IT0_UNKNOWN", "x")
    load_settings()


WRONG = {
    "IT0_HTTP_PORT": ["99999", "-1", "eighty", "80 80"],
    "DATABASE_POOL": ["1", "many", "9999999"],
    "JWT_EXPIRES_IN": ["59", "1h"],
    "IT0_LOCAL_SERVER": ["perhaps"],
    "CONNECT_TIMEOUT_S": ["-3.75", "soon"],
    "OUTPUT_CAP_BYTES": ["1023"],
    "SWEEP_S": ["-0.25"],
    "INBOX_KEEP_HOURS": ["24"],
    "IT0_LANGUAGE": ["fr", "EN", "english"],
    "LOG_LEVEL": ["foo", "10", "WARN"],
    "PUBLIC_URL": ["it0.example", "ftp://x", "https:///x", "https://[x", "https://x:0", "https://x:99999",
                   "https://it0.example/?a=b", "https://it0.example/#x", "https://it0 .example"],
    "WEBSOCKETS_PER_USER": ["0"],
}  # fmt: skip


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, all_ in WRONG.items() for value in all_])
def test_wrong_value_is_refused_by_the_settings_name_and_not_shown(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SetupError) as caught:
        load_settings()
    error = caught.value
    assert error.say.key == "setup.bad_settings"
    for wrong in words(error):
        assert name in wrong
        assert not re.search(rf"(?<!\w){re.escape(value)}(?!\w)", wrong)
    assert error.__cause__ is None
    assert error.__suppress_context__


@pytest.mark.parametrize(
    ("name", "allowed"),
    [
        ("IT0_LANGUAGE", "en, zh"),
        ("LOG_LEVEL", "DEBUG, INFO, WARNING"),
        ("PUBLIC_URL", "https://"),
        ("CORS_ORIGINS", "https://ops.example.com"),
        ("IT0_HTTP_PORT", "it takes a whole number"),
        ("STOP_GRACE_S", "it takes a number"),
        ("TELEGRAM_WEBHOOK", "it takes true or false"),
    ],
)
def test_what_is_allowed_stands_beside_what_is_wrong(
    monkeypatch: pytest.MonkeyPatch, name: str, allowed: str
) -> None:
    monkeypatch.setenv(name, "nonsense")
    with pytest.raises(SetupError) as caught:
        load_settings()
    assert allowed in words(caught.value)[0]


@pytest.mark.parametrize(
    ("name", "value", "bound"),
    [
        ("IT0_HTTP_PORT", "99999", "65535"),
        ("DATABASE_POOL", "1", "2 or more"),
        ("SWEEP_S", "0", "more than 0."),
    ],
)
def test_bound_stands_beside_what_is_beyond_it(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, bound: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SetupError) as caught:
        load_settings()
    assert bound in words(caught.value)[0]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("value", ["{}", "[-1]", "1979-05-27"])
def test_no_english_of_a_library_stands_in_the_chinese(nowhere: Path, name: str, value: str) -> None:
    (nowhere / "it0.toml").write_text(f"{name.lower()} = {value}")
    with pytest.raises(SetupError) as caught:
        load_settings()
    chinese = load_catalogue()(caught.value.say, "zh")
    assert re.search(f"{name}：(应为|不得|必须|只能|不接受)", chinese)
    assert not re.search("(?i)input|should|valid ", chinese)


def test_language_is_known_though_other_settings_are_wrong(
    nowhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (nowhere / "it0.toml").write_text("fan_uot = 3\nit0_language = 'zh'")
    assert language_alone() == "zh"
    (nowhere / "it0.toml").write_text("it0_language = ")
    assert language_alone() == "en"
    monkeypatch.setenv("IT0_LANGUAGE", "zh")
    assert language_alone() == "zh"
    monkeypatch.setenv("IT0_LANGUAGE", "klingon")
    assert language_alone() == "en"


@pytest.mark.parametrize("level", ["debug", "Info", "WARNING"])
def test_log_level_counts_in_any_case(monkeypatch: pytest.MonkeyPatch, level: str) -> None:
    monkeypatch.setenv("LOG_LEVEL", level)
    assert load_settings().log_level == level.upper()


@pytest.mark.parametrize("url", ["https://it0.example", "http://10.0.0.5:8080/", "https://x.example/it0"])
def test_public_url_is_a_web_address(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("PUBLIC_URL", url)
    assert load_settings().url == url.rstrip("/")


TOML = {
    "fan_uot = 3": "fan_uot",
    "FAN_OUT = 3": "FAN_OUT",
    "[it0]\nlanguage = 'zh'": "it0",
    "fan_out = true": "FAN_OUT",
    "fan_out = [3]": "FAN_OUT",
    "log_level = 5": "LOG_LEVEL",
    "it0_language = ['zh']": "IT0_LANGUAGE",
    "public_url = 5": "PUBLIC_URL",
    "it0_http_host = true": "IT0_HTTP_HOST",
}


@pytest.mark.parametrize(("line", "named"), TOML.items())
def test_name_or_type_that_means_nothing_in_the_toml_file_is_refused(
    nowhere: Path, line: str, named: str
) -> None:
    (nowhere / "it0.toml").write_text(line)
    with pytest.raises(SetupError) as caught:
        load_settings()
    assert caught.value.say.key == "setup.bad_settings"
    assert all(named in wrong for wrong in words(caught.value))


def test_every_wrong_setting_is_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAN_OUT", "0")
    monkeypatch.setenv("SWEEP_S", "never")
    with pytest.raises(SetupError) as caught:
        load_settings()
    assert {"FAN_OUT", "SWEEP_S"} <= set(re.findall(r"[A-Z_0-9]{4,}", words(caught.value)[0]))


@pytest.mark.parametrize("name", ["it0.toml", ".env"])
@pytest.mark.parametrize("line", ["FAN_OUT = none-of-your-business", "fan_out = 'none-of-your-business'"])
def test_wrong_value_in_a_file_is_refused_in_the_same_way(nowhere: Path, name: str, line: str) -> None:
    (nowhere / name).write_text(line)
    with pytest.raises(SetupError) as caught:
        load_settings()
    assert caught.value.say.key == "setup.bad_settings"
    assert "none-of-your-business" not in str(caught.value)


@pytest.mark.parametrize("text", ["fan_out = = 3", "= geheim", "vault_master_key = geheim", "\udcff\udcfe"])
def test_file_that_is_no_toml_is_said_to_be_none(nowhere: Path, text: str) -> None:
    (nowhere / "it0.toml").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(SetupError) as caught:
        load_settings()
    assert all("it0.toml" in wrong for wrong in words(caught.value))
    assert "geheim" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "line"), [("STOP_GRACE_S=7\n\nthis is nothing\n", "3"), ('A=1\nPUBLIC_URL="http://a\n', "2")]
)
def test_line_of_dotenv_that_says_nothing_is_refused_with_its_number(
    nowhere: Path, text: str, line: str
) -> None:
    (nowhere / ".env").write_text(text)
    with pytest.raises(SetupError) as caught:
        load_settings()
    assert f".env, line {line}:" in words(caught.value)[0]


@pytest.mark.parametrize(
    ("dotenv", "toml"),
    [
        ("ANTHROPIC_MODEL='a b'", "anthropic_model = 'a b'"),
        ('ANTHROPIC_MODEL="a b" # which', 'anthropic_model = "a b" # which'),
        ("STOP_GRACE_S=7.5", "stop_grace_s = 7.5"),
        ("IT0_LOCAL_SERVER=false", "it0_local_server = false"),
        ("export IT0_LANGUAGE=zh", 'it0_language = "zh"'),
    ],
)
def test_dotenv_and_toml_are_read_alike(nowhere: Path, dotenv: str, toml: str) -> None:
    (nowhere / ".env").write_text(dotenv + "\n")
    by_dotenv = load_settings()
    (nowhere / ".env").unlink()
    (nowhere / "it0.toml").write_text(toml + "\n")
    by_toml = load_settings()
    assert by_toml == by_dotenv
    assert by_toml.model_fields_set == by_dotenv.model_fields_set != set()


def test_secrets_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    secrets = [name for name, field in Settings.model_fields.items() if "SecretStr" in str(field.annotation)]
    for name in secrets:
        monkeypatch.setenv(name.upper(), f"geheim-{name}")
    settings = load_settings()
    assert "geheim" not in repr(settings) + str(settings) + settings.model_dump_json()
    for name in secrets:
        value = getattr(settings, name)
        assert isinstance(value, SecretStr)
        assert value.get_secret_value() == f"geheim-{name}"


@pytest.mark.parametrize("name", [name for name in NAMES if re.search("KEY|SECRET|_URL", name)])
def test_what_is_secret_or_may_hold_a_password_is_kept_as_a_secret(name: str) -> None:
    assert name == "PUBLIC_URL" or "SecretStr" in str(Settings.model_fields[name.lower()].annotation)


def test_url_has_no_slash_at_its_end_and_is_the_public_one_if_set() -> None:
    assert load_settings(public_url="https://it0.example/").url == "https://it0.example"
    assert load_settings(it0_http_port=9000).url == "http://127.0.0.1:9000"


def test_home_is_absolute(nowhere: Path) -> None:
    assert load_settings(it0_home=Path("data")).home == nowhere / "data"


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        load_settings().fan_out = 1


def example() -> dict[str, str]:
    """Return what .env.example sets."""
    lines = (ROOT / ".env.example").read_text("utf-8").splitlines()
    found = [re.fullmatch(r"#? ?([A-Z][A-Z0-9_]+)=(.*)", line) for line in lines]
    return {match[1]: match[2] for match in found if match}


def test_example_lists_every_setting_once_and_no_other() -> None:
    text = (ROOT / ".env.example").read_text("utf-8")
    assert sorted(example()) == sorted(NAMES)
    for name in NAMES:
        assert len(re.findall(rf"^#? ?{name}=", text, re.MULTILINE)) == 1


def test_example_shows_the_defaults_and_can_be_used_as_it_is(nowhere: Path) -> None:
    defaults = load_settings()
    (nowhere / ".env").write_text((ROOT / ".env.example").read_text("utf-8"))
    assert load_settings() == defaults


def test_example_holds_no_secret() -> None:
    for name, value in example().items():
        assert not value or not re.search("KEY|SECRET|DATABASE_URL|REDIS_URL", name)
