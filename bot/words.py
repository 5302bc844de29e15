"""Numbers and times as people read them. Pure."""

from collections.abc import Sequence
from datetime import datetime


def count(number: int, thing: str) -> str:
    """A number of things: "1 credit", "2 credits"."""
    return f"{number} {thing}{'' if number == 1 else 's'}"


def code(text: str) -> str:
    """A name that somebody else chose, as it is and without being able to format or link anything."""
    plain = " ".join(text.replace("`", "'").split())
    return f"`{plain[:100] or '?'}`"


def fitting(lines: Sequence[str], room: int = 1024) -> str:
    """As many lines as fit into a field, and how many more there are."""
    shown = list(lines)
    text = "\n".join(shown)
    while len(text) > room and shown:
        shown.pop()
        text = "\n".join([*shown, f"and {len(lines) - len(shown)} more"])
    return text


def dollars(micros: int, *, at_least: bool = False) -> str:
    """Millionths of a US dollar as people read money, not rounded: "$0.08", "$0.0005", "from $0.075"."""
    whole, fraction = divmod(micros, 1_000_000)
    return f"{'from ' if at_least else ''}${whole}.{f'{fraction:06}'.rstrip('0').ljust(2, '0')}"


def span(seconds: float) -> str:
    """A length of time in words: "1 second", "80 seconds", "2 minutes"."""
    if seconds < 90:  # noqa: PLR2004 - from here on nobody counts seconds
        return count(max(1, round(seconds)), "second")
    return count(round(seconds / 60), "minute")


def relative(moment: datetime) -> str:
    """A moment that Discord shows as "in 3 hours" or "2 days ago", and keeps true."""
    return f"<t:{int(moment.timestamp())}:R>"


def full(moment: datetime) -> str:
    """A moment that Discord shows as a date and a time, in the reader's own zone."""
    return f"<t:{int(moment.timestamp())}:f>"
