"""Every setting, from the environment and from `.env`. A provider's own are `<PROVIDER>_<FIELD>`."""

import logging
import re
from collections.abc import Mapping
from enum import StrEnum
from functools import cache, partial
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, get_args, get_origin

from pydantic import (
    AfterValidator,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from bot.quota.allowances import MOST_CREDITS, Allowance, WindowKind
from bot.quota.limits import Limits, Period, Scope
from bot.settings_errors import any_of, sentences
from providers import discover
from providers.base import Dollars, ProviderConfig, alone, micros
from providers.hosts import hosts_of, is_exposed, named_host

log = logging.getLogger(__name__)


RENAMED = {"fall_over": "fallback"}
"""Old names of settings, which are read until the next version."""
_ID = re.compile(r"[0-9]{1,19}")


class Variables(BaseSettings):
    """Settings as people write them, in the environment and in `.env`."""

    model_config = SettingsConfigDict(
        env_file=".env",
        env_file_encoding="utf-8",
        env_ignore_empty=True,
        enable_decoding=False,
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
        # A token read from a file ends in a newline.
        str_strip_whitespace=True,
        validate_default=False,
    )

    @field_validator("*", mode="before")
    @classmethod
    def _read(cls, value: object, info: ValidationInfo) -> object:
        return _as_meant(value, cls.model_fields[info.field_name or ""].annotation)


class Settings(Variables):
    """What an operator can decide. Raises ValidationError; `complaints` turns it into sentences."""

    source: ClassVar[type[Variables]] = Variables
    """What reads the providers' own settings."""

    providers: Mapping[str, ProviderConfig] = Field(default_factory=dict, exclude=True)
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

    servers: tuple[str, ...] = Field(default=(), examples=["123456789012345678"])
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
    fall_over: bool | None = Field(default=None, exclude=True, repr=False)
    blocked_words: tuple[str, ...] = ()
    trusted_hosts: tuple[str, ...] = Field(default=(), examples=["openai_videos@storage.lan:9000"])
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

    def __init__(
        self,
        *,
        _env_file: Path | None = Path(".env"),
        **given: Any,  # noqa: ANN401 - each has a type of its own
    ) -> None:
        """What is given, such as `eigenai_api_key`, wins over the environment, and that over `.env`."""
        own = {name: value for name, value in given.items() if not name.startswith(_prefixes())}
        BaseSettings.__init__(self, _env_file=_env_file, providers={**given, "_env_file": _env_file}, **own)

    @model_validator(mode="before")
    @classmethod
    def _leave_out(cls, values: dict[str, Any]) -> dict[str, Any]:
        """Without the providers' own, and with the new names."""
        own = {name: value for name, value in values.items() if not name.startswith(_prefixes())}
        for old, new in RENAMED.items():
            if old in own:
                log.warning(
                    "%s is now called %s. The next version will not read the old name.",
                    old.upper(),
                    new.upper(),
                )
                own.setdefault(new, own.pop(old))
        return own

    @field_validator("providers", mode="before")
    @classmethod
    def _configure_providers(cls, given: dict[str, Any]) -> dict[str, ProviderConfig]:
        """Read each provider's own settings."""
        configs: dict[str, ProviderConfig] = {}
        wrong: list[str] = []
        for name, provider in discover().items():
            prefix, config = f"{name}_", provider.Config
            own = {key.removeprefix(prefix): given[key] for key in given if key.startswith(prefix)}
            try:
                read = _reader(cls.source, config, prefix)(_env_file=given["_env_file"], **own)
                # As the library knows it: without what has read it.
                configs[name] = config.model_construct(**dict(read))
            except ValidationError as error:
                wrong += sentences(error, config, prefix)
        if wrong:
            raise ValueError("\n".join(wrong))
        return configs

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


class OnlyGiven(Variables):
    """Settings from the call alone."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - the signature is pydantic's
        init_settings: PydanticBaseSettingsSource,
        *_: PydanticBaseSettingsSource,
        **__: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (init_settings,)


class GivenSettings(OnlyGiven, Settings):
    """Settings from the call alone: no variable and no `.env` of this machine has a part in them."""

    source = OnlyGiven


def _prefixes() -> tuple[str, ...]:
    return tuple(f"{name}_" for name in discover())


@cache
def _reader(source: type[Variables], config: type[ProviderConfig], prefix: str) -> type[BaseSettings]:
    """What reads a provider's own settings, as pydantic-settings does it."""

    class Reader(source, config):  # pyright: ignore[reportIncompatibleVariableOverride] - each base has a config
        model_config = SettingsConfigDict(env_prefix=prefix, dotenv_filtering="match_prefix")

    return Reader


def complaints(error: ValidationError) -> list[str]:
    """A sentence for each setting that is wrong."""
    return sentences(error, Settings)
