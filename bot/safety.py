"""What is refused before a provider ever sees it. Pure."""

import unicodedata
from collections.abc import Iterable

from bot.errors import BadRequest


def check(prompt: str, blocked_words: Iterable[str]) -> None:
    """Raise BadRequest for an empty prompt or one that contains a word the operator has blocked."""
    words = _words(prompt)
    if not words.strip():
        raise BadRequest("The prompt is empty. Describe the motion you want to see; nothing was charged.")
    for blocked in blocked_words:
        if _words(blocked) in words:
            raise BadRequest(
                "This prompt contains something that is not allowed here. Please word it differently; "
                "nothing was charged."
            )


def _words(text: str) -> str:
    """The words alone, each between spaces, with case, accents and look-alike forms folded away."""
    folded = unicodedata.normalize("NFKD", text).casefold()
    plain = (
        char for char in folded if not unicodedata.combining(char) and unicodedata.category(char) != "Cf"
    )
    return f" {' '.join(''.join(char if char.isalnum() else ' ' for char in plain).split())} "
