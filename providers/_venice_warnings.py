"""What Venice's headers say about the account and its models: told to the operator, once for each state."""

import logging
import math
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime

from providers.http import JsonObject

log = logging.getLogger(__name__)

_BALANCES = ("x-venice-balance-usd", "x-venice-balance-diem")
_WARNING = "x-venice-model-deprecation-warning"
_DATE = "x-venice-model-deprecation-date"
_LONGEST = 200


def _today() -> date:
    return datetime.now(UTC).date()


class Warnings:
    """Reads the headers of answers; a balance that is low is told again only after it was not."""

    def __init__(self, low_balance: float, today: Callable[[], date] = _today) -> None:
        self._low_balance = low_balance
        self._is_low = False
        self._today = today
        self._day = date.min
        self._told: set[str] = set()
        """Models whose end was told on this day."""

    def read(self, headers: Mapping[str, str], asked: JsonObject) -> None:
        """Take notice of an answer to what was asked."""
        self._read_balance(headers)
        if _WARNING in headers or _DATE in headers:
            self._read_deprecation(headers, str(asked.get("model", "a model")))

    def _read_balance(self, headers: Mapping[str, str]) -> None:
        found = [amount for name in _BALANCES if (amount := _number(headers.get(name))) is not None]
        if not found:
            return
        left = sum(found)  # either pays for a video
        if left < self._low_balance and not self._is_low:
            log.warning(
                "Venice: the balance is low (%.2f in USD and DIEM); without any, Venice is paused",
                left,
            )
        self._is_low = left < self._low_balance

    def _read_deprecation(self, headers: Mapping[str, str], model: str) -> None:
        if (today := self._today()) != self._day:
            self._day = today
            self._told.clear()
        if model not in self._told:
            self._told.add(model)
            words = (_plain(headers.get(name, "")) for name in (_DATE, _WARNING))
            log.warning("Venice retires %s: %s", _plain(model), " ".join(filter(None, words)))


def _number(text: str | None) -> float | None:
    try:
        number = float(text or "")
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _plain(text: str) -> str:
    """Words of a vendor's, fit for one line of a log."""
    return "".join(char if char.isprintable() else " " for char in text)[:_LONGEST].strip()
