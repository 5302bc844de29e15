"""Ids that come back from Discord in the custom ids of buttons, or that people type."""

from bot.errors import BadRequest

ID = r"[0-9]{1,20}"
"""In the template of a custom id; `\\d` would take the digits of every script, and any number of them."""
UNKNOWN_BUTTON = "I don't know this button. Run the command again to get a new one."
_LARGEST = 2**63 - 1


def is_id(number: int) -> bool:
    """Whether Discord gives out such ids, and the database takes them."""
    return 0 < number <= _LARGEST


def known(*numbers: int) -> None:
    """Check the ids of a button. Raises BadRequest."""
    if not all(map(is_id, numbers)):
        raise BadRequest(UNKNOWN_BUTTON)


def read_id(typed: str) -> int:
    """The id that was typed; 0, which nothing has, for what is none."""
    is_plain = typed.isascii() and typed.isdecimal() and len(typed) <= len(str(_LARGEST))
    number = int(typed) if is_plain else 0
    return number if is_id(number) else 0
