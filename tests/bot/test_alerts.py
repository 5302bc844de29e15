"""What the operator is told, and when: once, and once when it is over."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from bot.alerts import CALM, QUIET, Memory, News, Trouble, Watch, budget_trouble, news, provider_troubles
from bot.catalogue import Catalogue
from bot.errors import Undeliverable, Undelivered
from bot.jobs import Failure
from bot.provider_health import MEMBERS, Funds, ProviderHealth
from bot.quota.allowances import Allowance, WindowKind
from bot.quota.limits import Limits, OperatorBudget, Period, Scope, window_of
from bot.store import Store, connect
from bot.words import escape
from tests.bot.conftest import Scripted
from tests.bot.store.conftest import NOON, StillClock, new_job

KEY = Trouble("provider x unauthorized", "no key", "key works")
FULL = Trouble("disk", "disk full", "disk has room")
NEAR = Trouble("budget", "near", "budget has room")
REACHED = Trouble("budget", "reached", "budget has room", 2)
MINUTE = timedelta(minutes=1)


def story(*looks: tuple[float, list[Trouble]]) -> list[tuple[float, list[str]]]:
    """What is told at which minute, of looks at these minutes."""
    memory, told = Memory(), list[tuple[float, list[str]]]()
    for minute, troubles in looks:
        found = news(memory, troubles, NOON + minute * MINUTE)
        # As it is remembered in the database.
        memory = Memory.model_validate_json(found.memory.model_dump_json())
        if found.lines:
            told.append((minute, list(found.lines)))
    return told


@pytest.mark.parametrize(
    ("looks", "told"),
    [
        ([(0, []), (1, [])], []),
        ([(0, [KEY]), (1, [KEY]), (1000, [KEY])], [(0, ["no key"])]),
        (
            [(0, [KEY]), (1, []), (10, []), (11, []), (12, [])],
            [(0, ["no key"]), (11, ["Over: key works"])],
        ),
        # What comes and goes is one trouble.
        ([(0, [KEY]), (6, []), (12, [KEY]), (18, []), (24, [KEY])], [(0, ["no key"])]),
        # What comes up right after a message waits, and is told together.
        (
            [(0, [KEY]), (1, [KEY, FULL]), (2, [KEY, FULL, NEAR]), (5, [KEY, FULL, NEAR])],
            [(0, ["no key"]), (5, ["disk full", "near"])],
        ),
        # What has ended before anybody was told is no news.
        ([(0, [KEY]), (1, [KEY, FULL]), (2, [KEY]), (20, [KEY])], [(0, ["no key"])]),
        ([(0, [NEAR]), (6, [REACHED]), (12, [NEAR]), (20, [REACHED])], [(0, ["near"]), (6, ["reached"])]),
        ([(0, [REACHED]), (6, []), (16, [])], [(0, ["reached"]), (16, ["Over: budget has room"])]),
        # After its end, the same may begin again.
        (
            [(0, [KEY]), (1, []), (11, []), (20, [KEY])],
            [(0, ["no key"]), (11, ["Over: key works"]), (20, ["no key"])],
        ),
        # The clock is put back by a day.
        ([(0, [KEY]), (-1440, [KEY, FULL])], [(0, ["no key"]), (-1440, ["disk full"])]),
    ],
)
def test_each_trouble_is_told_once_and_its_end_once(
    looks: list[tuple[float, list[Trouble]]], told: list[tuple[float, list[str]]]
) -> None:
    assert story(*looks) == told


def test_a_message_at_most_every_few_minutes_whatever_happens() -> None:
    looks = [(minute, [Trouble(f"t{minute}", "new", "over")]) for minute in range(240)]
    told = story(*looks)
    assert len(told) <= timedelta(minutes=240) / QUIET
    assert len([line for _, lines in told for line in lines]) <= 2 * len(looks)
    assert QUIET < CALM


@pytest.mark.parametrize(
    ("spent", "refused", "level"),
    [
        (0, False, None),
        (79, False, None),
        (80, False, 1),
        (99, False, 1),
        (100, False, 2),
        (300, False, 2),
        (70, True, 2),
    ],
)
def test_a_budget_is_told_of_at_four_fifths_and_when_it_is_used_up(
    spent: int, level: int | None, *, refused: bool
) -> None:
    budget = OperatorBudget(100, spent, window_of(Period.DAY, NOON), Scope.BOT, Period.DAY)
    trouble = budget_trouble(budget, 0, was_refused=refused)
    assert (trouble.level if trouble else None) == level


@pytest.mark.parametrize("paused", [None, *Failure])
def test_a_provider_is_told_of_where_only_the_operator_can_help(paused: Failure | None) -> None:
    found = list(provider_troubles("eigenai", "EigenAI", ProviderHealth(paused=paused)))
    assert len(found) == (paused in {Failure.UNAUTHORIZED, Failure.OUT_OF_FUNDS})


def test_a_providers_name_formats_nothing() -> None:
    for health in (
        ProviderHealth(paused=Failure.UNAUTHORIZED),
        ProviderHealth(funds=Funds(cost=1, is_empty=True)),
    ):
        for trouble in provider_troubles("x", "[a](b) **loud**", health):
            for text in (trouble.text, trouble.over):
                assert escape("[a](b) **loud**") in text


def test_two_budgets_and_two_servers_are_told_of_apart() -> None:
    budgets = [
        (OperatorBudget(1, 1, window_of(period, NOON), scope, period), guild_id)
        for scope, period, guild_id in (
            (Scope.BOT, Period.DAY, 0),
            (Scope.BOT, Period.MONTH, 0),
            (Scope.SERVER, Period.DAY, 10),
            (Scope.SERVER, Period.DAY, 11),
        )
    ]
    found = [budget_trouble(budget, guild_id, was_refused=False) for budget, guild_id in budgets]
    assert len({trouble.key for trouble in found if trouble}) == 4


class Desk:
    """A watch, what it tells and what it looks at."""

    def __init__(self, store: Store, provider: Scripted, limits: Limits) -> None:
        self.store, self.limits, self.clock = store, limits, StillClock()
        self.provider = provider
        self.said: list[str] = []
        self.faults: list[Exception] = []
        self.free = 10**12

    async def start(self, *, enabled: bool = True) -> Watch:
        """As after a start of the bot, with the provider or without."""
        self.catalogue = Catalogue({"scripted": self.provider} if enabled else {}, None)
        watch = Watch(
            self.store, self.catalogue, self.limits, self.clock, self.tell, lambda: self.free, 10**9
        )
        await watch.start()
        return watch

    async def tell(self, text: str, about: str) -> None:
        assert about
        if self.faults:
            raise self.faults.pop()
        self.said.append(text)


@pytest.fixture
async def desk(database_url: str, tmp_path: Path) -> AsyncIterator[Desk]:
    limits = Limits(budgets={(Scope.BOT, Period.DAY): 100, (Scope.SERVER, Period.MONTH): 100})
    store = Store(connect(database_url), StillClock(), limits)
    await store.open()
    yield Desk(store, Scripted(tmp_path), limits)
    await store.close()


async def test_a_restart_repeats_nothing_and_the_end_is_told_once(desk: Desk) -> None:
    watch = await desk.start()
    desk.catalogue.health["scripted"].paused = Failure.UNAUTHORIZED
    await watch.look()
    assert desk.said == [
        "Scripted does not accept the bot's key any more. No job is sent there until it does."
    ]
    for _ in range(3):
        desk.clock.time += QUIET
        watch = await desk.start()
        await watch.look()
    assert len(desk.said) == 1
    # What was not well is tried before it is used.
    health = desk.catalogue.health["scripted"]
    assert (health.paused, health.is_check_due(desk.clock.now())) == (Failure.UNAUTHORIZED, True)
    health.record_success()
    for _ in range(4):
        desk.clock.time += CALM
        await watch.look()
    assert desk.said[1:] == ["Over: Scripted accepts the bot's key again."]


async def test_the_trouble_of_a_provider_that_was_switched_off_is_not_over(desk: Desk) -> None:
    watch = await desk.start()
    desk.catalogue.health["scripted"].paused = Failure.UNAUTHORIZED
    desk.catalogue.health["scripted"].funds.cost = 1
    await watch.look()
    [told] = desk.said
    watch = await desk.start(enabled=False)
    for _ in range(3):
        desk.clock.time += CALM
        await watch.look()
    assert desk.said == [told]


async def test_an_account_that_nobody_can_ask_about_is_told_of_at_the_first_refusal_and_when_it_is_empty(
    desk: Desk,
) -> None:
    watch = await desk.start()
    dear = "Scripted refused a video for lack of credit. Look at the bot's account there."
    empty = "The bot's account at Scripted has no credit left. No job is sent there until it has."

    async def pass_by(times: int = 3) -> None:
        for _ in range(times):
            desk.clock.time += CALM
            await watch.look()

    def health() -> ProviderHealth:
        return desk.catalogue.health["scripted"]

    for _ in range(5):
        health().record_unpaid(1, 500, desk.clock.now())
        health().funds.take(100)
        await pass_by()
    assert desk.said == [dear]
    assert health().paused is None
    watch = await desk.start()
    await pass_by()
    assert desk.said == [dear], "a restart tells nothing new"
    for member in range(MEMBERS):
        assert health().paused is None
        health().record_unpaid(member, 100, desk.clock.now())
    await pass_by()
    assert (desk.said, health().paused) == ([dear, empty], Failure.OUT_OF_FUNDS)
    watch = await desk.start()
    health().record_success()  # a free call that says nothing of money
    await pass_by()
    assert desk.said == [dear, empty]
    health().record_unpaid(1, 100, desk.clock.now())
    assert health().paused is Failure.OUT_OF_FUNDS, "the next one is enough"
    health().record_success()
    health().funds.take(100)
    await pass_by()
    [over] = desk.said[2:]
    assert sorted(over.splitlines()) == [
        "Over: Scripted takes such videos again.",
        "Over: Scripted takes the bot's jobs again.",
    ]


async def test_who_cannot_be_told_now_is_told_later_and_who_never_can_is_not_tried_again(desk: Desk) -> None:
    watch = await desk.start()
    desk.free = 5
    desk.faults = [Undelivered("an outage")]
    await watch.look()
    assert not desk.said
    await watch.look()
    assert desk.said == ["The disk is nearly full: 0 MB are free for videos."]

    desk.catalogue.health["scripted"].paused = Failure.OUT_OF_FUNDS
    desk.clock.time += QUIET
    desk.faults = [Undeliverable("closed to direct messages")]
    await watch.look()
    desk.clock.time += QUIET
    await watch.look()
    assert len(desk.said) == 1


async def test_budgets_are_told_of_as_they_are_used_up(desk: Desk) -> None:
    watch = await desk.start()
    default = Allowance(amount=None, kind=WindowKind.DAY)
    await desk.store.accounts.reserve(new_job(1, cost_micros=85), (), default)
    await watch.look()
    [said] = desk.said
    assert said.splitlines() == [
        "80% used: the daily budget of the bot ($0.000085 of $0.0001).",
        "80% used: the monthly budget of server 10 ($0.000085 of $0.0001).",
    ]
    # One that does not fit says that it is as good as used up.
    desk.store.spending.was_refused((await desk.store.spending.budgets(10, NOON))[0], 10, NOON)
    desk.clock.time += QUIET
    await watch.look()
    assert desk.said[1].startswith(
        "Used up: the daily budget of the bot ($0.000085 of $0.0001). Videos that do"
    )
    desk.clock.time += timedelta(days=1)
    for _ in range(2):
        await watch.look()
        desk.clock.time += CALM
    assert sorted(desk.said[2].splitlines()) == [
        "Over: the daily budget of the bot has room again.",
        "Over: the monthly budget of server 10 has room again.",
    ]


async def test_a_disk_is_well_again_when_a_little_more_is_free(desk: Desk) -> None:
    watch = await desk.start()
    for free in (10**9 - 1, 10**9 + 1, 10**9 + 1):
        desk.free = free
        await watch.look()
        desk.clock.time += CALM
    assert len(desk.said) == 1
    desk.free = 2 * 10**9
    for _ in range(2):
        await watch.look()
        desk.clock.time += CALM
    assert desk.said[1:] == ["Over: the disk has room again."]


def test_no_news_is_nothing_to_tell() -> None:
    assert news(Memory(), [], NOON) == News(Memory())
