"""Between READY and GUILD_CREATE nothing is known of a server but what comes with each interaction."""

import re
from collections.abc import Mapping
from typing import Any

import pytest
from discord import AppCommandType, app_commands

from tests.discord_server.places import (
    ALICE,
    BOB,
    CHANNEL,
    GUILD,
    HIGH_ROLE,
    LOW_ROLE,
    ORDINARY,
    OTHER_CHANNEL,
    OWNER,
    THREAD,
)
from tests.e2e.loopback.conftest import Loopback, Start, words_of
from tests.e2e.process.conftest import picture
from tests.helpers import eventually

MANAGE_SERVER = 1 << 5


@pytest.fixture
async def new(start: Start) -> Loopback:
    """A bot that has just started."""
    running = await start(knows_server=False)
    running.discord.world.may[BOB] = ORDINARY | MANAGE_SERVER
    return running


COMMANDS: Mapping[str, tuple[Mapping[str, Any], str]] = {
    "animate": ({"image": picture(), "prompt": "zoom"}, "Your video is in the queue"),
    "video": ({"prompt": "zoom"}, "Nothing was charged"),
    "jobs list": ({}, "Your latest videos"),
    "jobs resend": ({"video": "1", "show": True}, "I know no such video"),
    "providers": ({}, "Video providers"),
    "quota": ({}, "of 5 credits left today"),
    "quota-admin show": ({"target": ALICE}, "5 of 5 credits left today"),
    "quota-admin why": ({"member": ALICE}, "has 5 credits a day"),
    "quota-admin history": ({"member": ALICE}, "Nothing yet"),
    "quota-admin usage": ({}, "last 30 days"),
    "quota-admin export": ({}, "One line each"),
    "quota-admin set": ({"target": ALICE, "amount": "7"}, "to 7 credits a day"),
    "quota-admin grant": ({"member": ALICE, "amount": 3}, "3 extra credits"),
    "quota-admin revoke": ({"member": ALICE}, "takes back"),
    "quota-admin reset": ({"member": ALICE}, "Done"),
    "quota-admin block": ({"member": ALICE}, "blocks <@1006> for good"),
    "quota-admin unblock": ({"member": ALICE}, "unblocks <@1006>"),
    "quota-admin price": ({"provider": "eigenai", "credits": "2"}, "to 2 credits"),
    "quota-admin budget": ({"amount": "25"}, "$25.00 a month"),
    "settings caps": ({"member": "1", "server": "5"}, "Done"),
    "settings timezone": ({"zone": "Europe/Berlin"}, "Europe/Berlin"),
    "settings log": ({"channel_": OTHER_CHANNEL}, "sends the log to <#1004>"),
    "settings provider": ({"provider": "eigenai"}, "EigenAI"),
    "settings fallback": ({"allowed": "off"}, "Done"),
    "settings delivery": ({"where": "nowhere"}, "to its member directly"),
    "settings status": ({}, "Status"),
    "settings pause": ({"reason": "spring cleaning"}, "Done"),
    "settings resume": ({}, "Done"),
}
"""Every command there is: its options, and what the answer says."""


async def test_every_command_answers_without_a_cache(new: Loopback, caplog: pytest.LogCaptureFixture) -> None:
    for command, (options, words) in COMMANDS.items():
        asked = await new.discord.people.run(command, BOB, **options)
        assert words in await new.reply(asked), command
    assert "failed" not in caplog.text


async def test_the_table_above_has_every_command(new: Loopback) -> None:
    known = {
        command.qualified_name
        for command in new.bot.tree.walk_commands()
        if isinstance(command, app_commands.Command)
    }
    menus = [entry.name for entry in new.bot.tree.get_commands(type=AppCommandType.user)]
    assert known == {*COMMANDS}
    assert menus == ["Video quota"]


SUGGESTED: list[tuple[str, str, str, Mapping[str, Any]]] = [
    ("animate", "provider", "eig", {}),
    ("animate", "model", "", {}),
    ("jobs resend", "video", "", {}),
    ("settings timezone", "zone", "Berlin", {}),
    ("quota-admin price", "provider", "", {"credits": "1"}),
    ("quota-admin price", "model", "", {"provider": "eigenai", "credits": "1"}),
    ("settings provider", "provider", "", {}),
]


async def test_suggestions_come_without_a_cache(new: Loopback) -> None:
    for command, option, typed, filled in SUGGESTED:
        choices = await new.discord.people.type_into(command, option, typed, user_id=BOB, **filled)
        assert bool(choices) is (command != "jobs resend"), command


async def test_the_menu_of_a_member_its_buttons_and_its_forms_work_without_a_cache(new: Loopback) -> None:
    people = new.discord.people
    card = await people.choose("Video quota", ALICE, BOB)
    assert "5 of 5 credits left" in await new.reply(card)
    assert card.reply is not None

    granting = await people.press(card.reply, "Grant…", BOB)
    given = await people.fill(granting, BOB, amount="2", expires="", reason="thanks")
    assert "gives <@1006> 2 extra credits" in await new.reply(given)
    reset = await people.press(card.reply, "Reset", BOB)
    assert "Done" in await new.reply(reset)
    blocking = await people.press(card.reply, "Block…", BOB)
    blocked = await people.fill(blocking, BOB, until="3d", reason="")
    assert "blocks <@1006>" in await new.reply(blocked)
    history = await people.press(card.reply, "History", BOB)
    assert "thanks" in await new.reply(history)
    refused = await people.press(card.reply, "Reset", ALICE)
    assert "Only members who may manage this server" in await new.reply(refused)


async def test_the_pages_of_a_history_turn_without_a_cache(new: Loopback) -> None:
    people = new.discord.people
    for amount in range(9):
        await new.reply(await people.run("quota-admin set", BOB, target=ALICE, amount=str(amount)))
    shown = await people.run("quota-admin history", BOB)
    await new.reply(shown)
    assert shown.reply is not None
    turned = await people.press(shown.reply, "Older", BOB)
    await eventually(lambda: "to 0 credits" in words_of(turned))


async def test_a_role_counts_though_the_server_is_not_known(new: Loopback) -> None:
    people = new.discord.people
    new.discord.world.roles |= {ALICE: [LOW_ROLE], BOB: [LOW_ROLE]}
    await new.reply(await people.run("quota-admin set", BOB, target=LOW_ROLE, amount="20"))

    assert "20 of 20 credits left today" in await new.said("quota")
    assert "by the role <@&1011>" in await new.said("quota")
    shown = await people.run("quota-admin show", BOB, target=ALICE)
    assert "20 of 20" in await new.reply(shown)
    assert "20 credits a day" in await new.reply(await people.run("quota-admin show", BOB, target=LOW_ROLE))


async def test_who_has_no_credits_by_a_role_gets_no_video(new: Loopback) -> None:
    new.discord.world.roles |= {ALICE: [LOW_ROLE], BOB: [LOW_ROLE]}
    await new.reply(await new.discord.people.run("quota-admin set", BOB, target=LOW_ROLE, amount="0"))
    assert "no credits for videos in this server" in await new.animate()


async def test_a_role_whose_rank_is_not_known_waits_a_minute(new: Loopback) -> None:
    people = new.discord.people
    asked = await people.run("quota-admin set", BOB, target=HIGH_ROLE, amount="9")
    everyone = await people.run("quota-admin set", BOB, target=GUILD, amount="9")

    assert re.search("do not know the order .* Nothing was changed", await new.reply(asked))
    assert "the allowance of everyone to 9 credits" in await new.reply(everyone)


async def test_a_video_of_a_new_bot_is_posted_and_is_not_taken_to_be_public(new: Loopback) -> None:
    asked = await new.video()

    assert not (await new.job(asked.id)).is_public
    threaded = await new.discord.people.run("animate", channel=THREAD, image=picture(), prompt="zoom")
    await new.reply(threaded)
    assert (await new.job(threaded.id)).parent_id == CHANNEL


async def test_a_moderator_of_another_channel_is_told_to_wait_and_not_that_there_is_no_video(
    new: Loopback,
) -> None:
    asked = await new.video()
    people = new.discord.people
    elsewhere = await people.run("jobs resend", 1099, channel=OTHER_CHANNEL, video=str(asked.id))
    here = await people.run("jobs resend", OWNER, video=str(asked.id))

    assert "do not know this server's channels yet" in await new.reply(elsewhere)
    await eventually(lambda: "Here it is" in words_of(here))


async def test_cancel_works_without_a_cache(new: Loopback) -> None:
    new.vendor.finish_after(10_000)
    await new.asked()
    (card,) = await eventually(new.discord.world.cards)
    pressed = await new.discord.people.press(card, "Cancel")
    assert (await new.reply(pressed)).startswith("Cancelled. Nothing was charged.")
