"""What moderators have decided for their server, and the rules that follow. Pure.

The decisions are the truth: what `bot.store.snapshots` keeps beside them can always be computed again.
"""

from abc import abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Annotated, Literal, TypeAlias, TypeVar
from zoneinfo import ZoneInfo

from pydantic import AwareDatetime, Field

from bot.quota.allowances import (
    MOST_CREDITS,
    MOST_MICROS,
    Allowance,
    Block,
    Grant,
    Pause,
    Tariff,
)
from bot.quota.rules import Elsewhere, ServerRules
from providers.options import Frozen

K = TypeVar("K")
V = TypeVar("V")
_UTC = ZoneInfo("UTC")


class AnyChange(Frozen):
    member_id: int | None = None
    """The one member it concerns, if it does not concern the whole server."""

    @abstractmethod
    def onto(self, rules: ServerRules, decision: "Decision", /) -> ServerRules:
        """The rules with this change made; they are `rules_of`'s own, and may be changed themselves."""


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


class PauseServer(AnyChange):
    """No new videos; what waits waits, and what is being made goes on."""

    kind: Literal["pause"] = "pause"
    until: AwareDatetime | None = None

    def onto(self, rules: ServerRules, decision: "Decision", /) -> ServerRules:
        return replace(rules, pause=Pause(self.until, decision.reason))


class ResumeServer(AnyChange):
    kind: Literal["resume"] = "resume"

    def onto(self, rules: ServerRules, _: "Decision", /) -> ServerRules:
        return replace(rules, pause=None)


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
