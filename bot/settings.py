"""Every setting, from the environment and from `.env`. A provider's own are `<PROVIDER>_<FIELD>`."""

import logging
import os
import re
from collections.abc import Mapping
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import (
    AfterValidator,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from bot.quota.allowances import MOST_CREDITS, Allowance, WindowKind
from bot.quota.limits import Limits, Period, Scope
from bot.settings_errors import any_of, sentences
from providers import discover
from providers.base import Dollars, ProviderConfig, alone, micros
from providers.hosts import hosts_of, is_exposed, named_host

log = logging.getLogger(__name__)

CommaSeparated = Annotated[tuple[str, ...], NoDecode]
"""A list that people write as `one, two`."""


RENAMED = {"fall_over": "fallback"}
"""Old names of settings, which are read until the next version."""
_ID = re.compile(r"[0-9]{1,19}")


class Settings(BaseSettings):
    """What an operator can decide. Raises ValidationError; `complaints` turns it into sentences."""

    model_config = SettingsConfigDict(
        env_file=".env",
        env_file_encoding="utf-8",
        env_ignore_empty=True,
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
        # A token read from a file ends in a newline.
        str_strip_whitespace=True,
    )

    providers: Annotated[Mapping[str, ProviderConfig], NoDecode] = Field(default_factory=dict, exclude=True)
    """The settings of every provider by its name, whether enabled or not."""

    discord_token: Annotated[SecretStr, AfterValidator(partial(alone, name="token"))] | None = Field(
        default=None, examples=["MTIzNDU2.Gabc12.dEf345"]
    )
    data_dir: Path = Path("data")
    """Database, the pictures of open jobs, and videos."""
    database_url: str = Field(default="", repr=False, examples=["postgresql://bot:password@localhost/bot"])
    """`sqlite:///path` or `postgresql://...` with its password; empty is a SQLite file in the data folder."""
    takeover_seconds: float = Field(default=60, ge=0)
    """How long a start waits for another process that has the data folder or the database to end."""
    keep_days: float = Field(default=3, ge=0, le=3650)
    """How long a video stays on disk after its job is over, so that it can be sent again."""

    default_provider: str | None = Field(default=None, examples=["venice"])
    default_allowance: int = Field(default=5, ge=0)
    """Credits for each member in each window."""
    default_window: WindowKind = WindowKind.DAY
    member_jobs: int = Field(default=2, ge=1)
    """How many jobs of one member may be under way at once; more of them wait in the queue."""
    server_jobs: int = Field(default=20, ge=1)
    """The same for one server."""

    servers: CommaSeparated = Field(default=(), examples=["123456789012345678"])
    """The ids of the servers that the bot works in; empty is all."""
    max_allowance: int | None = Field(default=None, ge=0, le=MOST_CREDITS)
    """Credits that a member may use in a day, over all servers, whatever moderators decide."""
    max_video_price: Dollars | None = None
    """US dollars for one video, as the budgets."""
    bot_hourly_budget: Dollars | None = None
    bot_daily_budget: Dollars | None = None
    bot_monthly_budget: Dollars | None = None
    server_daily_budget: Dollars | None = None
    server_monthly_budget: Dollars | None = None

    max_image_mb: int = Field(default=25, ge=1)
    max_video_mb: int = Field(default=200, ge=1)
    upload_limit_mb: int = Field(default=20, ge=1)
    """What Discord takes from a bot in a server without boosts."""
    encode_jobs: int = Field(default=1, ge=1)
    """How many videos are made smaller at once, each on a core of its own."""
    card_seconds: float = Field(default=5, gt=0)
    """The shortest time between two edits of one status card."""
    fallback: bool = True
    """Whether a job whose provider cannot take it may go to another, where the member named none."""
    blocked_words: CommaSeparated = ()
    trusted_hosts: CommaSeparated = Field(default=(), examples=["openai_videos@storage.lan:9000"])
    """Hosts that vendors may name in links although they are private or plain http: `provider@host:port`."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"

    @property
    def database(self) -> str:
        return self.database_url or f"sqlite:///{self.data_dir / 'stillmotion.db'}"

    @property
    def allowance(self) -> Allowance:
        return Allowance(amount=self.default_allowance, kind=self.default_window)

    @property
    def limits(self) -> Limits:
        """What no moderator can lift."""
        budgets = {
            (Scope.BOT, Period.HOUR): self.bot_hourly_budget,
            (Scope.BOT, Period.DAY): self.bot_daily_budget,
            (Scope.BOT, Period.MONTH): self.bot_monthly_budget,
            (Scope.SERVER, Period.DAY): self.server_daily_budget,
            (Scope.SERVER, Period.MONTH): self.server_monthly_budget,
        }
        return Limits(
            allowance=self.max_allowance,
            member_jobs=self.member_jobs,
            server_jobs=self.server_jobs,
            video_micros=None if self.max_video_price is None else micros(self.max_video_price),
            budgets={key: micros(limit) for key, limit in budgets.items() if limit is not None},
            servers=frozenset(map(int, self.servers)),
        )

    @property
    def hosts(self) -> frozenset[str]:
        """Hosts that may be private: the trusted ones and those the enabled providers are configured with."""
        enabled = (config for config in self.providers.values() if config.enabled)
        named = (entry.rpartition("@")[2] for entry in self.trusted_hosts)
        return frozenset(named).union(*map(hosts_of, enabled))

    @property
    def exposed(self) -> list[str]:
        """The enabled providers whose keys everybody on the way can read."""
        named = frozenset(entry.rpartition("@")[2] for entry in self.trusted_hosts)
        return [
            name for name, config in self.providers.items() if config.enabled and is_exposed(config, named)
        ]

    @model_validator(mode="before")
    @classmethod
    def _gather_providers(cls, values: dict[str, Any]) -> dict[str, Any]:
        """Set the variables of providers apart from our own."""
        known = provider_fields()
        own = {name: value for name, value in values.items() if name not in known}
        for old, new in RENAMED.items():
            if old in own:
                log.warning(
                    "%s is now called %s. The next version will not read the old name.",
                    old.upper(),
                    new.upper(),
                )
                own.setdefault(new, own.pop(old))
        return {**own, "providers": {name: value for name, value in values.items() if name in known}}

    @field_validator("providers", mode="before")
    @classmethod
    def _configure_providers(cls, flat: dict[str, Any]) -> dict[str, ProviderConfig]:
        """Turn the flat names of the environment into one settings object for each provider."""
        configs: dict[str, ProviderConfig] = {}
        wrong: list[str] = []
        for name in discover():
            try:
                configs[name] = _configure(name, flat)
            except ValidationError as error:
                wrong += sentences(error, discover()[name].Config, f"{name}_")
        if wrong:
            raise ValueError("\n".join(wrong))
        return configs

    @field_validator("*", mode="before")
    @classmethod
    def _read(cls, value: object, info: ValidationInfo) -> object:
        return _as_meant(value, cls.model_fields[info.field_name or ""].annotation)

    @field_validator("servers")
    @classmethod
    def _ids(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not all(_ID.fullmatch(item) for item in value):
            raise ValueError("should be ids of servers, with commas between them")
        return value

    @field_validator("trusted_hosts")
    @classmethod
    def _are_hosts(cls, entries: tuple[str, ...]) -> tuple[str, ...]:
        parts = [entry.rpartition("@") for entry in entries]
        if any(provider.lower() not in {"", *discover()} for provider, _, _ in parts):
            raise ValueError(f"should have one of {any_of(discover())} before an @")
        return tuple(f"{provider.lower()}{at}{named_host(host)}" for provider, at, host in parts)

    @field_validator("database_url")
    @classmethod
    def _known_database(cls, value: str) -> str:
        if value and not value.startswith(("sqlite:///", "postgresql://", "postgres://")):
            raise ValueError("should start with sqlite:/// or postgresql://")
        if value.count("@") > 1:
            raise ValueError("has more than one @: write the one in the password as %40, such as `p%40ss`")
        return value

    @field_validator("default_provider")
    @classmethod
    def _is_enabled(cls, value: str | None, info: ValidationInfo) -> str | None:
        name = value and value.lower()
        if name is not None and name not in discover():
            raise ValueError(f"should be one of {any_of(discover())}")
        # Where the providers' own settings are wrong, it is not known which are enabled.
        enabled = [key for key, config in info.data.get("providers", {}).items() if config.enabled]
        if name is not None and "providers" in info.data and name not in enabled:
            other = f"such as `{enabled[0]}`" if enabled else "but none is: set a key, such as VENICE_API_KEY"
            raise ValueError(f"is {name}, which is not enabled; it should be one that is, {other}")
        return name

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the signature is pydantic's
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings, _ProviderVariables(settings_cls), dotenv_settings


def _configure(name: str, flat: Mapping[str, Any]) -> ProviderConfig:
    """One provider's settings out of the flat names of all."""
    config = discover()[name].Config
    own: dict[str, Any] = {}
    for field, info in config.model_fields.items():
        if (key := f"{name}_{field}") in flat:
            own[field] = _as_meant(flat[key], info.annotation)
    return config.model_validate(own)


def _as_meant(value: object, annotation: Any) -> object:  # noqa: ANN401 - a type, in any of its forms
    """A list out of words with commas, and words to choose from in any case."""
    if not isinstance(value, str):
        return value
    if get_origin(annotation) is tuple:
        [entry, *_] = get_args(annotation)
        return tuple(_as_meant(item, entry) for part in value.split(",") if (item := part.strip()))
    return next((word for word in _choices(annotation) if word.lower() == value.strip().lower()), value)


def _choices(annotation: Any) -> list[str]:  # noqa: ANN401 - the same
    if isinstance(annotation, str):
        return [annotation]
    if isinstance(annotation, type) and issubclass(annotation, StrEnum):
        return list(annotation)
    return [word for part in get_args(annotation) for word in _choices(part)]


class _ProviderVariables(PydanticBaseSettingsSource):
    """The variables that pydantic does not look for: those of providers, and old names of our own."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        raise NotImplementedError  # called for the fields of Settings, of which this source gives none

    def __call__(self) -> dict[str, Any]:
        present = {name.lower(): value for name, value in os.environ.items() if value}
        return {name: present[name] for name in provider_fields() | RENAMED.keys() if name in present}


def provider_fields() -> frozenset[str]:
    """The names of all variables that belong to providers, in lower case."""
    return frozenset(
        f"{name}_{field}" for name, provider in discover().items() for field in provider.Config.model_fields
    )


def complaints(error: ValidationError) -> list[str]:
    """A sentence for each setting that is wrong."""
    return sentences(error, Settings)
