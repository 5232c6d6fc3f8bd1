"""All settings, from the environment, ``.env`` and ``it0.toml`` (in that order of precedence)."""

import os
import re
from collections.abc import Mapping
from functools import reduce
from pathlib import Path
from tomllib import TOMLDecodeError
from typing import Annotated, Any, Literal
from urllib.parse import unquote, urlsplit

from dotenv.parser import parse_stream
from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError, field_validator
from pydantic_core import PydanticCustomError
from pydantic_core.core_schema import ValidationInfo
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from core.errors import SetupError
from core.texts import Language, Say, as_language, say

Level = Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"]

SHORTEST_SECRET = 8
"""A shorter password in an address is left as it is: it may be a word that is used everywhere."""


def _secrets_in(value: str) -> list[str]:
    """Return what of a setting opens something."""
    if "://" not in value:
        return [part.strip() for part in value.split(",")]
    try:
        parts = urlsplit(value)
    except ValueError:  # no address after all: then nothing is known to be harmless in it
        return [value]
    password = unquote(parts.password or "")
    return [password] if password != parts.username else []


def _upper(value: Any) -> Any:
    return value.upper() if isinstance(value, str) else value


def _web_address(value: str) -> str:
    """Return ``value`` if links can be made from it."""
    try:
        parts = urlsplit(value)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if value and (not good or re.search(r"[\s?#]", value)):
        raise PydanticCustomError("web_address", "no web address")
    return value


def _origins(value: str) -> str:
    """Return ``value`` if each of its origins is exact: a scheme and a host, no path and no wildcard."""
    for origin in filter(None, map(str.strip, value.split(","))):
        if not re.fullmatch(r"https?://[A-Za-z0-9.\[\]:-]+", origin):
            raise PydanticCustomError("origins", "no origins")
    return value


class _Toml(TomlConfigSettingsSource):
    """The TOML file. It is it0's alone, so a name in it that is none of the settings is a mistake."""

    def __call__(self) -> dict[str, Any]:
        unknown = sorted(set(self.toml_data) - set(self.settings_cls.model_fields))
        if unknown:
            raise _refused(say("setting.unknown", names=", ".join(unknown)))
        return super().__call__()


class _Sourced(BaseSettings):
    """Where settings come from; the TOML file counts least."""

    model_config = SettingsConfigDict(
        env_file=".env", toml_file="it0.toml", extra="ignore", env_ignore_empty=True, frozen=True
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Put the TOML file last."""
        return init_settings, env_settings, dotenv_settings, cls._toml(settings_cls)

    @staticmethod
    def _toml(settings: type[BaseSettings]) -> PydanticBaseSettingsSource:
        return TomlConfigSettingsSource(settings)


class _LanguageAlone(_Sourced):
    """The language, to say in it what is wrong with the rest."""

    it0_language: str = "en"


class Settings(_Sourced):
    """What an operator can set; the name in capitals is the environment's (SPEC 10, "Fixed names")."""

    it0_home: Path = Path("~/.it0")
    it0_http_host: str = "127.0.0.1"
    it0_http_port: int = Field(default=8080, ge=0, le=65535)
    it0_worker_port: int = Field(
        default=0, ge=0, le=65535, description="where `it0 worker` tells of its health; 0: nowhere"
    )
    public_url: Annotated[str, AfterValidator(_web_address)] = ""
    database_url: SecretStr | None = None
    database_admin_url: SecretStr | None = None
    database_pool: int = Field(default=10, ge=2, le=200)
    database_statement_cache: int = Field(default=1024, ge=0)
    redis_url: SecretStr | None = None
    vault_master_key: SecretStr | None = None
    audit_key: SecretStr | None = None
    jwt_secret: SecretStr | None = None
    jwt_expires_in: int = Field(default=3600, ge=60, description="seconds")
    api_requests_per_minute: int = Field(default=120, ge=1, description="of a tenant, by keys and tokens")
    cors_origins: Annotated[str, AfterValidator(_origins)] = Field(
        default="", description="of whose pages a browser may call the JSON API, with commas between"
    )
    log_level: Annotated[Level, BeforeValidator(_upper)] = "INFO"
    it0_engine: str = Field(default="", description="empty: claude_api with a key, else direct")
    anthropic_api_key: SecretStr | None = None
    anthropic_base_url: SecretStr = SecretStr("https://api.anthropic.com")
    anthropic_model: str = "claude-sonnet-5-5"
    telegram_bot_token: SecretStr | None = Field(default=None, description="of the default tenant's bot")
    telegram_api_url: SecretStr = SecretStr("https://api.telegram.org")
    telegram_webhook: bool = Field(
        default=False, description="Telegram calls PUBLIC_URL instead of being asked"
    )
    attachment_bytes: int = Field(
        default=49_152,
        ge=0,
        le=60_000,
        description="of a text file that is sent to it0; 0: files are not read",
    )
    send_file_bytes: int = Field(
        default=10_485_760,
        ge=0,
        le=50_000_000,
        description="of a file that is sent from a server to a chat; 0: none is sent",
    )
    model_max_tokens: int = Field(default=8192, ge=256, description="of one message of the model")
    model_silence_s: float = Field(
        default=90, gt=0, description="a stream that says nothing for so long, not even a ping, is dead"
    )
    model_patience_s: float = Field(
        default=120, ge=0, description="at most, over all pauses of one request that the API cannot answer"
    )
    turn_steps: int = Field(default=40, ge=1, description="messages of the model in one turn")
    turn_tokens: int = Field(default=2_000_000, ge=1000, description="in and out, of one turn")
    turn_usd: float = Field(default=2.0, gt=0, description="of one turn, where the model's price is known")
    it0_local_server: bool = Field(default=True, description="offer the bot's own machine as a server")
    it0_language: Language = "en"

    login_link_minutes: int = Field(default=10, ge=1)
    session_hours: int = Field(default=12, ge=1)
    session_check_s: float = Field(
        default=5.0,
        gt=0,
        description="a page whose person was let out is closed by then, without Redis too",
    )
    credential_warning_days: int = Field(default=14, ge=1, description="before a credential's end")
    credential_last_warning_days: int = Field(default=3, ge=1)
    conversation_silence_hours: int = Field(
        default=12, ge=0, description="then a chat's next message begins another conversation; 0: never"
    )
    pairing_code_minutes: int = Field(default=60, ge=1)
    step_up_minutes: int = Field(
        default=5, ge=1, le=60, description="a second factor that was proven holds so long"
    )
    inbox_keep_hours: int = Field(default=48, ge=25)
    tenant_keep_days: int = Field(
        default=30, ge=7, description="of a deleted tenant's data; the database keeps it 7 in any case"
    )
    audit_head_minutes: int = Field(default=60, ge=1)
    command_timeout_s: int = Field(default=60, ge=1)
    command_timeout_approved_s: int = Field(default=600, ge=1)
    command_timeout_max_s: int = Field(default=3600, ge=1)
    connect_timeout_s: float = Field(default=10, gt=0)
    output_cap_bytes: int = Field(default=65536, ge=1024)
    fan_out: int = Field(default=50, ge=1)
    turn_timeout_s: int = Field(default=4000, ge=10)
    turns_at_once: int = Field(default=200, ge=1)
    turns_per_tenant: int = Field(default=100, ge=1, description="of a process's turns at once")
    turns_per_user: int = Field(default=30, ge=1, description="of a tenant's turns at once")
    acts_at_once: int = Field(default=200, ge=1, description="approved commands, which never wait for turns")
    stop_grace_s: float = Field(default=20, ge=0)
    heartbeat_s: float = Field(default=2, gt=0)
    dead_after_s: float = Field(default=10, gt=0)
    sweep_s: float = Field(default=1, gt=0)
    websocket_opens_per_minute: int = Field(default=30, ge=1)
    websockets_per_user: int = Field(default=20, ge=1)
    console_messages_per_minute: int = Field(default=240, ge=1)
    console_message_bytes: int = Field(default=65536, ge=1024)

    @field_validator("*", mode="before")
    @classmethod
    def _a_truth_is_no_number(cls, value: Any, info: ValidationInfo) -> Any:
        """Refuse ``true`` for a number, as TOML can say it: it would count as 1."""
        if isinstance(value, bool) and cls.model_fields[info.field_name or ""].annotation is not bool:
            raise PydanticCustomError("not_a_truth", "true or false")
        return value

    @property
    def secrets(self) -> list[bytes]:
        """Return every secret in the settings: keys and tokens whole, of an address its password."""
        found = [value.get_secret_value() for _, value in self if isinstance(value, SecretStr)]
        inner = [part for each in found for part in _secrets_in(each)]
        return [each.encode() for each in inner if len(each) >= SHORTEST_SECRET]

    @property
    def home(self) -> Path:
        """Return IT0_HOME as an absolute path."""
        return self.it0_home.expanduser().resolve()

    @property
    def url(self) -> str:
        """Return the console's address as people reach it, without a slash at the end."""
        return (self.public_url or f"http://{self.it0_http_host}:{self.it0_http_port}").rstrip("/")

    @property
    def origins(self) -> list[str]:
        """Return CORS_ORIGINS one by one."""
        return [each.strip() for each in self.cors_origins.split(",") if each.strip()]

    @staticmethod
    def _toml(settings: type[BaseSettings]) -> PydanticBaseSettingsSource:
        return _Toml(settings)


def _check_dotenv(path: Path) -> None:
    """Raise SetupError for a line that says nothing: its setting would silently keep its default."""
    if not path.is_file():
        return
    with path.open(encoding="utf-8") as stream:
        wrong_ones = [each.original for each in parse_stream(stream) if each.error]
    if wrong_ones:
        # Empty lines before it belong to a statement.
        empty = [each.string[: -len(each.string.lstrip())].count("\n") for each in wrong_ones]
        lines = ", ".join(str(each.line + more) for each, more in zip(wrong_ones, empty, strict=True))
        raise _refused(say("setting.dotenv_line", lines=lines))


def load_settings(**overrides: Any) -> Settings:
    """Return the settings in force.

    Raises SetupError naming the setting that is wrong, never its value.
    """
    try:
        _check_dotenv(Path(".env"))
        return Settings(**overrides)
    except ValidationError as error:
        wrong = [
            say(
                "setting.of", name=".".join(map(str, e["loc"])).upper(), why=_why(e["type"], e.get("ctx", {}))
            )
            for e in error.errors()
        ]
        raise _refused(*wrong) from None
    except TOMLDecodeError as error:
        raise _refused(say("setting.bad_toml", reason=str(error))) from None
    except UnicodeDecodeError:
        raise _refused(say("setting.not_utf8")) from None
    except OSError as error:
        raise _refused(say("setting.unreadable", path=error.filename, reason=error.strerror)) from None


def language_alone() -> Language:
    """Return the language that is set though other settings are wrong, English where none can be told."""
    try:
        return as_language(_LanguageAlone().it0_language)
    except (ValueError, OSError):  # no TOML, no UTF-8, not to be read
        return as_language(os.environ.get("IT0_LANGUAGE"))


def _refused(*wrong: Say) -> SetupError:
    return SetupError("setup.bad_settings", wrong=reduce(_both, wrong))


def _both(one: Say, other: Say) -> Say:
    return say("setting.both", one=one, other=other)


def _why(kind: str, context: Mapping[str, Any]) -> Say:
    """Return in words what pydantic finds wrong. kind, context: its error's; the value never stands there."""
    match kind:
        case "greater_than_equal":
            return say("setting.too_small", least=context["ge"])
        case "greater_than":
            return say("setting.not_above", bound=f"{context['gt']:g}")
        case "less_than_equal":
            return say("setting.too_large", most=context["le"])
        case "literal_error":
            return say("setting.not_one_of", allowed=", ".join(re.findall("'([^']*)'", context["expected"])))
        case "web_address" | "origins" | "not_a_truth":
            return say(f"setting.{kind}")
    for beginning in ("int", "float", "bool"):
        if kind.startswith(f"{beginning}_"):
            return say(f"setting.no_{beginning}")
    return say("setting.no_text")
