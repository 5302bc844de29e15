"""`/settings status` in words: ten lines. Pure."""

from bot.jobs import Failure
from bot.overview import Overview, ProviderState
from bot.quota.allowances import Budget
from bot.quota.limits import OperatorBudget, Scope
from bot.refusals import because
from bot.words import count, dollars, escape, full
from cogs._decisions import amount_of

_PROVIDERS = 8
"""Entries listed before the rest is counted."""
_PAUSED = {
    Failure.UNAUTHORIZED: "does not accept the bot's key",
    Failure.OUT_OF_FUNDS: "has no credit left",
}


def overview(now: Overview, owner_id: int | None) -> str:
    """How a server stands: what is paused, used and allowed, and who runs the bot."""
    here = [budget for budget in now.operator_budgets if budget.scope is Scope.SERVER]
    bot = [budget for budget in now.operator_budgets if budget.scope is Scope.BOT]
    most = now.limits.video_micros
    lines = {
        "Videos": _pause(now),
        "This server's budget": _spent(now.budget, "month") if now.budget else "no limit set by moderators",
        "The operator's budget for this server": _each(here),
        "The operator's budget for all servers": ", ".join(map(_share, bot)) or "no limit",
        "Each member": f"{amount_of(now.everyone)} without a rule of their own; {_ceiling(now)}",
        "At once": f"{_jobs(now.member_jobs)} for a member, {_jobs(now.server_jobs)} for the server",
        "One video": f"at most {dollars(most)}" if most is not None else "no limit on its price",
        "Providers": _providers(now),
        "Queue": f"{now.waiting} waiting, {now.under_way} under way",
        "Run by": f"<@{owner_id}>" if owner_id else "not known",
    }
    return "\n".join(f"**{name}:** {words}" for name, words in lines.items())


def _pause(now: Overview) -> str:
    if now.pauses.everything is not None:
        return f"paused by whoever runs the bot{because(now.pauses.everything)}"
    if now.pause is None:
        return "on"
    until = f" until {full(now.pause.until)}" if now.pause.until else ""
    return f"paused by moderators{until}{because(now.pause.reason)}"


def _spent(budget: Budget, period: str) -> str:
    return f"{dollars(budget.spent)} of {dollars(budget.limit)} used this {period}"


def _each(budgets: list[OperatorBudget]) -> str:
    return ", ".join(_spent(budget, budget.period) for budget in budgets) or "no limit"


def _share(budget: OperatorBudget) -> str:
    """Of all servers together, moderators of one see how much is used and not how much money that is."""
    share = min(1.0, budget.spent / budget.limit) if budget.limit else 1.0
    return f"{share:.0%} used this {budget.period}"


def _ceiling(now: Overview) -> str:
    most = now.limits.allowance
    return (
        "no other limit" if most is None else f"nobody more than {count(most, 'credit')} a day in all servers"
    )


def _jobs(number: int | None) -> str:
    return "no limit" if number is None else count(number, "video")


def _providers(now: Overview) -> str:
    told = [f"{escape(provider.label)} {_health(provider)}" for provider in now.providers[:_PROVIDERS]]
    more = len(now.providers) - _PROVIDERS
    return "; ".join([*told, *([f"and {more} more"] if more > 0 else [])]) or "none"


def _health(provider: ProviderState) -> str:
    if provider.stopped is not None:
        return f"is paused by whoever runs the bot{because(provider.stopped)}"
    if provider.paused is not None:
        return _PAUSED.get(provider.paused, "is paused")
    return "is well" if provider.is_well else "does not answer well and is left alone for a while"
