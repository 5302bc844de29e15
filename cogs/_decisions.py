"""What moderators decide, in words: for their reply, the log channel and the history. Pure."""

from collections.abc import Callable
from typing import TypeAlias

from bot.quota.allowances import Allowance, Tariff, WindowKind, within
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
from bot.quota.limits import Limits, Period, Scope
from bot.quota.rules import Elsewhere
from bot.words import code, count, dollars, escape, full
from providers.specs import Per

Label: TypeAlias = Callable[[str], str]
"""A provider's name as people read it."""
EACH = {WindowKind.DAY: "day", WindowKind.WEEK: "week", WindowKind.MONTH: "month"}
_FALLBACK = {
    True: "lets a job that no provider has accepted go to another provider",
    False: "keeps a job that no provider has accepted where it was sent",
    None: "leaves it to the bot's default whether a job that no provider has accepted goes to another one",
}

ELSEWHERE = {
    Elsewhere.NOWHERE: "to its member directly",
    Elsewhere.PARENT: "from a public thread to its channel, else to its member directly",
    Elsewhere.SYSTEM: "from a public thread to its channel, else to the system channel",
}


def told(decision: Decision, label: Label) -> str:
    """What a decision does, such as "gives <@5> 3 extra credits", with its reason."""
    why = f" ({escape(decision.reason, 200)})" if decision.reason else ""
    return f"{_done(decision, label)}{why}"


def still(change: Change, limits: Limits) -> str:
    """What holds where a decision allows more than the operator does; nothing if it does not."""
    match change:
        case SetAllowance(allowance=Allowance() as given) if within(given, limits.ceiling) != given:
            over = [count(limits.allowance or 0, "credit") + " a day"]
        case GiveGrant() if limits.allowance is not None:
            over = [count(limits.allowance, "credit") + " a day"]
        case SetCaps(member=member, server=server):
            most = ((member, limits.member_jobs, "a member"), (server, limits.server_jobs, "the server"))
            over = [
                f"{count(cap, 'video')} for {whose}"
                for asked, cap, whose in most
                if cap and (asked or 0) > cap
            ]
        case SetBudget(micros=asked):
            over = [
                f"{dollars(most)} a {period}"
                for (scope, period), most in limits.budgets.items()
                if scope is Scope.SERVER and (period is Period.DAY or asked is None or asked > most)
            ]
        case _:
            return ""
    words = " and ".join(over)
    return f" The operator's limit of {words} still applies." if over else ""


def amount_of(allowance: Allowance) -> str:
    """An allowance in words: "5 credits a day"."""
    each = EACH[allowance.kind]
    return "no limit" if allowance.amount is None else f"{count(allowance.amount, 'credit')} a {each}"


def _done(decision: Decision, label: Label) -> str:  # noqa: C901, PLR0911, PLR0912 - one sentence for each kind of decision
    who = f"<@{decision.change.member_id}>"
    match decision.change:
        case SetAllowance() as change:
            new = f"to {amount_of(change.allowance)}" if change.allowance else "back to the next rule's"
            return f"sets the allowance of {_whose(change)} {new}"
        case GiveGrant(amount=amount, expires_at=end):
            until = f" until {full(end)}" if end else ""
            return f"gives {who} {count(amount, 'extra credit')}{until}"
        case RevokeGrants():
            return f"takes back what is left of the extra credits of {who}"
        case ResetUsage():
            return f"sets what {who} has used back to nothing"
        case BlockMember(until=end):
            return f"blocks {who} {f'until {full(end)}' if end else 'for good'}"
        case UnblockMember():
            return f"unblocks {who}"
        case SetPrice(tariff=tariff) as change:
            model = code(change.model) if change.model else "every model"
            return f"sets the price of {model} of {escape(label(change.provider))} to {tariff_words(tariff)}"
        case SetBudget(micros=micros):
            return f"sets the budget to {'no limit' if micros is None else f'{dollars(micros)} a month'}"
        case SetCaps(member=member, server=server):
            return f"lets a member have {_jobs(member)} and the server {_jobs(server)} under way at once"
        case SetTimezone(zone=zone):
            return f"sets the time zone to `{zone}`"
        case SetLog(channel_id=channel_id):
            return f"sends the log to <#{channel_id}>" if channel_id else "switches the log off"
        case SetDefaultProvider(provider=provider):
            name = escape(label(provider)) if provider else "what the bot has by default"
            return f"sets the provider for those who name none to {name}"
        case SetFallback(allowed=allowed):
            return _FALLBACK[allowed]
        case PauseServer(until=end):
            return f"pauses videos in this server{f' until {full(end)}' if end else ''}"
        case ResumeServer():
            return "lets videos be made in this server again"
        case SetElsewhere(where=where):
            return f"lets a video that its channel does not take go {ELSEWHERE[where]}"


def _whose(change: SetAllowance) -> str:
    if change.member_id is not None:
        return f"<@{change.member_id}>"
    return "everyone" if change.role_id is None else f"<@&{change.role_id}>"


def tariff_words(tariff: Tariff | None) -> str:
    """A price in credits: "2 credits a second"."""
    if tariff is None:
        return "the default"
    each = {None: "", Per.VIDEO: " a video", Per.SECOND: " a second"}[tariff.per]
    return f"{count(tariff.credits, 'credit')}{each}"


def _jobs(number: int | None) -> str:
    return "as many videos as by default" if number is None else count(number, "video")
