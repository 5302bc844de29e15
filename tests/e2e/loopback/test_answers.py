"""Whatever breaks between the bot, Discord and the database: who asked reads a sentence, and it is true."""

import asyncio
import errno
from collections.abc import Mapping
from typing import Any

import pytest

from bot.store.db import StoreError, Unanswered
from cogs._answer import SOMETHING_WENT_WRONG
from providers.child import ChildFailed
from tests.clock import sleep_for_real
from tests.discord_server.faults import after_accepting, cut, late, refusal
from tests.discord_server.places import ALICE, OWNER
from tests.discord_server.world import Asked
from tests.e2e.loopback.conftest import Loopback, Start, words_of
from tests.e2e.loopback.test_empty_cache import COMMANDS
from tests.helpers import eventually
from tests.vendors.faults import Fault, status

LOST: Mapping[str, Fault] = {
    "connection cut": after_accepting(cut),
    "repeated by discord.py": after_accepting(status(502)),
    "no JSON": after_accepting(status(200, b"<html>")),
    "null": after_accepting(status(200, b"null")),
}
"""What happens to an answer that Discord has taken."""


@pytest.fixture
async def bot(start: Start) -> Loopback:
    sleep_for_real()
    return await start()


def break_database(bot: Loopback, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    async def broken(*_: object, **__: object) -> None:
        raise error

    for call in ("read", "write"):
        monkeypatch.setattr(bot.bot.booking._store._database, call, broken)


async def test_a_command_goes_on_whose_acknowledgement_was_lost(bot: Loopback) -> None:
    for lost, fault in LOST.items():
        bot.discord.next("callback", fault)
        asked = await bot.asked()
        assert "in the queue" in await bot.reply(asked), lost
        assert await bot.job(asked.id), lost


async def test_the_next_start_knows_of_a_reply_as_soon_as_discord_shows_that_the_bot_thinks(
    bot: Loopback,
) -> None:
    arrives = asyncio.Event()
    bot.discord.next("callback", late(arrives))
    asked = await bot.asked()
    await eventually(lambda: bot.discord.seen("callback"))
    left = await bot.bot.open_replies.left()
    arrives.set()
    assert [asked.token in note for note in left.values()] == [True]
    await bot.reply(asked)


async def test_a_database_that_hangs_does_not_keep_a_command_from_being_acknowledged(
    bot: Loopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    goes_on = asyncio.Event()
    keep = bot.bot.open_replies._store.notes.set

    async def hanging(name: str, value: str) -> None:
        await goes_on.wait()
        await keep(name, value)

    monkeypatch.setattr(bot.bot.open_replies._store.notes, "set", hanging)
    asked = await bot.asked()
    await eventually(lambda: asked.callback)
    goes_on.set()
    assert "in the queue" in await bot.reply(asked)
    await eventually(lambda: is_settled(bot))


async def is_settled(bot: Loopback) -> bool:
    return not await bot.bot.open_replies.left()


async def test_who_reads_that_it_thinks_reads_that_nothing_was_done(bot: Loopback) -> None:
    bot.discord.next("callback", after_accepting(cut), *[cut] * 4)
    asked = await bot.asked()
    assert "Nothing was charged." in await bot.reply(asked)
    assert await bot.job(asked.id) is None


async def test_what_somebody_else_has_acknowledged_is_theirs(bot: Loopback) -> None:
    bot.discord.next("callback", refusal(400, 40060))
    asked = await bot.asked()
    await eventually(lambda: bot.discord.seen("callback"))
    await bot.said("quota")
    assert await bot.job(asked.id) is None


async def test_what_came_too_late_is_not_done(bot: Loopback) -> None:
    bot.discord.next("callback", refusal(404, 10062))
    asked = await bot.asked()
    await eventually(lambda: bot.discord.seen("callback"))
    await bot.said("quota")
    assert await bot.job(asked.id) is None


NOT_ARRIVED = [cut, after_accepting(cut), refusal(429, 0), status(200, b"<html>")]


async def test_a_reply_that_did_not_arrive_is_sent_again(bot: Loopback) -> None:
    for fault in NOT_ARRIVED:
        bot.discord.next("original", fault, fault)
        assert "5 of 5 credits" in await bot.said("quota")


async def test_a_reply_with_a_file_is_sent_again_whole(bot: Loopback) -> None:
    bot.discord.next("original", cut)
    asked = await bot.discord.people.run("quota-admin export", OWNER)
    await bot.reply(asked)
    assert asked.reply is not None
    (file,) = asked.reply["attachments"]
    assert bot.discord.world.files[file["id"]].data.startswith(b"\xef\xbb\xbf") or file["size"] > 10


async def test_a_reply_that_discord_does_not_take_is_a_sentence(bot: Loopback) -> None:
    bot.discord.next("original", refusal(400, 50035))
    assert await bot.said("quota") == SOMETHING_WENT_WRONG


async def buttons_of(bot: Loopback) -> Asked:
    card = await bot.discord.people.choose("Video quota", ALICE, OWNER)
    await bot.reply(card)
    return card


@pytest.mark.parametrize("lost", ["connection cut", "null"])
async def test_a_form_and_a_page_are_shown_though_their_acknowledgement_was_lost(
    bot: Loopback, lost: str, caplog: pytest.LogCaptureFixture
) -> None:
    people, card = bot.discord.people, await buttons_of(bot)
    assert card.reply is not None
    bot.discord.next("callback", LOST[lost])
    form = await people.press(card.reply, "Grant…", OWNER)
    filled = await people.fill(form, OWNER, amount="1", expires="", reason="")
    assert "1 extra credit" in await bot.reply(filled)

    for amount in range(9):
        await bot.reply(await people.run("quota-admin set", OWNER, target=ALICE, amount=str(amount)))
    shown = await people.run("quota-admin history", OWNER)
    await bot.reply(shown)
    assert shown.reply is not None
    bot.discord.next("callback", LOST[lost])
    turned = await people.press(shown.reply, "Older", OWNER)
    await eventually(lambda: "extra credit" in words_of(turned))
    assert not [
        entry for entry in caplog.records if entry.name.startswith("cogs") and entry.levelname == "ERROR"
    ]


async def test_every_command_says_that_the_database_is_out(
    bot: Loopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    break_database(bot, monkeypatch, StoreError("gone"))
    for command, (options, _) in COMMANDS.items():
        said = await bot.reply(await bot.discord.people.run(command, OWNER, **options))
        assert said.startswith("My database does not answer just now. Try again in a minute."), command
        decides = "-admin" in command or command.startswith("settings")
        assert ("Nothing was changed." if decides else "harged.") in said, command


async def test_every_button_and_form_says_that_the_database_is_out(
    bot: Loopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    people, card = bot.discord.people, await buttons_of(bot)
    assert card.reply is not None
    for amount in range(9):
        await bot.reply(await people.run("quota-admin set", OWNER, target=ALICE, amount=str(amount)))
    shown = await people.run("quota-admin history", OWNER)
    await bot.reply(shown)
    assert shown.reply is not None
    # Last, for time leaps, and its own will be up.
    bot.vendor.finish_after(10_000)
    await bot.asked()
    (video,) = await eventually(bot.discord.world.cards)

    break_database(bot, monkeypatch, StoreError("gone"))
    out = "My database does not answer just now."
    assert out in await bot.reply(await people.press(video, "Cancel"))
    assert out in await bot.reply(await people.press(card.reply, "Reset", OWNER))
    assert out in await bot.reply(await people.press(card.reply, "History", OWNER))
    granting = await people.press(card.reply, "Grant…", OWNER)
    assert out in await bot.reply(await people.fill(granting, OWNER, amount="1", expires="", reason=""))
    blocking = await people.press(card.reply, "Block…", OWNER)
    assert out in await bot.reply(await people.fill(blocking, OWNER, until="", reason=""))
    turned = await people.press(shown.reply, "Older", OWNER)
    (told,) = await eventually(lambda: turned.more)
    assert out in told["content"]
    menu = await people.choose("Video quota", ALICE, OWNER)
    assert out in await bot.reply(menu)


async def test_a_decision_that_may_have_been_written_is_not_said_to_be_undone(
    bot: Loopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    break_database(bot, monkeypatch, Unanswered("cut"))
    asked = await bot.discord.people.run("quota-admin grant", OWNER, member=ALICE, amount=1)
    said = await bot.reply(asked)
    assert "`/quota-admin history` shows in a minute" in said
    assert "Nothing was changed" not in said


async def test_suggestions_are_none_while_the_database_is_out(
    bot: Loopback, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    break_database(bot, monkeypatch, StoreError("gone"))
    assert await bot.discord.people.type_into("jobs resend", "video", "") == []
    assert not [
        entry for entry in caplog.records if entry.name.startswith("cogs") and entry.levelname == "ERROR"
    ]


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, "My disk is full"),
        (errno.EROFS, "My disk cannot be used"),
        (errno.EMFILE, "too much to do"),
    ],
)
async def test_what_the_disk_does_not_take_is_not_charged(
    bot: Loopback, number: int, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(*_: Any) -> None:
        raise OSError(number, "no")

    monkeypatch.setattr(bot.bot.booking._files, "keep", refuse)
    said = await bot.animate()
    assert words in said
    assert "Nothing was charged." in said
    assert "5 of 5 credits left" in await bot.said("quota")


async def test_a_mistake_of_ours_behind_a_button_is_told_as_well(
    bot: Loopback, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    people, card = bot.discord.people, await buttons_of(bot)
    assert card.reply is not None
    monkeypatch.setattr(bot.bot.moderation, "decide", broken)
    assert await bot.reply(await people.press(card.reply, "Reset", OWNER)) == SOMETHING_WENT_WRONG
    assert "ZeroDivisionError" in caplog.text


async def test_a_command_that_discord_knows_in_another_form_is_told_to_be_typed_anew(bot: Loopback) -> None:
    bot.discord.world.commands["gone"] = bot.discord.world.commands["quota"] | {"name": "gone"}
    asked = await bot.discord.people.run("gone")
    assert "has changed since your Discord loaded it" in await bot.reply(asked)


@pytest.mark.parametrize("stands", [False, True])
async def test_a_picture_that_discord_does_not_hand_over_is_not_charged(
    bot: Loopback, monkeypatch: pytest.MonkeyPatch, *, stands: bool
) -> None:
    monkeypatch.setattr("cogs._options.READ_TIMEOUT", 0.2)
    if stands:
        bot.discord.files_are_up.clear()
    else:
        bot.discord.world.files = EveryFileIsGone()
    said = await bot.animate()
    assert said.startswith("Discord did not hand over your file just now.")
    assert "nothing was charged" in said


class EveryFileIsGone(dict[str, Any]):
    def get(self, key: str, default: Any = None) -> Any:
        return None


async def test_too_many_open_files_are_not_the_pictures_fault(
    bot: Loopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run(*_: Any, **__: Any) -> Any:
        raise ChildFailed("could not start") from OSError(errno.EMFILE, "too many open files")

    monkeypatch.setattr(bot.bot.booking._intake._children, "run", run)
    assert (await bot.animate()).startswith("I have too much to do just now.")
