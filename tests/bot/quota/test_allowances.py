from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from bot.quota.allowances import (
    Allowance,
    Block,
    Budget,
    Grant,
    Refusal,
    Ruling,
    Source,
    Standing,
    Tariff,
    Window,
    WindowKind,
    window_at,
    winner,
)
from providers.options import Choice
from providers.specs import Mode, ModelSpec, Per, Price, VideoRequest

DAY, WEEK, MONTH = WindowKind
UTC_ZONE = ZoneInfo("UTC")


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("kind", "now", "start", "end"),
    [
        (DAY, "2024-05-15T13:14:15.000016", "2024-05-15", "2024-05-16"),
        (DAY, "2024-05-15", "2024-05-15", "2024-05-16"),
        (DAY, "2024-05-15T23:59:59.999999", "2024-05-15", "2024-05-16"),
        (DAY, "2024-02-28T12:00", "2024-02-28", "2024-02-29"),
        (DAY, "2024-02-29T12:00", "2024-02-29", "2024-03-01"),
        (DAY, "2023-02-28T12:00", "2023-02-28", "2023-03-01"),
        (DAY, "2024-12-31T23:59", "2024-12-31", "2025-01-01"),
        (WEEK, "2024-05-13", "2024-05-13", "2024-05-20"),
        (WEEK, "2024-05-19T23:59:59.999999", "2024-05-13", "2024-05-20"),
        (WEEK, "2024-03-01T12:00", "2024-02-26", "2024-03-04"),
        (WEEK, "2025-01-01T12:00", "2024-12-30", "2025-01-06"),
        (MONTH, "2024-02-29T12:00", "2024-02-01", "2024-03-01"),
        (MONTH, "2023-02-01", "2023-02-01", "2023-03-01"),
        (MONTH, "2024-01-31T12:00", "2024-01-01", "2024-02-01"),
        (MONTH, "2024-12-31T23:59:59.999999", "2024-12-01", "2025-01-01"),
    ],
)
def test_windows_begin_at_midnight_on_mondays_and_on_the_first(
    kind: WindowKind, now: str, start: str, end: str
) -> None:
    assert window_at(kind, utc(now), UTC_ZONE) == Window(utc(start), utc(end))


@pytest.mark.parametrize("kind", WindowKind)
@pytest.mark.parametrize(
    "name", ["UTC", "Europe/Berlin", "America/Sao_Paulo", "Pacific/Apia", "Asia/Kathmandu"]
)
def test_windows_follow_each_other_without_gap_or_overlap(kind: WindowKind, name: str) -> None:
    zone = ZoneInfo(name)
    window = window_at(kind, utc("2011-12-01"), zone)
    while window.end < utc("2013-03-05"):
        following = window_at(kind, window.end, zone)
        assert following.start == window.end
        assert window_at(kind, window.end - timedelta(microseconds=1), zone) == window
        window = following


@pytest.mark.parametrize(
    ("name", "day", "hours"),
    [
        ("Europe/Berlin", "2024-03-31", 23),
        ("Europe/Berlin", "2024-10-27", 25),
        ("America/Sao_Paulo", "2018-11-04", 23),  # the clock skips midnight itself
        ("America/Havana", "2023-11-05", 25),  # midnight comes twice
        ("UTC", "2024-02-29", 24),
    ],
)
def test_a_day_is_a_day_of_the_servers_own_clock(name: str, day: str, hours: int) -> None:
    noon = datetime.fromisoformat(f"{day}T12:00").replace(tzinfo=ZoneInfo(name))
    window = window_at(DAY, noon, ZoneInfo(name))
    assert window.end - window.start == timedelta(hours=hours)
    assert window.start <= noon < window.end


def allowed(amount: int | None, kind: WindowKind = DAY) -> Allowance:
    return Allowance(amount=amount, kind=kind)


BOT = allowed(5)


@pytest.mark.parametrize(
    ("member", "roles", "server", "held", "ruling"),
    [
        (None, {}, None, [], Ruling(BOT, Source.BOT)),
        (None, {}, allowed(3), [], Ruling(allowed(3), Source.SERVER)),
        (None, {7: allowed(1)}, allowed(3), [7], Ruling(allowed(1), Source.ROLE, 7)),
        (None, {7: allowed(1)}, allowed(3), [8], Ruling(allowed(3), Source.SERVER)),
        (allowed(0), {7: allowed(None)}, None, [7], Ruling(allowed(0), Source.MEMBER)),
        (None, {7: allowed(9), 8: allowed(None)}, None, [7, 8], Ruling(allowed(None), Source.ROLE, 8)),
        (None, {7: allowed(2), 8: allowed(10, WEEK)}, None, [7, 8], Ruling(allowed(2), Source.ROLE, 7)),
        (
            None,
            {7: allowed(1), 8: allowed(31, MONTH)},
            None,
            [7, 8],
            Ruling(allowed(31, MONTH), Source.ROLE, 8),
        ),
        (None, {7: allowed(1), 8: allowed(7, WEEK)}, None, [7, 8], Ruling(allowed(7, WEEK), Source.ROLE, 8)),
        (None, {7: allowed(2), 8: allowed(2)}, None, [8, 7], Ruling(allowed(2), Source.ROLE, 7)),
        (
            None,
            {role: allowed(role) for role in range(30)},
            None,
            range(30),
            Ruling(allowed(29), Source.ROLE, 29),
        ),
    ],
)
def test_member_beats_role_and_the_best_role_beats_the_server(
    member: Allowance | None,
    roles: dict[int, Allowance],
    server: Allowance | None,
    held: Sequence[int],
    ruling: Ruling,
) -> None:
    assert winner(member, roles, server, BOT, held) == ruling


TODAY = window_at(DAY, utc("2024-05-15"), UTC_ZONE)


def standing(amount: int | None, used: int = 0, **more: Any) -> Standing:
    return Standing(Ruling(allowed(amount), Source.BOT), TODAY, used, more.pop("grants", ()), **more)


def grant(number: int, amount: int, drawn: int = 0) -> Grant:
    return Grant(number, amount, None, drawn, None)


def test_what_is_left_never_falls_below_nothing() -> None:
    assert [standing(3, used).left for used in (0, 2, 3, 4)] == [3, 1, 0, 0]
    assert standing(None, 99).left is None


@pytest.mark.parametrize(
    ("where", "price", "cost", "why"),
    [
        (standing(3, 1), 2, 0, None),
        (standing(3, 1), 3, 0, Refusal.NOTHING_LEFT),
        (standing(0), 0, 0, Refusal.NOTHING_LEFT),
        (standing(None), 1000, 0, None),
        (standing(3, 3, grants=[grant(1, 2, 1)]), 1, 0, None),
        (standing(3, 3, grants=[grant(1, 2, 1)]), 2, 0, Refusal.NOTHING_LEFT),
        (standing(0, grants=[grant(1, 1)]), 1, 0, None),
        (standing(None, block=Block(None, None)), 1, 0, Refusal.BLOCKED),
        (standing(None, budget=Budget(100, 40, TODAY)), 1, 60, None),
        (standing(None, budget=Budget(100, 40, TODAY)), 1, 61, Refusal.BUDGET_SPENT),
        (standing(None, budget=Budget(100, 100, TODAY)), 1, 1, Refusal.BUDGET_SPENT),
        (standing(None, budget=Budget(100, 100, TODAY)), 1, 0, None),
        (standing(None, budget=Budget(50, 80, TODAY)), 1, 1, Refusal.BUDGET_SPENT),
    ],
)
def test_a_video_is_booked_if_nothing_speaks_against_it(
    where: Standing, price: int, cost: int, why: Refusal | None
) -> None:
    assert where.refusal(price, cost) is why


@pytest.mark.parametrize(
    ("used", "price", "draws"), [(0, 3, {}), (1, 3, {1: 1}), (3, 3, {1: 2, 2: 1}), (9, 1, {1: 1})]
)
def test_the_window_pays_first_and_then_the_grant_that_expires_first(
    used: int, price: int, draws: dict[int, int]
) -> None:
    assert standing(3, used, grants=[grant(1, 5, 3), grant(2, 4)]).draws(price) == draws


def test_who_has_no_limit_draws_from_no_grant() -> None:
    assert standing(None, 9, grants=[grant(1, 5)]).draws(3) == {}


def spec(per: Per | None) -> ModelSpec:
    price = None if per is None else Price(usd_micros=1, per=per)
    duration = Choice(values=(5, 10), default=5)
    return ModelSpec(id="m", name="M", mode=Mode.TEXT_TO_VIDEO, price=price, duration=duration)


@pytest.mark.parametrize(
    ("tariff", "priced", "seconds", "price"),
    [
        (Tariff(credits=2), None, 10, 2),
        (Tariff(credits=2), Per.VIDEO, 10, 2),
        (Tariff(credits=2), Per.SECOND, 10, 20),
        (Tariff(credits=2), Per.SECOND, None, 10),
        (Tariff(credits=2, per=Per.VIDEO), Per.SECOND, 10, 2),
        (Tariff(credits=2, per=Per.SECOND), None, 5, 10),
        (Tariff(credits=0), Per.SECOND, 5, 0),
    ],
)
def test_a_tariff_counts_by_the_second_where_the_model_is_priced_so(
    tariff: Tariff, priced: Per | None, seconds: int | None, price: int
) -> None:
    assert tariff.of(spec(priced), VideoRequest(model="m", prompt="p", duration=seconds)) == price
