"""Commands as a client of somebody's own making sends them: each ends in a sentence, and changes nothing."""

from collections.abc import AsyncIterator
from itertools import product
from typing import Any

import pytest

from bot.delivery.admission import FAREWELL
from cogs._ids import UNKNOWN_BUTTON
from cogs._offered import CHANGED, OLD_FORM
from tests.discord_server.people import (
    ATTACHMENT,
    COMMAND,
    COMPONENT,
    FORM,
    MENTIONABLE,
    PLACE,
    TYPING,
    USER,
)
from tests.discord_server.places import ALICE, BOB, GUILD, OWNER
from tests.e2e.loopback.conftest import Loopback, Start
from tests.helpers import eventually

OTHER_SERVER = 2_000_001
STRING, INTEGER, BOOLEAN, NUMBER = 3, 4, 5, 10
ZALGO = "z" + "\u0335\u0489" * 2999
REFUSED = ("is one of:", "I can't use that for", "Attach it again", CHANGED, "whom you mean")
RAW: list[tuple[str, list[tuple[str, int, Any]]]] = [
    ("quota-admin usage", [("period", STRING, "nonsense")]),
    ("quota-admin export", [("period", STRING, "")]),
    ("settings delivery", [("where", STRING, "x")]),
    ("quota-admin set", [("target", MENTIONABLE, str(ALICE)), ("amount", STRING, "1")]),
    ("quota-admin set", [("amount", STRING, "1"), ("window", STRING, "eon")]),
    ("quota-admin price", [("provider", STRING, "eigenai"), ("credits", STRING, "1"), ("per", STRING, "x")]),
    ("quota-admin price", [("provider", STRING, 7), ("credits", STRING, "1")]),
    ("quota-admin grant", [("member", USER, "7"), ("amount", INTEGER, 1)]),
    ("quota-admin grant", [("member", USER, "9" * 100), ("amount", INTEGER, 10**400)]),
    ("settings caps", [("member", STRING, "x" * 51)]),
    ("settings caps", [("member", STRING, 1)]),
    ("settings caps", [("member", INTEGER, 1)]),
    ("settings caps", [("nobody", STRING, "1")]),
    ("settings timezone", [("zone", STRING, ZALGO)]),
    ("quota-admin budget", [("amount", STRING, "")]),
    ("quota-admin block", [("member", USER, None)]),
    ("settings log", [("channel", PLACE, "7")]),
    ("settings provider", [("provider", STRING, "x" * 6001)]),
    ("settings fallback", [("allowed", STRING, "yes")]),
    ("settings pause", []),
    ("settings pause", [("reason", STRING, "")]),
    ("settings pause", [("reason", STRING, "x" * 301)]),
    ("settings pause", [("reason", STRING, "x"), ("until", STRING, "x" * 51)]),
    ("settings pause", [("reason", STRING, ["x"])]),
    ("settings pause", [("reason", STRING, "a\0b")]),
    ("settings resume", [("reason", STRING, "\ud800")]),
    ("settings resume", [("reason", BOOLEAN, True)]),
    ("settings status", [("reason", STRING, "x")]),
    ("settings everything", []),
    ("settings", []),
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
    assert await bot.bot.booking.recent(GUILD, OWNER, 9) == []


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


KINDS = (1, 2, 3, 4, 9, "2", None)
NOBODY = ({}, {"users": {}}, {"messages": {}}, {"users": None}, {"messages": {"7": {"id": "7"}}})


async def test_a_menu_entry_on_nobody_gets_a_sentence(bot: Loopback) -> None:
    for kind, named in product(KINDS, NOBODY):
        data = {"id": "1", "name": "Video quota", "type": kind, "target_id": "7", "resolved": named}
        said = await bot.reply(await bot.discord.people.send(COMMAND, data, OWNER))
        assert "whom you mean" in said or CHANGED in said, (kind, named)


def field(custom_id: str = "amount", value: Any = "1", kind: Any = 4) -> dict[str, Any]:
    return {"type": kind, "custom_id": custom_id, "value": value}


def rows(*fields: Any) -> list[dict[str, Any]]:
    return [{"type": 1, "components": [entry]} for entry in fields]


FOREIGN = ("grant:0", f"grant:{2**63}", "reset:1", "grant:\u0661", "grant:1\n")
ODD_FORMS: list[Any] = [
    None,
    {},
    [],
    "x",
    [7],
    [{"type": 1}],
    [{"type": 1, "components": None}],
    [{"type": 18, "component": field()}],
    [field()],
    rows(None),
    rows({}),
    rows(field("other")),
    rows(field(), field("other")),
    rows(field(), field()),
    rows({"type": 3, "custom_id": "amount", "values": ["1"]}),
    rows({"type": 4, "custom_id": "amount"}),
    rows(field(kind="4")),
    rows(field(value=1)),
    rows(field(value=None)),
    rows(field(value="")),
    rows(field(value="1\0")),
    rows(field(value="\ud800")),
    rows(field(value=ZALGO)),
    rows(field(), field("reason", "x" * 301)),
    rows(field(), field("reason", ["x"])),
    rows(field("reason")),
]


async def shown_form(bot: Loopback) -> str:
    """The custom id of a form that the bot has shown."""
    pressed = await bot.discord.people.forge(f"quota:grant:{ALICE}", OWNER)
    form: Any = await eventually(lambda: pressed.callback)
    return form["data"]["custom_id"]


async def test_a_form_with_other_fields_gets_a_sentence_and_can_still_be_sent(bot: Loopback) -> None:
    custom_id, people = await shown_form(bot), bot.discord.people
    for components in ODD_FORMS:
        asked = await people.send(FORM, {"custom_id": custom_id, "components": components}, OWNER)
        assert await bot.reply(asked) == OLD_FORM, components
    for more in ({"components": rows(field()), "resolved": {"users": 7}}, {}):
        asked = await people.send(FORM, {"custom_id": custom_id, **more}, OWNER)
        assert await bot.reply(asked) == OLD_FORM, more
    data = {"custom_id": custom_id, "components": rows(field(value="x"))}
    assert "Credits are a whole number" in await bot.reply(await people.send(FORM, data, OWNER))


async def test_a_form_that_nobody_has_shown_gets_a_sentence(bot: Loopback) -> None:
    people = bot.discord.people
    for custom_id in ("x", "", 7, None, ["x"], *(f"quota-form:{form}" for form in FOREIGN)):
        asked = await people.send(FORM, {"custom_id": custom_id, "components": []}, OWNER)
        assert await bot.reply(asked) == OLD_FORM, custom_id
        asked = await people.send(COMPONENT, {"custom_id": custom_id, "component_type": 2}, OWNER)
        assert await bot.reply(asked) == UNKNOWN_BUTTON, custom_id


async def test_forms_are_kept_by_nobody_and_work_after_a_restart(start: Start) -> None:
    bot = await start()
    people, kept = bot.discord.people, bot.bot._connection._view_store._modals
    assert await shown_form(bot) == await shown_form(bot) == f"quota-form:grant:{ALICE}"
    assert not kept
    # As after a restart: nobody here has shown one for this member.
    data = {"custom_id": f"quota-form:grant:{BOB}", "components": rows(field(value="3"))}
    for _ in range(2):
        said = await bot.reply(await people.send(FORM, data, OWNER))
        assert said.startswith(f"Done: gives <@{BOB}> 3 extra credits")
    said = await bot.reply(await people.send(FORM, data, ALICE))
    assert said == "Only members who may manage this server can do that. Nothing was changed."
    await eventually(lambda: not kept)


async def test_what_is_no_button_and_no_form_gets_a_sentence(bot: Loopback) -> None:
    people, odd = bot.discord.people, (None, {}, {"custom_id": "cancel:1"}, {"component_type": 2})
    for data in odd:
        assert await bot.reply(await people.send(COMPONENT, data, OWNER)) == UNKNOWN_BUTTON, data
        assert await bot.reply(await people.send(FORM, data, OWNER)) == OLD_FORM, data
    assert await bot.reply(await people.forge("", OWNER)) == UNKNOWN_BUTTON


async def test_in_a_server_that_is_not_served_nothing_works_however_it_is_asked(start: Start) -> None:
    bot = await start(servers=str(GUILD))
    custom_id, people = await shown_form(bot), bot.discord.people
    elsewhere = {"guild_id": str(OTHER_SERVER), "guild": {"id": str(OTHER_SERVER), "features": []}}
    form = {"custom_id": custom_id, "components": rows(field())}
    asked = [
        await people.send(FORM, form, OWNER, **elsewhere),
        await people.send(COMMAND, data_of("settings status", []), OWNER, **elsewhere),
        *[
            await people.forge(button, OWNER, server=OTHER_SERVER)
            for button in (
                f"quota:reset:{ALICE}",
                f"quota:grant:{ALICE}",
                "history:0:older:9",
                "cancel:1",
                "x",
            )
        ],
    ]
    assert [await bot.reply(each) for each in asked] == [FAREWELL] * len(asked)
    assert await bot.bot.moderation.history(OTHER_SERVER, None, 9) == []
    typing = await people.send(
        TYPING, data_of("video", [("model", STRING, "x")], focused=True), OWNER, **elsewhere
    )
    answer: Any = await eventually(lambda: typing.callback)
    assert answer["data"]["choices"] == []
