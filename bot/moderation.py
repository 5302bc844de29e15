"""What moderators may decide for their server. Bad input changes nothing."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import available_timezones

from bot.catalogue import Catalogue
from bot.clock import Clock
from bot.errors import BadRequest, NotNow
from bot.quota import dates
from bot.quota.allowances import MOST_CREDITS, Allowance, Tariff, WindowKind, within
from bot.quota.amounts import (
    DEFAULT,
    UNCHANGED,
    UNLIMITED,
    allowance_typed,
    cap_typed,
    credits_typed,
    micros_typed,
)
from bot.quota.decisions import (
    BlockMember,
    Change,
    Decision,
    GiveGrant,
    PauseServer,
    ResumeServer,
    RevokeGrants,
    SetAllowance,
    SetBudget,
    SetCaps,
    SetDefaultProvider,
    SetPrice,
    SetTimezone,
    UnblockMember,
)
from bot.quota.limits import NO_LIMITS, Limits
from bot.quota.rules import ServerRules
from bot.store import Store
from bot.store.db import StoreError
from bot.words import escape
from providers.specs import Per

log = logging.getLogger(__name__)

MOST_GRANTS = 100
"""That a member may have at the same time: each is looked at by every command."""
MOST_LISTED = 1000
"""Members with rules of their own."""
_NO_PLACES = {"Factory", "localtime"}
"""Time zones that mean another one on another machine, or none."""


@dataclass(frozen=True)
class Moderator:
    """Who decides, where and why."""

    decision_id: int
    """The interaction's id; it becomes the decision's."""
    guild_id: int
    user_id: int
    reason: str | None = None


@dataclass(frozen=True)
class Target:
    """Whose allowance it is: a member's, a role's, or everyone's if neither is named."""

    member_id: int | None = None
    role_id: int | None = None
    role_ids: frozenset[int] = frozenset()
    """The roles of the member."""


class Moderation:
    def __init__(
        self,
        store: Store,
        catalogue: Catalogue,
        clock: Clock,
        default: Allowance,
        limits: Limits = NO_LIMITS,
    ) -> None:
        self._store = store
        self._catalogue = catalogue
        self._clock = clock
        self.default = default
        """What the bot gives where a server has decided nothing."""
        self.limits = limits
        """The operator's."""

    async def decide(self, by: Moderator, change: Change) -> Decision:
        """Write down a change that needs no more checking than its own."""
        return await self._decide(by, change.member_id, lambda _: change)

    async def set_allowance(
        self, by: Moderator, target: Target, typed: str, kind: WindowKind | None
    ) -> Decision:
        """`typed` is a number of credits, a difference such as +2, `unlimited`, or `default` for no rule."""

        def change(rules: ServerRules) -> Change:
            now = _present(rules, target, self.default, self.limits.ceiling)
            allowance = None if typed.strip().casefold() == DEFAULT else allowance_typed(typed, kind, now)
            return SetAllowance(member_id=target.member_id, role_id=target.role_id, allowance=allowance)

        return await self._decide(by, target.member_id, change)

    async def grant(self, by: Moderator, member_id: int, amount: int, expires: str | None) -> Decision:
        if not 1 <= amount <= MOST_CREDITS:
            raise BadRequest(f"A grant is 1 to {MOST_CREDITS:,} credits. {UNCHANGED}")

        def change(rules: ServerRules) -> Change:
            end = None if expires is None else dates.until(expires, self._clock.now(), rules.zone)
            grants = [
                grant for grant in rules.grants.get(member_id, ()) if not grant.is_over(self._clock.now())
            ]
            if len(grants) >= MOST_GRANTS:
                raise BadRequest(
                    f"<@{member_id}> has {MOST_GRANTS} grants that are not used up. Take them back with "
                    f"`/quota-admin revoke` and give one larger grant. {UNCHANGED}"
                )
            return GiveGrant(member_id=member_id, amount=amount, expires_at=end)

        return await self._decide(by, member_id, change)

    async def revoke(self, by: Moderator, member_id: int) -> Decision:
        """Take back what is left of a member's grants."""

        def change(rules: ServerRules) -> Change:
            if not rules.grants.get(member_id):
                raise BadRequest(f"<@{member_id}> has no extra credits. {UNCHANGED}")
            return RevokeGrants(member_id=member_id)

        return await self._decide(by, member_id, change)

    async def block(self, by: Moderator, member_id: int, until: str | None) -> Decision:
        def change(rules: ServerRules) -> Change:
            end = None if until is None else dates.until(until, self._clock.now(), rules.zone)
            return BlockMember(member_id=member_id, until=end)

        return await self._decide(by, member_id, change)

    async def unblock(self, by: Moderator, member_id: int) -> Decision:
        def change(rules: ServerRules) -> Change:
            if rules.block(member_id, self._clock.now()) is None:
                raise BadRequest(f"<@{member_id}> is not blocked. {UNCHANGED}")
            return UnblockMember(member_id=member_id)

        return await self._decide(by, member_id, change)

    async def price(
        self, by: Moderator, provider: str, model: str | None, typed: str, per: Per | None
    ) -> Decision:
        """`typed` is a number of credits, or `default`."""
        is_default = typed.strip().casefold() == DEFAULT
        if not is_default:  # what is no longer here can be set back
            self._check_offer(provider, model)
        tariff = None if is_default else Tariff(credits=credits_typed(typed), per=per)
        return await self.decide(by, SetPrice(provider=provider, model=model, tariff=tariff))

    async def budget(self, by: Moderator, typed: str) -> Decision:
        """`typed` is an amount of US dollars a month, or `unlimited`."""
        micros = None if typed.strip().casefold() == UNLIMITED else micros_typed(typed)
        return await self.decide(by, SetBudget(micros=micros))

    async def caps(self, by: Moderator, member: str | None, server: str | None) -> Decision:
        """Jobs at once, each a number or `default`; what is left out stays as it is."""

        def change(rules: ServerRules) -> Change:
            return SetCaps(
                member=rules.member_jobs if member is None else cap_typed(member),
                server=rules.server_jobs if server is None else cap_typed(server),
            )

        return await self._decide(by, None, change)

    async def timezone(self, by: Moderator, typed: str) -> Decision:
        known = {name.casefold(): name for name in available_timezones() - _NO_PLACES}
        zone = known.get(typed.strip().casefold())
        if zone is None:
            raise BadRequest(f"I know no such time zone. Try `Europe/Berlin` or `UTC`. {UNCHANGED}")
        return await self.decide(by, SetTimezone(zone=zone))

    async def default_provider(self, by: Moderator, typed: str) -> Decision:
        """`typed` is the name of a provider, or `default`."""
        if typed.strip().casefold() == DEFAULT:
            return await self.decide(by, SetDefaultProvider(provider=None))
        self._check_offer(typed, None)
        return await self.decide(by, SetDefaultProvider(provider=typed))

    async def pause(self, by: Moderator, until: str | None) -> Decision:
        """Stop new videos in the whole server."""

        def change(rules: ServerRules) -> Change:
            end = None if until is None else dates.until(until, self._clock.now(), rules.zone)
            return PauseServer(until=end)

        return await self._decide(by, None, change)

    async def resume(self, by: Moderator) -> Decision:
        def change(rules: ServerRules) -> Change:
            if rules.paused(self._clock.now()) is None:
                raise BadRequest(f"Videos are not paused here. {UNCHANGED}")
            return ResumeServer()

        return await self._decide(by, None, change)

    def now(self) -> datetime:
        return self._clock.now()

    async def rules(self, guild_id: int, member_id: int | None = None) -> ServerRules:
        """What holds in a server now, for everybody and for this member."""
        return await self._store.decisions.rules(guild_id, member_id)

    async def log_channel(self, guild_id: int) -> int | None:
        """Where decisions are posted. A decision that is written down does not fail for want of it."""
        try:
            return (await self.rules(guild_id)).log_channel_id
        except StoreError:
            log.exception("the log channel of server %d cannot be looked up", guild_id)
            return None

    async def overrides(self, guild_id: int) -> ServerRules:
        """The members with an allowance or a block of their own, as many as a list holds."""
        return await self._store.decisions.overrides(guild_id, self._clock.now(), MOST_LISTED)

    async def history(
        self,
        guild_id: int,
        member_id: int | None,
        limit: int,
        *,
        before: int | None = None,
        after: int | None = None,
    ) -> list[Decision]:
        """Decisions of the server or about one member, newest first."""
        return await self._store.decisions.history(guild_id, member_id, limit, before=before, after=after)

    async def _decide(
        self, by: Moderator, member_id: int | None, change: Callable[[ServerRules], Change]
    ) -> Decision:
        def make(rules: ServerRules) -> Decision:
            return Decision(
                by.decision_id, by.guild_id, by.user_id, self._clock.now(), change(rules), by.reason
            )

        return await self._store.decisions.add(by.decision_id, by.guild_id, member_id, make)

    def _check_offer(self, provider: str, model: str | None) -> None:
        if provider not in self._catalogue.providers:
            known = ", ".join(f"`{name}`" for name in sorted(self._catalogue.providers))
            raise BadRequest(f"There is no such provider here; there are {known}. {UNCHANGED}")
        if model is not None and self._catalogue.spec(provider, model) is None:
            label = escape(self._catalogue.label(provider))
            if self._catalogue.is_unknown(provider):
                raise NotNow(f"{label} can't be reached just now. Try again in a minute. {UNCHANGED}")
            raise BadRequest(f"{label} has no such model; `/providers` lists them. {UNCHANGED}")


def _present(rules: ServerRules, target: Target, default: Allowance, ceiling: Allowance | None) -> Allowance:
    """What counts for the target now: what a difference is added to."""
    if target.member_id is not None:
        return rules.ruling(target.member_id, target.role_ids, default, ceiling).allowance
    role = rules.roles.get(target.role_id or 0) if target.role_id else None
    return within(role or rules.everyone or default, ceiling)
