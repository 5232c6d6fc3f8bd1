"""All settings, from the environment, ``.env`` and ``it0.toml`` (in that order of precedence)."""

from pathlib import Path
from tomllib import TOMLDecodeError
from typing import Any

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from core.errors import SetupError


class Settings(BaseSettings):
    """What an operator can set; the name in capitals is the environment's (SPEC 10, "Fixed names")."""

    model_config = SettingsConfigDict(
        env_file=".env", toml_file="it0.toml", extra="ignore", env_ignore_empty=True, frozen=True
    )

    it0_home: Path = Path("~/.it0")
    it0_http_host: str = "127.0.0.1"
    it0_http_port: int = Field(default=8080, ge=0, le=65535)
    public_url: str = ""
    database_url: SecretStr | None = None
    database_admin_url: SecretStr | None = None
    database_pool: int = Field(default=10, ge=2, le=200)
    database_statement_cache: int = Field(default=1024, ge=0)
    redis_url: SecretStr | None = None
    vault_master_key: SecretStr | None = None
    audit_key: SecretStr | None = None
    jwt_secret: SecretStr | None = None
    jwt_expires_in: int = Field(default=3600, ge=60, description="seconds")
    log_level: str = "INFO"
    it0_engine: str = Field(default="", description="empty: claude_api with a key, else direct")
    anthropic_api_key: SecretStr | None = None
    anthropic_base_url: str = "https://api.anthropic.com"
    anthropic_model: str = "claude-sonnet-5-5"
    model_max_tokens: int = Field(default=8192, ge=256, description="of one message of the model")
    turn_steps: int = Field(default=40, ge=1, description="messages of the model in one turn")
    turn_tokens: int = Field(default=2_000_000, ge=1000, description="in and out, of one turn")
    turn_usd: float = Field(default=2.0, gt=0, description="of one turn, where the model's price is known")
    it0_local_server: bool = Field(default=True, description="offer the bot's own machine as a server")
    it0_language: str = "en"

    login_link_minutes: int = Field(default=10, ge=1)
    session_hours: int = Field(default=12, ge=1)
    pairing_code_minutes: int = Field(default=60, ge=1)
    inbox_keep_hours: int = Field(default=48, ge=25)
    audit_head_minutes: int = Field(default=60, ge=1)
    command_timeout_s: int = Field(default=60, ge=1)
    command_timeout_max_s: int = Field(default=3600, ge=1)
    connect_timeout_s: float = Field(default=10, gt=0)
    output_cap_bytes: int = Field(default=65536, ge=1024)
    fan_out: int = Field(default=50, ge=1)
    turn_timeout_s: int = Field(default=4000, ge=10)
    turns_at_once: int = Field(default=200, ge=1)
    stop_grace_s: float = Field(default=20, ge=0)
    heartbeat_s: float = Field(default=2, gt=0)
    dead_after_s: float = Field(default=10, gt=0)
    sweep_s: float = Field(default=1, gt=0)
    websocket_opens_per_minute: int = Field(default=30, ge=1)
    console_message_bytes: int = Field(default=65536, ge=1024)

    @property
    def home(self) -> Path:
        """Return IT0_HOME as an absolute path."""
        return self.it0_home.expanduser().resolve()

    @property
    def url(self) -> str:
        """Return the console's address as people reach it, without a slash at the end."""
        return (self.public_url or f"http://{self.it0_http_host}:{self.it0_http_port}").rstrip("/")

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
        return init_settings, env_settings, dotenv_settings, TomlConfigSettingsSource(settings_cls)


def load_settings(**overrides: Any) -> Settings:
    """Return the settings in force.

    Raises SetupError naming the setting that is wrong, never its value.
    """
    try:
        return Settings(**overrides)
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, e['loc'])).upper()}: {e['msg']}" for e in error.errors())
        raise SetupError("setup.bad_settings", wrong=wrong) from None
    except TOMLDecodeError as error:
        raise SetupError("setup.bad_settings", wrong=f"it0.toml: {error}") from None
    except UnicodeDecodeError:
        raise SetupError("setup.bad_settings", wrong="it0.toml or .env: it is not UTF-8") from None
    except OSError as error:
        wrong = f"{error.filename}: {error.strerror}"
        raise SetupError("setup.bad_settings", wrong=wrong) from None
