"""The rules of a server are its decisions, read in order."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from pydantic import TypeAdapter, ValidationError

from bot.clock import Clock
from bot.quota.allowances import (
    MOST_CREDITS,
    MOST_MICROS,
    Allowance,
    Block,
    Grant,
    Pause,
    Source,
    Tariff,
    WindowKind,
)
from bot.quota.decisions import (
    BlockMember,
    Change,
    Decision,
    GiveGrant,
    PauseServer,
    ResetUsage,
    ResumeServer,
    RevokeGrants,
    SetAllowance,
    SetBudget,
    SetCaps,
    SetDefaultProvider,
    SetElsewhere,
    SetFallback,
    SetLog,
    SetPrice,
    SetTimezone,
    UnblockMember,
    rules_of,
)
from bot.quota.rules import Elsewhere, ServerRules
from bot.store import Store, connect
from providers.options import Choice
from providers.specs import Mode, ModelSpec, Per, VideoRequest
from tests.helpers import on_both

NOW = datetime(2024, 2, 29, 12, 0, 0, 7, tzinfo=UTC)
LATER = NOW + timedelta(days=1)
FIVE, SIX = (Allowance(amount=amount, kind=WindowKind.DAY) for amount in (5, 6))
NOTHING = ServerRules()


def decision(number: int, change: Change, reason: str | None = None) -> Decision:
    return Decision(number, 10, 1, NOW + timedelta(seconds=number), change, reason)


def rules(*changes: Change) -> ServerRules:
    return rules_of(decision(number, change) for number, change in enumerate(changes, start=1))


def at(number: int) -> datetime:
    return NOW + timedelta(seconds=number)


EVERY_KIND: list[tuple[Change, dict[str, Any]]] = [
    (SetAllowance(allowance=FIVE), {"everyone": FIVE}),
    (SetAllowance(role_id=7, allowance=FIVE), {"roles": {7: FIVE}}),
    (SetAllowance(member_id=30, allowance=FIVE), {"members": {30: FIVE}}),
    (GiveGrant(member_id=30, amount=3), {"grants": {30: (Grant(1, 3, None, 0, None),)}}),
    (
        GiveGrant(member_id=30, amount=3, expires_at=LATER),
        {"grants": {30: (Grant(1, 3, LATER, 0, None),)}},
    ),
    (RevokeGrants(member_id=30), {}),
    (ResetUsage(member_id=30), {"resets": {30: at(1)}}),
    (BlockMember(member_id=30), {"blocks": {30: Block(None, None)}}),
    (BlockMember(member_id=30, until=LATER), {"blocks": {30: Block(LATER, None)}}),
    (UnblockMember(member_id=30), {}),
    (SetPrice(provider="p", tariff=Tariff(credits=2)), {"tariffs": {("p", None): Tariff(credits=2)}}),
    (
        SetPrice(provider="p", model="m", tariff=Tariff(credits=0, per=Per.SECOND)),
        {"tariffs": {("p", "m"): Tariff(credits=0, per=Per.SECOND)}},
    ),
    (SetBudget(micros=0), {"budget": 0}),
    (SetCaps(member=1, server=2), {"member_jobs": 1, "server_jobs": 2}),
    (SetTimezone(zone="Europe/Berlin"), {"zone_name": "Europe/Berlin"}),
    (SetLog(channel_id=20), {"log_channel_id": 20}),
    (SetDefaultProvider(provider="p"), {"default_provider": "p"}),
    (SetFallback(allowed=False), {"fallback": False}),
    (SetElsewhere(where=Elsewhere.SYSTEM), {"elsewhere": Elsewhere.SYSTEM}),
    (PauseServer(), {"pause": Pause(None, None)}),
    (PauseServer(until=LATER), {"pause": Pause(LATER, None)}),
    (ResumeServer(), {}),
]


def test_without_decisions_nothing_is_decided() -> None:
    assert rules() == NOTHING
    assert NOTHING.zone == ZoneInfo("UTC")


@pytest.mark.parametrize(("change", "changed"), EVERY_KIND)
def test_every_act_changes_what_it_says_and_nothing_else(change: Change, changed: dict[str, Any]) -> None:
    assert rules(change) == replace(NOTHING, **changed)


@pytest.mark.parametrize(
    ("made", "unmade"),
    [
        (SetAllowance(allowance=FIVE), SetAllowance(allowance=None)),
        (SetAllowance(role_id=7, allowance=FIVE), SetAllowance(role_id=7, allowance=None)),
        (SetAllowance(member_id=30, allowance=FIVE), SetAllowance(member_id=30, allowance=None)),
        (BlockMember(member_id=30), UnblockMember(member_id=30)),
        (SetPrice(provider="p", tariff=Tariff(credits=2)), SetPrice(provider="p", tariff=None)),
        (
            SetPrice(provider="p", model="m", tariff=Tariff(credits=2)),
            SetPrice(provider="p", model="m", tariff=None),
        ),
        (SetBudget(micros=5), SetBudget(micros=None)),
        (SetCaps(member=1, server=2), SetCaps()),
        (SetTimezone(zone="Asia/Kathmandu"), SetTimezone(zone="UTC")),
        (SetLog(channel_id=20), SetLog(channel_id=None)),
        (SetDefaultProvider(provider="p"), SetDefaultProvider(provider=None)),
        (SetFallback(allowed=True), SetFallback(allowed=None)),
        (SetElsewhere(where=Elsewhere.NOWHERE), SetElsewhere(where=Elsewhere.PARENT)),
        (PauseServer(until=LATER), ResumeServer()),
    ],
)
def test_what_is_decided_can_be_undone_and_undoing_nothing_is_nothing(made: Change, unmade: Change) -> None:
    assert rules(made) != NOTHING
    assert rules(made, unmade) == NOTHING
    assert rules(unmade) == NOTHING


@pytest.mark.parametrize(
    ("first", "then"),
    [
        (SetAllowance(allowance=FIVE), SetAllowance(allowance=SIX)),
        (SetAllowance(role_id=7, allowance=FIVE), SetAllowance(role_id=7, allowance=SIX)),
        (SetAllowance(member_id=30, allowance=FIVE), SetAllowance(member_id=30, allowance=SIX)),
        (BlockMember(member_id=30), BlockMember(member_id=30, until=LATER)),
        (SetBudget(micros=5), SetBudget(micros=6)),
        (SetCaps(member=1, server=2), SetCaps(server=3)),
        (SetTimezone(zone="Asia/Kathmandu"), SetTimezone(zone="Europe/Berlin")),
        (SetFallback(allowed=True), SetFallback(allowed=False)),
        (PauseServer(), PauseServer(until=LATER)),
    ],
)
def test_the_later_act_counts(first: Change, then: Change) -> None:
    assert rules(first, then) == rules(then)
    assert rules(then, first) == rules(first)


def test_the_latest_reset_counts() -> None:
    assert rules(ResetUsage(member_id=30), ResetUsage(member_id=30)).resets == {30: at(2)}


def test_grants_add_up_and_keep_their_order_and_reasons() -> None:
    given = GiveGrant(member_id=30, amount=3)
    found = rules_of(
        [decision(1, given, "won"), decision(2, SetBudget(micros=5)), decision(3, given, "again")]
    )
    assert found.grants == {30: (Grant(1, 3, None, 0, "won"), Grant(3, 3, None, 0, "again"))}


def test_a_block_keeps_its_reason() -> None:
    assert rules_of([decision(1, BlockMember(member_id=30), "spam")]).blocks == {30: Block(None, "spam")}


@pytest.mark.parametrize("change", [change for change, _ in EVERY_KIND if change.member_id == 30])
def test_an_act_about_one_member_leaves_the_others_alone(change: Change) -> None:
    others = [
        change.model_copy(update={"member_id": 31})
        for change, _ in EVERY_KIND
        if change.member_id == 30 and not isinstance(change, UnblockMember | RevokeGrants)
    ]
    before, after = rules(*others), rules(*others, change)
    for name in ("members", "grants", "resets", "blocks"):
        assert getattr(after, name)[31] == getattr(before, name)[31]


def test_prices_of_models_and_of_their_provider_are_apart() -> None:
    provider = SetPrice(provider="p", tariff=Tariff(credits=2))
    model = SetPrice(provider="p", model="m", tariff=Tariff(credits=3))
    gone = SetPrice(provider="p", tariff=None)
    assert rules(provider, model, gone).tariffs == {("p", "m"): Tariff(credits=3)}


@pytest.mark.parametrize(
    ("tariffs", "price"),
    [
        ({}, 1),
        ({("p", None): 2}, 2),
        ({("p", "m"): 3}, 3),
        ({("p", None): 2, ("p", "m"): 3}, 3),
        ({("p", None): 2, ("p", "m"): 0}, 0),
        ({("p", None): 0}, 0),
        ({("q", None): 2, ("q", "m"): 3, ("p", "n"): 5}, 1),
    ],
)
def test_the_models_price_beats_the_providers_and_that_beats_one_credit(
    tariffs: dict[tuple[str, str | None], int], price: int
) -> None:
    spec = ModelSpec(id="m", name="M", mode=Mode.TEXT_TO_VIDEO)
    changes = [
        SetPrice(provider=provider, model=model, tariff=Tariff(credits=number))
        for (provider, model), number in tariffs.items()
    ]
    assert rules(*changes).price("p", spec, VideoRequest(model="m", prompt="p")) == price


def test_a_price_by_the_second_counts_the_seconds_that_the_model_takes_by_itself() -> None:
    duration = Choice(values=(5, 10), default=5)
    spec = ModelSpec(id="m", name="M", mode=Mode.TEXT_TO_VIDEO, duration=duration)
    here = rules(SetPrice(provider="p", tariff=Tariff(credits=2, per=Per.SECOND)))
    assert here.price("p", spec, VideoRequest(model="m", prompt="p")) == 10
    assert here.price("p", spec, VideoRequest(model="m", prompt="p", duration=10)) == 20


def test_a_block_ends_at_its_moment() -> None:
    blocked = rules(BlockMember(member_id=30, until=LATER))
    assert blocked.block(30, LATER - timedelta(microseconds=1)) == Block(LATER, None)
    assert blocked.block(30, LATER) is None
    assert blocked.block(31, NOW) is None
    assert rules(BlockMember(member_id=30)).block(30, LATER.replace(year=3000)) is not None


def test_the_ruling_is_that_of_the_decisions() -> None:
    here = rules(
        SetAllowance(allowance=FIVE),
        SetAllowance(role_id=7, allowance=SIX),
        SetAllowance(member_id=30, allowance=Allowance(amount=0, kind=WindowKind.DAY)),
    )
    sources = [here.ruling(member, roles, FIVE).source for member, roles in ((30, [7]), (31, [7]), (31, []))]
    assert sources == [Source.MEMBER, Source.ROLE, Source.SERVER]
    assert NOTHING.ruling(31, [7], FIVE).source is Source.BOT


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        (Allowance, {"amount": -1, "kind": "day"}),
        (Allowance, {"amount": MOST_CREDITS + 1, "kind": "day"}),
        (Tariff, {"credits": -1}),
        (Tariff, {"credits": MOST_CREDITS + 1}),
        (GiveGrant, {"member_id": 30, "amount": 0}),
        (GiveGrant, {"member_id": 30, "amount": MOST_CREDITS + 1}),
        (GiveGrant, {"member_id": 30, "amount": 1, "expires_at": datetime(2024, 1, 1)}),  # noqa: DTZ001 - no zone
        (GiveGrant, {"member_id": None, "amount": 1}),
        (ResetUsage, {"member_id": None}),
        (BlockMember, {}),
        (UnblockMember, {}),
        (SetBudget, {"micros": -1}),
        (SetBudget, {"micros": MOST_MICROS + 1}),
        (SetCaps, {"member": 0}),
        (SetCaps, {"server": -1}),
        (SetLog, {"channel_id": 20, "member": 5}),
    ],
)
def test_what_cannot_be_is_no_decision(kind: type[Any], values: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        kind(**values)


@pytest.fixture
async def store(database_url: str) -> AsyncIterator[Store]:
    made = Store(connect(database_url), Clock())
    await made.open()
    yield made
    await made.close()


async def add(store: Store, made: Decision) -> Decision:
    return await store.decisions.add(made.id, made.guild_id, made.change.member_id, lambda _: made)


@on_both
async def test_every_kind_of_act_comes_back_from_the_store_as_it_was(store: Store) -> None:
    decisions = [
        replace(
            decision(number, change, f"no. {number} 'é' :name %s 🎬" if number % 2 else None),
            id=2**62 + number,
        )
        for number, (change, _) in enumerate(EVERY_KIND)
    ]
    assert [await add(store, made) for made in decisions] == decisions
    assert await store.decisions.history(10, None, 99) == decisions[::-1]
    assert await store.decisions.rules(10, 30) == rules_of(decisions)
    assert {made.change.kind for made in decisions} == set(
        TypeAdapter(Change).json_schema()["discriminator"]["mapping"]
    )


@on_both
async def test_the_store_reads_the_decisions_of_one_server_and_of_one_member(store: Store) -> None:
    for number, change in enumerate(
        [SetBudget(micros=5), BlockMember(member_id=30), BlockMember(member_id=31)], start=1
    ):
        await add(store, decision(number, change))
    await add(store, replace(decision(4, SetBudget(micros=6)), guild_id=11))
    assert (await store.decisions.rules(10)) == replace(NOTHING, budget=5)
    assert (await store.decisions.rules(10, 30)).blocks == {30: Block(None, None)}
    assert (await store.decisions.rules(12, 30)) == NOTHING
    assert [made.id for made in await store.decisions.history(10, 31, 99)] == [3]
    assert [made.id for made in await store.decisions.history(10, None, 99)] == [3, 2, 1]


@on_both
async def test_the_history_is_read_a_page_at_a_time_in_both_directions(store: Store) -> None:
    for number in range(1, 8):
        await add(store, decision(number, SetBudget(micros=number)))

    async def page(**place: int) -> list[int]:
        return [made.id for made in await store.decisions.history(10, None, 3, **place)]

    assert await page() == [7, 6, 5]
    assert await page(before=5) == [4, 3, 2]
    assert await page(before=2) == [1]
    assert await page(after=1) == [4, 3, 2]
    assert await page(after=7) == []


@on_both
async def test_decisions_count_in_the_order_in_which_they_were_written_down(store: Store) -> None:
    """Interactions may arrive in another order than Discord has numbered them, and clocks may differ."""
    late, early = decision(9, SetBudget(micros=9)), replace(decision(8, SetBudget(micros=8)), at=NOW)
    for made in (late, early):
        await add(store, made)
    assert (await store.decisions.rules(10)).budget == 8
    history = await store.decisions.history(10, None, 9)
    assert [made.id for made in history] == [8, 9]
    assert history[0].at > history[1].at
    assert await store.decisions.history(10, None, 9, before=8) == history[1:]
    assert await store.decisions.history(10, None, 9, after=9) == history[:1]


@on_both
async def test_of_overrides_the_one_written_down_last_counts_as_well(store: Store) -> None:
    await add(store, decision(7, SetAllowance(member_id=30, allowance=FIVE)))
    await add(store, decision(6, SetAllowance(member_id=30, allowance=SIX)))
    await add(store, decision(5, BlockMember(member_id=31)))
    await add(store, decision(4, UnblockMember(member_id=31)))
    await add(store, decision(3, BlockMember(member_id=30)))
    overrides = await store.decisions.overrides(10, NOW, 9)
    assert overrides == replace(NOTHING, members={30: SIX}, blocks={30: Block(None, None)})
