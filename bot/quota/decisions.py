"""What moderators have decided for their server, and the rules that follow. Pure.

The decisions are the truth: what `bot.store.snapshots` keeps beside them can always be computed again.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal, TypeAlias, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AwareDatetime, Field

from bot.quota.allowances import (
    MOST_CREDITS,
    MOST_MICROS,
    Allowance,
    Block,
    Grant,
    Pause,
    Ruling,
    Tariff,
    Tariffs,
    winner,
)
from bot.quota.changes import AnyChange
from bot.quota.pauses import PauseServer, ResumeServer
from providers.specs import ModelSpec, VideoRequest

K = TypeVar("K")
V = TypeVar("V")
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


class _MemberChange(AnyChange):
    member_id: int  # type: ignore[reportGeneralTypeIssues] # never None here


class SetAllowance(AnyChange):
    """For a member, for a role, or for everyone if neither is named."""

    kind: Literal["allowance"] = "allowance"
    role_id: int | None = None
    allowance: Allowance | None
    """None: the next rule counts again."""

    def onto(self, rules: ServerRules, _: "Decision", /) -> ServerRules:
        if self.member_id is not None:
            return _put(rules, rules.members, self.member_id, self.allowance)
        if self.role_id is not None:
            return _put(rules, rules.roles, self.role_id, self.allowance)
        return replace(rules, everyone=self.allowance)


class GiveGrant(_MemberChange):
    kind: Literal["grant"] = "grant"
    amount: int = Field(ge=1, le=MOST_CREDITS)
    expires_at: AwareDatetime | None = None

    def onto(self, rules: ServerRules, decision: "Decision", /) -> ServerRules:
        grant = Grant(decision.id, self.amount, self.expires_at, 0, decision.reason)
        # What has expired never comes back, and would add up.
        others = (other for other in rules.grants.get(self.member_id, ()) if not other.is_over(decision.at))
        return _put(rules, rules.grants, self.member_id, (*others, grant))


class RevokeGrants(_MemberChange):
    """What is left of all that was granted is taken back."""

    kind: Literal["revoke"] = "revoke"

    def onto(self, rules: ServerRules, _: "Decision", /) -> ServerRules:
        return _put(rules, rules.grants, self.member_id, None)


class ResetUsage(_MemberChange):
    """What was used before counts no longer."""

    kind: Literal["reset"] = "reset"

    def onto(self, rules: ServerRules, decision: "Decision", /) -> ServerRules:
        return _put(rules, rules.resets, self.member_id, decision.at)


class BlockMember(_MemberChange):
    kind: Literal["block"] = "block"
    until: AwareDatetime | None = None

    def onto(self, rules: ServerRules, decision: "Decision", /) -> ServerRules:
        return _put(rules, rules.blocks, self.member_id, Block(self.until, decision.reason))


class UnblockMember(_MemberChange):
    kind: Literal["unblock"] = "unblock"

    def onto(self, rules: ServerRules, _: "Decision", /) -> ServerRules:
        return _put(rules, rules.blocks, self.member_id, None)


class SetPrice(AnyChange):
    kind: Literal["price"] = "price"
    provider: str
    model: str | None = None
    """None: for all of the provider's models that have no price of their own."""
    tariff: Tariff | None
    """None: the default again."""

    def onto(self, rules: ServerRules, _: "Decision", /) -> ServerRules:
        return _put(rules, rules.tariffs, (self.provider, self.model), self.tariff)


class SetBudget(AnyChange):
    kind: Literal["budget"] = "budget"
    micros: int | None = Field(ge=0, le=MOST_MICROS)
    """Millionths of a US dollar in a month; None is without limit."""

    def onto(self, rules: ServerRules, _: "Decision", /) -> ServerRules:
        return replace(rules, budget=self.micros)


class SetCaps(AnyChange):
    """Jobs under way at once; None is what the bot has by default."""

    kind: Literal["caps"] = "caps"
    member: int | None = Field(default=None, ge=1)
    server: int | None = Field(default=None, ge=1)

    def onto(self, rules: ServerRules, _: "Decision", /) -> ServerRules:
        return replace(rules, member_jobs=self.member, server_jobs=self.server)


class SetTimezone(AnyChange):
    kind: Literal["timezone"] = "timezone"
    zone: str

    def onto(self, rules: ServerRules, _: "Decision", /) -> ServerRules:
        return replace(rules, zone_name=self.zone)


class SetLog(AnyChange):
    kind: Literal["log"] = "log"
    channel_id: int | None

    def onto(self, rules: ServerRules, _: "Decision", /) -> ServerRules:
        return replace(rules, log_channel_id=self.channel_id)


class SetDefaultProvider(AnyChange):
    """None is what the bot has by default."""

    kind: Literal["default-provider"] = "default-provider"
    provider: str | None

    def onto(self, rules: ServerRules, _: "Decision", /) -> ServerRules:
        return replace(rules, default_provider=self.provider)


class SetFallback(AnyChange):
    """None is what the bot has by default."""

    kind: Literal["fallback"] = "fallback"
    allowed: bool | None

    def onto(self, rules: ServerRules, _: "Decision", /) -> ServerRules:
        return replace(rules, fallback=self.allowed)


class SetElsewhere(AnyChange):
    kind: Literal["elsewhere"] = "elsewhere"
    where: Elsewhere

    def onto(self, rules: ServerRules, _: "Decision", /) -> ServerRules:
        return replace(rules, elsewhere=self.where)


Change: TypeAlias = Annotated[
    SetAllowance
    | GiveGrant
    | RevokeGrants
    | ResetUsage
    | BlockMember
    | UnblockMember
    | SetPrice
    | SetBudget
    | SetCaps
    | SetTimezone
    | SetLog
    | SetDefaultProvider
    | SetFallback
    | SetElsewhere
    | PauseServer
    | ResumeServer,
    Field(discriminator="kind"),
]


@dataclass(frozen=True)
class Decision:
    """One decision: who changed what, when and why."""

    id: int
    """The id of the interaction it was made with, so that a repeated event is the same decision."""
    guild_id: int
    by_id: int
    at: datetime
    change: Change
    reason: str | None = None


def rules_of(decisions: Iterable[Decision], before: ServerRules | None = None) -> ServerRules:
    """The rules that decisions lead to, oldest first. `before`, from earlier ones, is changed in place."""
    rules = before or ServerRules()
    for decision in decisions:
        rules = decision.change.onto(rules, decision)
    return rules


def _put(rules: ServerRules, known: dict[K, V], key: K, value: V | None) -> ServerRules:
    """Set one entry, in place; without a value, remove it."""
    if value is None:
        known.pop(key, None)
    else:
        known[key] = value
    return rules
