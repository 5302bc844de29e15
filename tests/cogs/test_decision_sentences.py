"""One line for each kind of decision."""

from datetime import UTC, datetime
from typing import get_args

import pytest

from bot.quota.allowances import Allowance, Tariff, WindowKind
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
)
from bot.quota.rules import Elsewhere
from cogs._decisions import told
from providers.specs import Per

NOON = datetime(2024, 2, 29, 12, tzinfo=UTC)
DAILY = Allowance(amount=5, kind=WindowKind.DAY)
WEEKLY = Allowance(amount=1, kind=WindowKind.WEEK)
MONTHLY = Allowance(amount=0, kind=WindowKind.MONTH)
UNLIMITED = Allowance(amount=None, kind=WindowKind.DAY)
TWO = Tariff(credits=2)
CAPS = "under way at once"
SENT = "a job that no provider has accepted"


def line(change: Change, reason: str | None = None) -> str:
    return told(Decision(1, 10, 1, NOON, change, reason), str.title)


UNTAKEN = "lets a video that its channel does not take go"
LINES: list[tuple[Change, str]] = [
    (SetAllowance(member_id=5, allowance=DAILY), "sets the allowance of <@5> to 5 credits a day"),
    (SetAllowance(role_id=7, allowance=WEEKLY), "sets the allowance of <@&7> to 1 credit a week"),
    (SetAllowance(allowance=MONTHLY), "sets the allowance of everyone to 0 credits a month"),
    (SetAllowance(allowance=UNLIMITED), "sets the allowance of everyone to no limit"),
    (SetAllowance(role_id=7, allowance=None), "sets the allowance of <@&7> back to the next rule's"),
    (GiveGrant(member_id=5, amount=1), "gives <@5> 1 extra credit"),
    (GiveGrant(member_id=5, amount=2, expires_at=NOON), "gives <@5> 2 extra credits until <t:1709208000:f>"),
    (RevokeGrants(member_id=5), "takes back what is left of the extra credits of <@5>"),
    (ResetUsage(member_id=5), "sets what <@5> has used back to nothing"),
    (BlockMember(member_id=5), "blocks <@5> for good"),
    (BlockMember(member_id=5, until=NOON), "blocks <@5> until <t:1709208000:f>"),
    (UnblockMember(member_id=5), "unblocks <@5>"),
    (SetPrice(provider="x", tariff=TWO), "sets the price of every model of X to 2 credits"),
    (
        SetPrice(provider="x", model="m", tariff=Tariff(credits=1, per=Per.SECOND)),
        "sets the price of `m` of X to 1 credit a second",
    ),
    (
        SetPrice(provider="x", tariff=Tariff(credits=0, per=Per.VIDEO)),
        "sets the price of every model of X to 0 credits a video",
    ),
    (SetPrice(provider="x", tariff=None), "sets the price of every model of X to the default"),
    (SetBudget(micros=2_500_000), "sets the budget to $2.50 a month"),
    (SetBudget(micros=0), "sets the budget to $0.00 a month"),
    (SetBudget(micros=None), "sets the budget to no limit"),
    (SetCaps(member=1, server=2), f"lets a member have 1 video and the server 2 videos {CAPS}"),
    (
        SetCaps(server=3),
        f"lets a member have as many videos as by default and the server 3 videos {CAPS}",
    ),
    (SetTimezone(zone="Asia/Tokyo"), "sets the time zone to `Asia/Tokyo`"),
    (SetLog(channel_id=9), "sends the log to <#9>"),
    (SetLog(channel_id=None), "switches the log off"),
    (SetDefaultProvider(provider="x"), "sets the provider for those who name none to X"),
    (
        SetDefaultProvider(provider=None),
        "sets the provider for those who name none to what the bot has by default",
    ),
    (SetFallback(allowed=True), f"lets {SENT} go to another provider"),
    (SetFallback(allowed=False), f"keeps {SENT} where it was sent"),
    (SetFallback(allowed=None), f"leaves it to the bot's default whether {SENT} goes to another one"),
    (SetElsewhere(where=Elsewhere.NOWHERE), f"{UNTAKEN} to its member directly"),
    (PauseServer(), "pauses videos in this server"),
    (PauseServer(until=NOON), "pauses videos in this server until <t:1709208000:f>"),
    (ResumeServer(), "lets videos be made in this server again"),
    (
        SetElsewhere(where=Elsewhere.PARENT),
        f"{UNTAKEN} from a public thread to its channel, else to its member directly",
    ),
    (
        SetElsewhere(where=Elsewhere.SYSTEM),
        f"{UNTAKEN} from a public thread to its channel, else to the system channel",
    ),
]


@pytest.mark.parametrize(("change", "words"), LINES)
def test_an_act_is_told_in_one_line(change: Change, words: str) -> None:
    assert line(change) == words


def test_every_kind_of_act_has_its_line() -> None:
    kinds = get_args(get_args(Change)[0])
    assert {type(change) for change, _ in LINES} == set(kinds)


def test_the_reason_stands_behind_and_formats_and_mentions_nothing() -> None:
    said = line(UnblockMember(member_id=5), "**sorry** @everyone <@100000000000000004>\n# big")
    assert said.startswith(r"unblocks <@5> (\*\*sorry\*\* ")
    assert "@everyone" not in said
    assert "<@1" not in said
    assert "\n" not in said


def test_a_long_reason_is_cut() -> None:
    assert line(UnblockMember(member_id=5), "x" * 900) == f"unblocks <@5> ({'x' * 199}…)"
