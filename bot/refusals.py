"""Why a video is not booked, in sentences for the person who asked. Pure."""

from bot.notices import NOT_CHARGED
from bot.quota.allowances import Pause, Refusal, Standing, WindowKind
from bot.quota.limits import LONGEST_REASON, OperatorBudget, Period, Scope
from bot.words import code, count, dollars, escape, full, relative

_IN_WINDOW = {WindowKind.DAY: "today", WindowKind.WEEK: "this week", WindowKind.MONTH: "this month"}


_BUDGETS = {
    Scope.BOT: "This bot has used up what it may spend on videos",
    Scope.SERVER: "This server has used up what the bot may spend on its videos",
}
_SPENT_IN = {Period.HOUR: "in an hour", Period.DAY: "today", Period.MONTH: "this month"}


def refusal(why: Refusal, standing: Standing, price: int, cost: int = 0) -> str:
    """Why a video is not booked: what has happened, when that changes, and that nothing was charged."""
    match why:
        case Refusal.PAUSED if standing.pause is not None:
            return f"{_paused(standing.pause)} {NOT_CHARGED}"
        case Refusal.BLOCKED:
            until = standing.block.until if standing.block else None
            end = f"until {full(until)}" if until else "until a moderator allows it again"
            return f"A moderator has decided that you may not make videos here {end}. {NOT_CHARGED}"
        case Refusal.BUDGET_SPENT if standing.budget is not None:
            cheaper = "; until then, a cheaper video may fit" if standing.budget.left else ""
            return (
                "Too little is left of this server's budget for videos this month. It renews "
                f"{relative(standing.budget.window.end)}{cheaper}. {NOT_CHARGED}"
            )
        case Refusal.NOTHING_LEFT:
            return f"{_left(standing, price)} {NOT_CHARGED}"
        case _:
            return f"{_operators(why, standing, cost)} {NOT_CHARGED}"


def _operators(why: Refusal, standing: Standing, cost: int) -> str:
    """What the operator's own limits have to say."""
    if why is Refusal.CEILING_REACHED and standing.ceiling is not None:
        return (
            f"This bot allows each member {count(standing.ceiling.limit, 'credit')} a day in all servers "
            "together, and you have too few left for this video. They renew "
            f"{relative(standing.ceiling.window.end)}."
        )
    if why is Refusal.TOO_EXPENSIVE and standing.most_micros is not None:
        return (
            f"This video would cost {dollars(cost)}, and whoever runs this bot allows "
            f"{dollars(standing.most_micros)}. Choose a shorter or smaller one, or another model."
        )
    return _over_budget(standing, cost)


def _paused(pause: Pause) -> str:
    end = f" until {full(pause.until)}" if pause.until else " for now"
    return f"Moderators have paused videos in this server{end}{because(pause.reason)}."


def stopped(reason: str, provider: str | None = None) -> str:
    """What the operator has paused: all of the bot, or one provider."""
    instead = "Choose another provider." if provider else "Try again later."
    what = escape(provider) if provider else "it"
    return f"Whoever runs this bot has paused {what}{because(reason)}. {instead} {NOT_CHARGED}"


def because(reason: str | None) -> str:
    """The reason of a pause, all of it."""
    return f": {code(reason, LONGEST_REASON)}" if reason else ""


def _over_budget(standing: Standing, cost: int) -> str:
    budget = standing.exceeded(cost)
    if not isinstance(budget, OperatorBudget):
        return "This bot may spend nothing on videos now."
    ended = f"{_BUDGETS[budget.scope]} {_SPENT_IN[budget.period]}."
    if budget.period is Period.HOUR:
        return f"{ended} Try again in a while."
    return f"{ended} That renews {relative(budget.window.end)}."


def _left(standing: Standing, price: int) -> str:
    allowance = standing.ruling.allowance
    if allowance.amount == 0 and not standing.granted:
        return "You have no credits for videos in this server; its moderators decide who has."
    granted = f", and {count(standing.granted, 'granted credit')}" if standing.granted else ""
    return (
        f"You have {standing.in_window} of {count(allowance.amount or 0, 'credit')} left "
        f"{_IN_WINDOW[allowance.kind]}{granted}; this video takes {price}. "
        f"They renew {relative(standing.window.end)}."
    )
