r"""Log records as a terminal can show them: what vendors and members wrote gives it no orders.

A control character is shown as Python writes it, such as \x1b; a line break in a message as \n, so that
nobody forges a line. Lines of a traceback stay lines, each behind a bar, which no record begins with.
"""

import logging
import unicodedata

_SHOWN = "%(asctime)s %(levelname)-8s %(name)s %(message)s"
_BAR = "  | "


class Visible(logging.Formatter):
    """Formats records; everything in them is visible, traceback and all."""

    def __init__(self) -> None:
        super().__init__(_SHOWN, "%Y-%m-%d %H:%M:%S")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the name is logging's
        return visible(super().formatMessage(record))

    def format(self, record: logging.LogRecord) -> str:
        # Another handler may have left its own text of the exception there.
        record.exc_text = None
        first, *rest = super().format(record).split("\n")
        return "\n".join([first, *(f"{_BAR}{visible(line)}" for line in rest)])


def visible(text: str) -> str:
    """The text with every control character written out, and all that turns the direction of writing."""
    return "".join(_written(char) if unicodedata.category(char) in _HIDDEN else char for char in text)


_HIDDEN = {"Cc", "Cf", "Cs", "Zl", "Zp"}


def _written(char: str) -> str:
    return char.encode("unicode_escape").decode("ascii")


def set_up_logging(log_level: str) -> None:
    """Everything goes to stderr, from this level on, and gives no terminal orders."""
    level = logging.getLevelNamesMapping()[log_level.upper()]
    handler, root = logging.StreamHandler(), logging.getLogger()
    handler.setFormatter(Visible())
    root.setLevel(level)
    root.addHandler(handler)
    # Below INFO they log interaction tokens and addresses, and what is written into the database.
    for name in ("discord", "aiosqlite"):
        logging.getLogger(name).setLevel(max(level, logging.INFO))
