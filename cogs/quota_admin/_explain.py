"""Which rule counts for a member, in words and with its numbers. Pure."""

from collections.abc import Collection

from bot.quota.allowances import Allowance, Source, Standing
from bot.quota.rules import ServerRules
from bot.words import count, dollars, full, relative
from cogs._decisions import amount_of

_LISTED = 10
"""So many roles and grants are named."""


def explain(
    member_id: int, role_ids: Collection[int], rules: ServerRules, standing: Standing, default: Allowance
) -> str:
    """A line for each rule there is, the one that wins first, and then what is left by it."""
    lines = [f"**<@{member_id}> has {amount_of(standing.ruling.allowance)}:** {_because(standing)}"]
    if (decided := standing.ruling.decided) is not None:
        lines.append(f"That rule says {amount_of(decided)}; the operator's limit is stricter.")
    lines += _beaten(role_ids, rules, standing, default)
    lines.append("")
    if standing.block is not None:
        until = f"until {full(standing.block.until)}" if standing.block.until else "for good"
        lines.append(f"Blocked {until}, so nothing can be made whatever is left.")
    since = max(standing.window.start, rules.resets.get(member_id, standing.window.start))
    lines.append(f"Used since {full(since)}: {count(standing.used, 'credit')}.")
    if standing.in_window is not None:
        lines.append(f"Left: {standing.in_window}; it renews {relative(standing.window.end)}.")
    for grant in standing.grants[:_LISTED]:
        end = f" until {full(grant.expires_at)}" if grant.expires_at else ""
        lines.append(f"Granted, and used after that: {grant.left} of {count(grant.amount, 'credit')}{end}.")
    if more := len(standing.grants) - _LISTED:
        lines += [f"and {count(more, 'more grant')}: {standing.granted} in all."] if more > 0 else []
    if (budget := standing.budget) is not None:
        lines.append(
            f"The server's budget has {dollars(budget.left)} of {dollars(budget.limit)} left this month."
        )
    return "\n".join(lines)


def _because(standing: Standing) -> str:
    match standing.ruling.source:
        case Source.MEMBER:
            return "a rule of their own, which beats every role."
        case Source.ROLE:
            return (
                f"the role <@&{standing.ruling.role_id}>, the best of their roles. It beats everyone's rule."
            )
        case Source.SERVER:
            return "the rule for everyone in this server; no rule of theirs says otherwise."
        case Source.BOT:
            return "the bot's default; this server has no rule for everyone, for their roles or for them."


def _beaten(
    role_ids: Collection[int], rules: ServerRules, standing: Standing, default: Allowance
) -> list[str]:
    """The rules that would have counted without the one that wins."""
    ruling = standing.ruling
    held = [role_id for role_id in sorted(role_ids) if role_id in rules.roles and role_id != ruling.role_id]
    lines = [f"-# not <@&{role_id}>: {amount_of(rules.roles[role_id])}" for role_id in held[:_LISTED]]
    if rules.everyone is not None and ruling.source is not Source.SERVER:
        lines.append(f"-# not everyone's rule: {amount_of(rules.everyone)}")
    if ruling.source is not Source.BOT:
        lines.append(f"-# not the bot's default: {amount_of(default)}")
    return lines
