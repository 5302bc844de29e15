"""Whether enough is known of what a video costs, where money is counted."""

import logging

from bot.errors import NotNow
from bot.quota.limits import Limits
from bot.quota.rules import ServerRules
from bot.words import escape
from providers import AnyProvider

log = logging.getLogger(__name__)


def is_unknown(provider: AnyProvider, quoted: int | None, rules: ServerRules, limits: Limits) -> bool:
    """Whether a price counts against a budget and nobody names it.

    A server's own budget leaves alone who never names one; the operator's limits do not.
    """
    if quoted is not None or provider.terms.is_free:
        return False
    return limits.needs_prices or (rules.budget is not None and provider.terms.quotes)


def check_price(provider: AnyProvider, quoted: int | None, rules: ServerRules, limits: Limits) -> None:
    """Raises NotNow if the price is not known and has to be."""
    if not is_unknown(provider, quoted, rules, limits):
        return
    if provider.terms.quotes:
        raise NotNow(
            f"{escape(provider.label)} does not say what this costs just now, and there is a budget. "
            "Try again in a minute, or choose another provider. Nothing was charged."
        )
    setting = f"{provider.name.upper()}_PRICE"
    log.error("nothing is made at %s: it names no price, and %s is not set", provider.label, setting)
    raise NotNow(
        f"Whoever runs this bot has to set a price for {escape(provider.label)} first. "
        "Until then, choose another provider. Nothing was charged."
    )
