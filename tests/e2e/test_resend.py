"""`/jobs resend`: a video that was made comes again, to whom it belongs."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import discord
import pytest
from simcord.actors import MemberActor
from simcord.results import InteractionResult

from bot.errors import NotNow, TooLarge, Undeliverable
from bot.jobs import Job
from bot.media.job_files import JobFiles
from bot.settings import Settings
from tests.e2e.conftest import World
from tests.vendors.eigenai import EigenAIServer
from tests.vendors.faults import sample_video

Start = Callable[..., Awaitable[World]]


@pytest.fixture
async def made(start: Start, vendor: EigenAIServer) -> World:
    """A world in which Alice has a video, for which there was one credit."""
    vendor.finish_after(0)
    world = await start(default_allowance=1)
    await world.animate(prompt="clouds drift by")
    await world.card_says("Video ready")
    return world


async def resend(world: World, actor: MemberActor | None = None, **options: object) -> InteractionResult:
    options.setdefault("video", str((await latest(world)).id))
    return await (actor or world.alice).slash(world.channel, "jobs resend", **options)


async def latest(world: World) -> Job:
    (job,) = await world.bot.booking.recent(world.guild.id, world.alice.id, 1)
    return job


async def test_only_the_person_gets_it_as_it_was_made_and_it_costs_nothing(made: World) -> None:
    reply = await resend(made)

    assert reply.ephemeral
    assert reply.response.content == "Here it is, as it was made."
    (file,) = reply.response.attachments
    assert await file.read() == sample_video()
    assert await made.quota() == "0 of 1 credit left today"
    assert len(made.videos()) == 1


async def test_it_is_posted_for_all_to_see_where_that_is_asked_for(made: World) -> None:
    reply = await resend(made, show=True)

    assert reply.ephemeral
    post = made.videos()[-1]
    assert len(made.videos()) == 2
    assert await post.attachments[0].read() == sample_video()
    (sent,) = [
        asked
        for asked in made.env.http_requests
        if asked.method == "POST" and "A video of" in str(asked.json)
    ]
    assert sent.json["allowed_mentions"] == {"parse": []}


async def test_suggestions_are_ones_own_videos_and_the_list_names_them(made: World) -> None:
    choices = await made.alice.autocomplete(made.channel, "jobs resend", "video", "cloud")
    assert [choice["value"] for choice in choices] == [str((await latest(made)).id)]
    assert "clouds drift by" in choices[0]["name"]
    assert await made.bob.autocomplete(made.channel, "jobs resend", "video", "") == []
    listed = (await made.alice.slash(made.channel, "jobs list")).response.embeds[0].description
    assert "`/jobs resend` has it" in listed


async def test_nobody_gets_what_is_somebody_elses_but_moderators(made: World) -> None:
    refused = await resend(made, made.bob)
    assert refused.response.content.startswith("I know no such video of yours here")
    assert refused.response.attachments == []
    assert len((await resend(made, made.moderator)).response.attachments) == 1


async def test_what_is_no_video_is_said(made: World) -> None:
    for video in ("1", "cloud", "9" * 20):
        said = (await resend(made, video=video)).response.content
        assert said.startswith("I know no such video")
        assert said.endswith("Nothing was charged for this.")


async def test_what_is_under_way_is_not_sent(start: Start, vendor: EigenAIServer) -> None:
    world = await start()
    vendor.finish_after(1000)
    await world.animate()
    assert (await resend(world)).response.content.startswith("This video is still under way")


async def test_a_video_is_gone_where_none_is_kept(start: Start, vendor: EigenAIServer) -> None:
    vendor.finish_after(0)
    world = await start(keep_days=0)
    await world.animate()
    await world.card_says("Video ready")
    assert (await resend(world)).response.content.startswith("That video is not kept here any more.")


async def test_what_a_cancelled_job_has_left_behind_is_nobodys(
    start: Start, vendor: EigenAIServer, settings: Callable[..., Settings]
) -> None:
    world = await start()
    vendor.finish_after(1000)
    await world.animate()
    await world.alice.click(world.card(), label="Cancel")
    JobFiles(settings().data_dir / "jobs").video((await latest(world)).id).write_bytes(sample_video())
    assert (await resend(world)).response.content.startswith("That video is not kept here any more.")


async def test_a_post_that_moderators_deleted_is_not_shown_again(made: World) -> None:
    await made.moderator.delete(await made.video())
    assert "Its post was deleted" in (await resend(made, show=True)).response.content
    assert made.videos() == []
    assert len((await resend(made)).response.attachments) == 1


async def test_a_video_is_shown_once_more_and_no_more(made: World) -> None:
    await resend(made, show=True)
    await made.moderator.delete(made.videos()[-1])
    assert "It was shown once more already" in (await resend(made, show=True)).response.content
    assert len(made.videos()) == 1


async def test_what_could_not_be_shown_may_be_shown_later(
    made: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(sys.modules["cogs.jobs"], "_send", refusing)
        assert "Discord does not take it here" in (await resend(made, show=True)).response.content
    await resend(made, show=True)
    assert len(made.videos()) == 2


async def refusing(*_: object, **__: object) -> None:
    raise Undeliverable("403")


async def test_who_may_not_post_files_here_shows_none(made: World) -> None:
    forbidden = discord.PermissionOverwrite(attach_files=False)
    channel = made.guild.create_text_channel("talk", overwrites={made.guild.default_role: forbidden})
    video = str((await latest(made)).id)
    reply = await made.alice.slash(channel, "jobs resend", video=video, show=True)
    assert "You may not post files in this channel" in reply.response.content
    assert not channel.history()


async def test_who_moderates_another_channel_gets_nothing_of_this_one(made: World) -> None:
    rights = discord.PermissionOverwrite(manage_messages=True)
    channel = made.guild.create_text_channel("bobs-own", overwrites={made.bob: rights})
    video = str((await latest(made)).id)
    reply = await made.bob.slash(channel, "jobs resend", video=video)
    assert "I know no such video" in reply.response.content
    assert (await resend(made, made.admin)).response.attachments


async def filling(_: object, __: Path, target: Path, limit: int) -> None:
    """In place of an encoder: a file of just that size."""
    await asyncio.to_thread(target.write_bytes, bytes(limit))


async def test_two_who_want_the_same_smaller_file_wait_for_each_other(
    made: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_work: list[Path] = []
    most = 0

    async def fit(_: object, source: Path, target: Path, limit: int) -> None:
        nonlocal most
        at_work.append(target)
        most = max(most, len(at_work))
        await filling(None, source, target, limit)
        at_work.remove(target)

    async def get(user_id: int) -> None:
        async with made.bot.resend.copy(job, user_id, limit=100):
            pass

    job = await latest(made)
    monkeypatch.setattr("bot.delivery.resend.transcode", fit)
    await asyncio.gather(get(1), get(2))
    assert most == 1
    with pytest.raises(NotNow):
        await asyncio.gather(get(3), get(3))


async def test_a_video_that_is_swept_just_now_is_said_to_be_gone(
    made: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def swept(*_: object, **__: object) -> None:
        raise FileNotFoundError

    monkeypatch.setattr(sys.modules["cogs.jobs"], "_send", swept)
    assert (await resend(made)).response.content.startswith("That video is not kept here any more.")


async def test_what_discord_finds_too_large_is_made_smaller(
    made: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = sys.modules["cogs.jobs"]
    send, refusals = module._send, iter(range(2))

    async def refused(*given: Any, **named: Any) -> None:
        if next(refusals, None) is not None:
            raise TooLarge("413")
        await send(*given, **named)

    monkeypatch.setattr(module, "_send", refused)
    monkeypatch.setattr("bot.delivery.resend.transcode", filling)
    reply = await resend(made)
    assert reply.response.content == "Here it is, made to fit here."
    assert reply.response.attachments[0].size == int(int(len(sample_video()) * 0.8) * 0.8)


async def test_who_is_blocked_shows_nothing(made: World) -> None:
    await made.administer("quota-admin block", member=made.alice)
    assert "may not be posted now" in (await resend(made, show=True)).response.content
    assert len(made.videos()) == 1


@pytest.mark.usefixtures("real_children")
async def test_a_place_that_takes_less_gets_it_smaller(made: World, monkeypatch: pytest.MonkeyPatch) -> None:
    size = len(sample_video())
    monkeypatch.setattr(sys.modules["cogs.jobs"], "HIGHEST_TIER", size - 1)
    reply = await resend(made)
    assert reply.response.content == "Here it is, made to fit here."
    assert reply.response.attachments[0].size < size


async def test_where_videos_go_is_decided_by_who_manages_the_server(world: World) -> None:
    said = await world.administer("settings delivery", where="system", reason="we all watch")
    assert said.startswith("Done: lets a video that its channel does not take go from a public thread")
    await world.allow(world.bob, "settings")
    refused = await world.administer("settings delivery", world.bob, where="nowhere")
    assert "Only members who may manage this server" in refused
