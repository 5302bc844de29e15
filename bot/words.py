"""Numbers and times as people read them. Pure."""

import unicodedata
from collections.abc import Sequence
from datetime import datetime

_FORMATS = frozenset("\\`*_~|<>#+-.:/()[]@")
"""What Discord's markdown, mentions, emoji, times and links are made of, wherever in a line they stand."""
_JOINERS = "\u200c\u200d"
"""Invisible, and part of how some scripts and emoji are written."""
_MOST_MARKS = 4
"""Marks on top of one letter: scripts need fewer, and more of them cover the lines around."""


def count(number: int, thing: str) -> str:
    """A number of things: "1 credit", "2 credits"."""
    return f"{number} {thing}{'' if number == 1 else 's'}"


def plain(text: str) -> str:
    """What somebody else wrote as one line that looks like what it is; for where nothing formats.

    Control characters, characters without width and those that turn the direction of writing are left out.
    """
    kept: list[str] = []
    marks = 0
    for char in " ".join(text.split()):
        category = unicodedata.category(char)
        marks = marks + 1 if category in {"Mn", "Me"} else 0
        if category in {"Cc", "Cs"} or marks > _MOST_MARKS:
            continue
        if category == "Cf" and (char not in _JOINERS or kept[-1:] in ([], ["\u200c"], ["\u200d"])):
            continue
        kept.append(char)
    return " ".join("".join(kept).split())


def escape(text: str, length: int = 100) -> str:
    """What somebody else wrote, on one line of so many characters; it formats, links and mentions nothing.

    For everything that a member, a moderator or a provider chose, wherever Discord reads markdown. What is
    too long is cut and ends in "…"; no escape is cut in two.
    """
    shown = [_escaped(char) for char in plain(text)]
    size = sum(map(len, shown))
    if size <= length:
        return "".join(shown)
    while shown and (size > length - 1 or shown[-1] == " "):
        size -= len(shown.pop())
    return f"{''.join(shown)}…"


def _escaped(char: str) -> str:
    # Discord finds mentions in the raw text, where a backslash is no obstacle.
    return f"\\{char}\u200b" if char == "@" else f"\\{char}" if char in _FORMATS else char


def code(text: str, length: int = 100) -> str:
    """What somebody else chose to write, as it is and without being able to format or link anything.

    What is too long is cut and ends in "…".
    """
    name = plain(text).replace("`", "'")
    shown = name if len(name) <= length else f"{name[: length - 1].rstrip()}…"
    return f"`{shown or '?'}`"


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
