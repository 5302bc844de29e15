"""Commands as a client of somebody's own making sends them: each ends in a sentence, and changes nothing."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from cogs._ids import UNKNOWN_BUTTON
from cogs._offered import CHANGED
from tests.discord_server.people import ATTACHMENT, COMMAND, FORM, MENTIONABLE, PLACE, TYPING, USER
from tests.discord_server.places import ALICE, GUILD, OWNER
from tests.e2e.loopback.conftest import Loopback, Start
from tests.helpers import eventually

STRING, INTEGER, BOOLEAN, NUMBER = 3, 4, 5, 10
ZALGO = "z" + "\u0335\u0489" * 2999
REFUSED = ("is one of:", "I can't use that for", "Attach it again", CHANGED, "whom you mean")
RAW: list[tuple[str, list[tuple[str, int, Any]]]] = [
    ("quota-admin usage", [("period", STRING, "nonsense")]),
    ("quota-admin export", [("period", STRING, "")]),
    ("delivery-admin elsewhere", [("where", STRING, "x")]),
    ("delivery-admin elsewhere", []),
    ("quota-admin set", [("target", MENTIONABLE, str(ALICE)), ("amount", STRING, "1")]),
    ("quota-admin set", [("amount", STRING, "1"), ("window", STRING, "eon")]),
    ("quota-admin price", [("provider", STRING, "eigenai"), ("credits", STRING, "1"), ("per", STRING, "x")]),
    ("quota-admin price", [("provider", STRING, 7), ("credits", STRING, "1")]),
    ("quota-admin grant", [("member", USER, "7"), ("amount", INTEGER, 1)]),
    ("quota-admin grant", [("member", USER, "9" * 100), ("amount", INTEGER, 10**400)]),
    ("quota-admin caps", [("member", INTEGER, 10**400)]),
    ("quota-admin caps", [("member", INTEGER, "1")]),
    ("quota-admin caps", [("member", STRING, "1")]),
    ("quota-admin caps", [("member", INTEGER, True)]),
    ("quota-admin caps", [("nobody", INTEGER, 1)]),
    ("quota-admin timezone", [("zone", STRING, ZALGO)]),
    ("quota-admin budget", [("amount", STRING, "")]),
    ("quota-admin block", [("member", USER, None)]),
    ("quota-admin log", [("channel", PLACE, "7")]),
    ("provider-admin default", [("provider", STRING, "x" * 6001)]),
    ("provider-admin fall-over", [("allowed", BOOLEAN, "yes")]),
    ("animate", [("prompt", STRING, "x")]),
    ("animate", [("image", ATTACHMENT, "7"), ("prompt", STRING, "x")]),
    ("animate", [("image", ATTACHMENT, "x"), ("prompt", STRING, "x")]),
    ("video", [("prompt", STRING, "x"), ("guidance", NUMBER, float("inf"))]),
    ("video", [("prompt", STRING, "x"), ("seed", INTEGER, 2**64)]),
    ("video", [("prompt", STRING, "")]),
    ("video", [("prompt", STRING, "x" * 9000)]),
    ("video", [("prompt", STRING, ["x"])]),
    ("jobs resend", [("video", STRING, "9" * 100)]),
    ("jobs resend", []),
    ("jobs nonsense", []),
    ("nonsense", []),
    ("jobs", []),
]


@pytest.fixture
async def bot(start: Start, caplog: pytest.LogCaptureFixture) -> AsyncIterator[Loopback]:
    bot = await start()
    yield bot
    assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == []
    assert await bot.bot.moderation.history(GUILD, None, 9) == []
    assert await bot.bot.studio.recent(GUILD, OWNER, 9) == []


def data_of(command: str, given: list[tuple[str, int, Any]], **more: Any) -> dict[str, Any]:
    options: list[dict[str, Any]] = [
        {"name": name, "type": kind, "value": value, **more} for name, kind, value in given
    ]
    root, *subcommands = command.split()
    for name in subcommands:
        options = [{"name": name, "type": 1, "options": options}]
    return {"id": "1", "name": root, "type": 1, "options": options}


async def test_what_discord_did_not_offer_gets_a_sentence(bot: Loopback) -> None:
    for command, given in RAW:
        asked = await bot.discord.people.send(COMMAND, data_of(command, given), OWNER)
        said = await bot.reply(asked)
        assert any(refused in said for refused in REFUSED), (command, given, said)


async def test_half_typed_and_foreign_values_suggest_nothing_and_raise_nothing(bot: Loopback) -> None:
    for command, given in (*RAW, ("video", [("model", STRING, {})]), ("video", [("seed", INTEGER, "1x")])):
        for focused in ({}, {"focused": True}):
            asked = await bot.discord.people.send(TYPING, data_of(command, given, **focused), OWNER)
            answer: Any = await eventually(lambda asked=asked: asked.callback)
            assert isinstance(answer["data"]["choices"], list)


@pytest.mark.parametrize("resolved", [{}, {"users": {}}, {"messages": {}}])
async def test_a_menu_entry_on_nobody_gets_a_sentence(bot: Loopback, resolved: dict[str, Any]) -> None:
    data = {"id": "1", "name": "Video quota", "type": 2, "target_id": "7", "resolved": resolved}
    assert "whom you mean" in await bot.reply(await bot.discord.people.send(COMMAND, data, OWNER))


@pytest.mark.parametrize(
    "components",
    [
        [],
        [{"type": 1, "components": [{"type": 4, "custom_id": "other", "value": "1"}]}],
        [{"type": 1, "components": [{"type": 3, "custom_id": "amount", "values": ["1"]}]}],
        [{"type": 1, "components": [{"type": 4, "custom_id": "amount", "value": ZALGO}]}],
    ],
)
async def test_a_form_with_other_fields_changes_nothing(
    bot: Loopback, components: list[dict[str, Any]], caplog: pytest.LogCaptureFixture
) -> None:
    people = bot.discord.people
    pressed = await people.forge(f"quota:grant:{ALICE}", OWNER)
    form: Any = await eventually(lambda: pressed.callback)
    data = {"custom_id": form["data"]["custom_id"], "components": components}
    asked = await people.send(FORM, data, OWNER)
    assert "Credits are a whole number" in await bot.reply(asked) or "went wrong" in await bot.reply(asked)
    caplog.clear()


async def test_a_form_that_nobody_has_shown_gets_a_sentence(bot: Loopback) -> None:
    asked = await bot.discord.people.send(FORM, {"custom_id": "x", "components": []}, OWNER)
    assert "Open it again" in await bot.reply(asked)
    assert await bot.reply(await bot.discord.people.forge("", OWNER)) == UNKNOWN_BUTTON
