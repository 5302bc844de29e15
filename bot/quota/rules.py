"""What holds in a server: the rules that its moderators' decisions have led to. Pure: time is a parameter."""

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from bot.quota.allowances import Allowance, Block, Grant, Pause, Ruling, Tariff, Tariffs, winner
from providers.specs import ModelSpec, VideoRequest

_UTC = ZoneInfo("UTC")


class Elsewhere(StrEnum):
    """Where in the server a video goes whose channel does not take it, before its member gets it directly."""

    NOWHERE = "nowhere"
    PARENT = "parent"
    """The channel of the public thread it was asked for in; without a thread, nowhere."""
    SYSTEM = "system"
    """The same, and without a thread the channel for the server's system messages."""


@dataclass(frozen=True)
class ServerRules:
    """What holds in a server now, for everybody and for those members whose decisions were read."""

    zone_name: str = "UTC"
    everyone: Allowance | None = None
    roles: dict[int, Allowance] = field(default_factory=dict[int, Allowance])
    members: dict[int, Allowance] = field(default_factory=dict[int, Allowance])
    grants: dict[int, tuple[Grant, ...]] = field(default_factory=dict[int, tuple[Grant, ...]])
    """By member; what was drawn from them is not known here."""
    resets: dict[int, datetime] = field(default_factory=dict[int, datetime])
    blocks: dict[int, Block] = field(default_factory=dict[int, Block])
    tariffs: Tariffs = field(default_factory=dict[tuple[str, str | None], Tariff])
    """By provider and model."""
    budget: int | None = None
    """Millionths of a US dollar in a month."""
    member_jobs: int | None = None
    """At once, as `server_jobs`; None is what the bot has by default."""
    server_jobs: int | None = None
    log_channel_id: int | None = None
    default_provider: str | None = None
    fallback: bool | None = None
    elsewhere: Elsewhere = Elsewhere.PARENT
    pause: Pause | None = None
    """It may be over: `paused` knows."""

    @property
    def zone(self) -> ZoneInfo:
        """UTC where this machine does not know the zone: it was decided on another one."""
        try:
            return ZoneInfo(self.zone_name)
        except (ZoneInfoNotFoundError, ValueError):
            return _UTC

    def ruling(
        self,
        member_id: int,
        role_ids: Collection[int],
        default: Allowance,
        ceiling: Allowance | None = None,
    ) -> Ruling:
        """The allowance that counts for a member, and why; the operator's ceiling is above all rules."""
        decided = winner(self.members.get(member_id), self.roles, self.everyone, default, role_ids)
        return decided.within(ceiling)

    def block(self, member_id: int, now: datetime) -> Block | None:
        block = self.blocks.get(member_id)
        return None if block is None or (block.until is not None and block.until <= now) else block

    def paused(self, now: datetime) -> Pause | None:
        pause = self.pause
        return None if pause is None or (pause.until is not None and pause.until <= now) else pause

    def tariff(self, provider: str, model: str) -> Tariff | None:
        """What the server has decided for a model, else for all models of its provider."""
        return self.tariffs.get((provider, model)) or self.tariffs.get((provider, None))

    def price(self, provider: str, spec: ModelSpec, request: VideoRequest) -> int:
        """Credits for a request: what the server has decided, else one."""
        tariff = self.tariff(provider, spec.id)
        return 1 if tariff is None else tariff.of(spec, request)
