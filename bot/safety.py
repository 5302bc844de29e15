"""What is refused before a provider ever sees it. Pure."""

import re
import unicodedata
from collections.abc import Iterable

from bot.errors import BadRequest

_DECORATION = re.compile(
    "["
    "\u0300-\u036f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f"  # accents, strokes, enclosures
    "\u0591-\u05c7\u0610-\u061a\u0640\u064b-\u065f\u0670"  # points of Hebrew and Arabic, the Arabic stretch
    "\ufe00-\ufe0f\U000e0100-\U000e01ef"  # variants of what stands before them
    "\u115f\u1160\u3164\u2800"  # fillers: letters and signs that show nothing
    "]"
)
"""What changes a word's looks but not what people read. Vowel signs of Indic scripts and the like stay."""

_WITHOUT_SPACES = ("CJK", "IDEOGRAPHIC", "HIRAGANA", "KATAKANA", "THAI", "LAO", "KHMER", "MYANMAR")
"""Scripts that do not set words apart, by the first word of their characters' names."""


def check(prompt: str, blocked_words: Iterable[str]) -> None:
    """Raise BadRequest for a prompt that says nothing or contains a word the operator has blocked.

    Words and phrases are found whole, whatever their case and accents; in scripts without spaces, anywhere.
    """
    words = _words(prompt)
    if not words.strip():
        raise BadRequest("The prompt says nothing. Describe the motion you want to see; nothing was charged.")
    for blocked in blocked_words:
        if _words(blocked) in words:
            raise BadRequest(
                "This prompt contains something that is not allowed here. Please word it differently; "
                "nothing was charged."
            )


def _words(text: str) -> str:
    """The words alone, each between spaces, with case, accents and look-alike forms folded away."""
    folded = _DECORATION.sub("", unicodedata.normalize("NFKD", text).casefold())
    words = "".join(_spaced(char) for char in unicodedata.normalize("NFC", folded))
    return f" {' '.join(words.split())} "


def _spaced(char: str) -> str:
    """A character of a word as it is, one that is a word by itself between spaces, any other as a space."""
    category = unicodedata.category(char)
    if category == "Cf":
        return ""
    if category[0] not in "LMN" and category != "So":
        return " "
    alone = category == "So" or unicodedata.name(char, "").startswith(_WITHOUT_SPACES)
    return f" {char} " if alone else char
