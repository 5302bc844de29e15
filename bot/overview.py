"""How things stand in a server, for its moderators."""

from collections.abc import Sequence
from dataclasses import dataclass

from bot.catalogue import Catalogue
from bot.clock import Clock
from bot.jobs import Failure, JobState
from bot.quota.allowances import Allowance, Budget, Pause, WindowKind, window_at, within
from bot.quota.limits import Limits, OperatorBudget, Pauses
from bot.store import Store


@dataclass(frozen=True)
class ProviderState:
    label: str
    is_well: bool
    paused: Failure | None
    """Why nobody is sent there until the operator has seen to it."""
    stopped: str | None
    """Why the operator has stopped it."""


@dataclass(frozen=True)
class Overview:
    pause: Pause | None
    pauses: Pauses
    budget: Budget | None
    operator_budgets: Sequence[OperatorBudget]
    everyone: Allowance
    """What members get without a rule of their own, under the operator's ceiling."""
    member_jobs: int | None
    server_jobs: int | None
    limits: Limits
    providers: Sequence[ProviderState]
    waiting: int
    under_way: int


class Overviews:
    def __init__(
        self, store: Store, catalogue: Catalogue, limits: Limits, default: Allowance, clock: Clock
    ) -> None:
        self._store = store
        self._catalogue = catalogue
        self._limits = limits
        self._default = default
        self._clock = clock

    async def of(self, guild_id: int) -> Overview:
        now = self._clock.now()
        rules = await self._store.decisions.rules(guild_id)
        pauses = await self._store.pauses.get()
        month = window_at(WindowKind.MONTH, now, rules.zone)
        spent = await self._store.accounts.spent(guild_id, month)
        here = [job.state for job in await self._store.jobs.open() if job.guild_id == guild_id]
        waiting = here.count(JobState.QUEUED)
        return Overview(
            pause=rules.paused(now),
            pauses=pauses,
            budget=None if rules.budget is None else Budget(rules.budget, spent, month),
            operator_budgets=await self._store.spending.budgets(guild_id, now),
            everyone=within(rules.everyone or self._default, self._limits.ceiling),
            member_jobs=_least(rules.member_jobs, self._limits.member_jobs),
            server_jobs=_least(rules.server_jobs, self._limits.server_jobs),
            limits=self._limits,
            providers=[
                ProviderState(
                    provider.label,
                    self._catalogue.health[name].is_available(now),
                    self._catalogue.health[name].paused,
                    pauses.providers.get(name),
                )
                for name, provider in self._catalogue.providers.items()
            ],
            waiting=waiting,
            under_way=len(here) - waiting,
        )


def _least(*numbers: int | None) -> int | None:
    return min((number for number in numbers if number is not None), default=None)
