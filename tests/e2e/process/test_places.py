"""Places that do not take a video, from the command to the moderators' log, with the real bot."""

from collections.abc import Callable
from pathlib import Path

from bot.clock import Clock
from bot.quota.decisions import Decision, SetLog
from bot.store import Store, connect
from tests.discord_server.places import Fate, direct
from tests.discord_server.world import ALICE, CHANNEL, GUILD, OTHER_CHANNEL, OWNER, THREAD, Message
from tests.e2e.process.conftest import Stage
from tests.helpers import eventually


def found(stage: Stage, place: int, is_it: Callable[[Message], object]) -> list[Message]:
    return [
        message
        for message in stage.discord.world.messages.values()
        if message["channel_id"] == str(place) and is_it(message)
    ]


async def keep_log(folder: Path) -> None:
    """A moderator has chosen a channel for the log."""
    store = Store(connect(f"sqlite:///{folder / 'data' / 'stillmotion.db'}"), Clock())
    await store.open()
    decision = Decision(1, GUILD, OWNER, Clock().now(), SetLog(channel_id=OTHER_CHANNEL))
    await store.decisions.add(1, GUILD, None, lambda _: decision)
    await store.close()


async def test_a_video_from_a_locked_thread_comes_to_its_channel(stage: Stage) -> None:
    stage.vendor.finish_after(10_000)
    await stage.bot.start()
    asked = await stage.animate(channel=THREAD)
    await stage.reaches(asked, "running")
    await stage.discord.befalls(THREAD, Fate.LOCKED)
    stage.vendor.finish("job-1")
    row = await stage.reaches(asked, "delivered")

    assert (row["place"], row["place_id"], row["charged"]) == ("server", CHANNEL, 1)
    (post,) = found(stage, CHANNEL, lambda message: message["attachments"])
    assert f"It could not be posted in <#{THREAD}>." in post["content"]


async def test_what_nobody_takes_is_kept_and_the_moderators_are_told(stage: Stage, tmp_path: Path) -> None:
    stage.vendor.finish_after(10_000)
    await keep_log(tmp_path)
    await stage.bot.start()
    asked = await stage.animate()
    await stage.reaches(asked, "running")
    stage.discord.world.fates |= {CHANNEL: Fate.HIDDEN, direct(ALICE): Fate.CLOSED}
    stage.vendor.finish("job-1")
    row = await stage.reaches(asked, "failed")
    (told,) = await eventually(lambda: found(stage, OTHER_CHANNEL, lambda m: "is finished" in m["content"]))

    assert (row["failure"], row["charged"]) == ("undeliverable", 0)
    assert "channel: 403" in row["detail"]
    assert "direct: 403" in row["detail"]
    assert f"`/jobs resend` with `{asked.id}`" in told["content"]
