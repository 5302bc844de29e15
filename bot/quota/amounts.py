"""Numbers as moderators type them. Pure."""

import re
from decimal import Decimal

from bot.errors import BadRequest
from bot.quota.allowances import MOST_CREDITS, MOST_MICROS, Allowance, WindowKind

UNCHANGED = "Nothing was changed."
DEFAULT = "default"
UNLIMITED = "unlimited"
MOST_JOBS = 1000
_MICROS = 1_000_000
_DOLLARS = re.compile(r"\$? ?((?:[0-9]{1,12}|[0-9]{1,3}(?:,[0-9]{3}){1,3})(?:\.[0-9]{1,6})?)")
"""Commas only between thousands: `7,50` is not $750. No exponents: `1e999990` takes Python half a minute."""


def allowance_typed(typed: str, kind: WindowKind | None, now: Allowance) -> Allowance:
    text = typed.strip().casefold()
    kind = kind or now.kind
    if text == UNLIMITED:
        return Allowance(amount=None, kind=kind)
    is_difference = text.startswith(("+", "-"))
    if is_difference and now.amount is None:
        raise BadRequest(f"There is no limit to add to or take from. {UNCHANGED}")
    if is_difference and kind is not now.kind:
        raise BadRequest(
            f"A difference counts by the {now.kind} as before; with another window, type the whole number. "
            f"{UNCHANGED}"
        )
    amount = _number(text) + ((now.amount or 0) if is_difference else 0)
    return Allowance(amount=_bounded(amount), kind=kind)


def credits_typed(typed: str) -> int:
    text = typed.strip()
    if not (text.isascii() and text.isdigit()):
        raise BadRequest(f"I cannot read that as a price. Try `5` or `{DEFAULT}`. {UNCHANGED}")
    return _bounded(_number(text))


def cap_typed(typed: str) -> int | None:
    """Jobs at once; None is the bot's default."""
    text = typed.strip().casefold()
    if text == DEFAULT:
        return None
    if not (text.isascii() and text.isdigit() and 1 <= _number(text) <= MOST_JOBS):
        raise BadRequest(f"Type a number of videos from 1 to {MOST_JOBS}, or `{DEFAULT}`. {UNCHANGED}")
    return _number(text)


def _number(text: str) -> int:
    digits = text.lstrip("+-")
    if not (digits.isascii() and digits.isdigit() and len(text) - len(digits) <= 1):
        raise BadRequest(
            f"I cannot read that as credits. Try `5`, `+2`, `-1`, `{UNLIMITED}` or `{DEFAULT}`. {UNCHANGED}"
        )
    # Longer numbers are too large anyway, and Python takes its time with very long ones.
    return int(f"{text[0] if text[0] in '+-' else ''}{digits[:20]}")


def _bounded(amount: int) -> int:
    if not 0 <= amount <= MOST_CREDITS:
        raise BadRequest(f"That would be {amount:,} credits; 0 to {MOST_CREDITS:,} are possible. {UNCHANGED}")
    return amount


def micros_typed(typed: str) -> int:
    read = _DOLLARS.fullmatch(typed.strip())
    micros = int(Decimal(read[1].replace(",", "")) * _MICROS) if read else -1
    if not 0 <= micros <= MOST_MICROS:
        raise BadRequest(
            f"A budget is an amount of US dollars a month, such as `25` or `7.50`, up to "
            f"${MOST_MICROS // _MICROS:,}, or `{UNLIMITED}`. {UNCHANGED}"
        )
    return micros
