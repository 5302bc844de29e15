"""What other people wrote is shown as they wrote it, and does nothing."""

import re
import unicodedata

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot.words import code, escape, plain

SPECIAL = "\\`*_~|<>#+-.:/()[]@"
HOSTILE = st.text(
    st.sampled_from(f"{SPECIAL} \n\r\t\x1b\x00\u200b\u200d\u202e\u2066\ufeff\u0301\U000e0041aZ0é字😀!,")
    | st.characters(),
    max_size=300,
)
LIVE = [
    "[a](b) **loud** ||x|| [c](d)",
    "[free nitro](https://evil.example)",
    "[a](<b>)",
    "# big",
    "-# small",
    "- list",
    "1. list",
    "> quote",
    ">>> quotes",
    "```py\nx```",
    "``a`b``",
    "__under__ _it_ ~~no~~ ***both***",
    r"\*not\* \\**x**",
    "<@100000000000000004> <@!1> <@&1> <#1> </quota:1> <id:home>",
    "<t:0:R> <:smile:1> <a:smile:1> :smile:",
    "@everyone @here",
    "https://evil.example/a_b_c <https://evil.example> discord.gg/x evil.example mailto:a@b.example",
    "a\n# b\r\n> c\u2028- d",
]


def tokens(shown: str) -> list[str]:
    """Discord's markdown reads a backslash and what follows as one, and that as text."""
    return re.findall(r"\\[^0-9A-Za-z\s]|[\s\S]", shown)


def text_of(shown: str) -> str:
    return "".join(token[-1] for token in tokens(shown) if token != "\u200b")


def is_inert(shown: str) -> bool:
    hidden = {"Cc", "Cs", "Zl", "Zp"}
    return not any(
        token in set(SPECIAL) or unicodedata.category(token[-1]) in hidden for token in tokens(shown)
    )


@pytest.mark.parametrize("live", LIVE)
def test_nothing_is_alive_and_all_is_readable(live: str) -> None:
    assert is_inert(escape(live, 1000))
    assert text_of(escape(live, 1000)) == plain(live)


@pytest.mark.parametrize("mention", ["@everyone", "@here", "<@1", "<#1", "<t:", "://", "discord.gg/"])
def test_the_raw_text_has_nothing_that_discord_looks_for(mention: str) -> None:
    assert mention not in escape(" ".join(LIVE), 5000)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(HOSTILE, st.integers(1, 120))
def test_no_special_character_is_left_and_no_escape_is_cut(text: str, length: int) -> None:
    shown = escape(text, length)
    assert is_inert(shown)
    assert len(shown) <= length
    whole = text_of(escape(text, 10_000))
    assert whole == plain(text)
    assert shown == escape(text, 10_000) or (
        shown.endswith("…") and whole.startswith(text_of(shown)[:-1].rstrip())
    )


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(HOSTILE)
def test_a_code_span_holds_all_of_the_name_and_ends_where_it_ends(text: str) -> None:
    assert re.fullmatch(r"`[^`\n\r]{1,100}`", code(text))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("gnp.\u202eexe", "gnp.exe"),
        ("a\u200bb\u2060c\ufeffd\u00ad", "abcd"),
        ("a\x1b[31mred\x00", "a[31mred"),
        ("क्\u200dष 👩\u200d🚀", "क्\u200dष 👩\u200d🚀"),
        ("a\u200d\u200d\u200db", "a\u200db"),
        ("e" + "\u0301" * 6000, "e" + "\u0301" * 4),
        ("\ud800", ""),
        (" two\n\u2029lines ", "two lines"),
    ],
)
def test_what_is_not_seen_is_left_out(text: str, shown: str) -> None:
    assert plain(text) == shown


def test_a_long_text_is_cut_with_an_ellipsis() -> None:
    assert escape("word " * 5, 10) == "word word…"
    assert escape("exactly 10", 10) == "exactly 10"
    assert escape("eleven char", 10) == "eleven ch…"
    assert escape("*" * 6000, 10) == r"\*\*\*\*…"
