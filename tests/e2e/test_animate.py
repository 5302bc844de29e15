"""`/animate`, from the command to the video in the channel."""

from collections.abc import Awaitable, Callable

import discord
import pytest
from simcord.builders import ChannelHandle

from bot.app import build
from bot.settings import Settings
from tests.clock import FastClock
from tests.e2e.conftest import Renderer, World, picture
from tests.helpers import eventually
from tests.vendors.eigenai import EigenAIServer
from tests.vendors.faults import hang, sample_video


@pytest.mark.usefixtures("real_children")
async def test_a_picture_becomes_a_video_in_the_channel(world: World, vendor: EigenAIServer) -> None:
    reply = await world.animate(prompt="the sun rises", seed=0, steps=8)
    message = await world.video()

    assert reply.ephemeral
    assert "Your video is in the queue" in reply.response.content
    assert await message.attachments[0].read() == sample_video()
    assert message.attachments[0].description == "the sun rises"
    assert message.content.startswith(world.alice.mention)
    assert message.reference.message_id == world.card().id
    await world.card_says("Video ready")
    (asked,) = vendor.seen("submit")
    assert asked.fields["prompt"] == "the sun rises"
    assert asked.fields["seed"] == "0"
    assert asked.fields["infer_steps"] == "8"


async def test_the_command_is_acknowledged_before_anything_else_happens(world: World) -> None:
    before = len(world.env.http_requests)
    await world.animate()
    first = world.env.http_requests[before]
    assert first.path.startswith("/interactions/")
    assert first.json["type"] == discord.InteractionResponseType.deferred_channel_message.value


async def test_the_card_tells_the_whole_story(world: World, vendor: EigenAIServer) -> None:
    vendor.finish_after(1000)
    await world.animate(prompt="waves **roll** in @everyone")
    text = await world.card_says("EigenAI is making the video")
    card = world.card()

    assert "\\*\\*roll\\*\\*" in text
    assert "@everyone" not in text
    assert {field.name: field.value for field in card.embeds[0].fields} == {
        "For": world.alice.mention,
        "Made by": r"EigenAI, Wan 2\.2 Turbo",
        "With": "number of steps 5",
    }
    assert card.embeds[0].thumbnail.url
    assert "░" not in text, "this provider reports no progress, so none is shown"
    vendor.finish_after(0)
    assert "It took" in await world.card_says("Video ready")
    assert not world.card().components


async def test_jobs_wait_their_turn_and_know_their_place(
    start: Callable[..., Awaitable[World]], vendor: EigenAIServer
) -> None:
    world = await start(member_jobs=1)
    vendor.finish_after(1000)
    for prompt in ("first", "second", "third"):
        await world.animate(prompt=prompt)
    await world.card_says("is making", 0)
    await world.card_says("number 1", 1)
    await world.card_says("number 2", 2)

    await world.animate(world.bob, prompt="bob's")
    await world.card_says("is making", 3)
    vendor.finish_after(0)
    await world.video(4)
    assert [asked.fields["prompt"] for asked in vendor.seen("submit")] == [
        "first",
        "bob's",
        "second",
        "third",
    ]


async def test_a_running_job_goes_on_after_a_restart(
    world: World, settings: Callable[..., Settings], vendor: EigenAIServer
) -> None:
    vendor.finish_after(1000)
    await world.animate()
    await world.card_says("is making")
    await world.restart(build(settings(), FastClock()))
    vendor.finish_after(0)
    await world.video()
    await world.card_says("Video ready")
    assert len(vendor.seen("submit")) == 1
    assert len(world.videos()) == 1


async def test_a_queued_job_is_submitted_after_a_restart(
    start: Callable[..., Awaitable[World]], settings: Callable[..., Settings], vendor: EigenAIServer
) -> None:
    world = await start(member_jobs=1)
    vendor.finish_after(1000)
    await world.animate(prompt="first")
    await world.animate(prompt="second")
    await world.card_says("number 1", 1)
    await world.restart(build(settings(member_jobs=2), FastClock()))
    await world.card_says("is making", 1)
    vendor.finish_after(0)
    await world.video(2)
    assert [asked.fields["prompt"] for asked in vendor.seen("submit")] == ["first", "second"]


async def test_a_submit_in_flight_gets_time_to_end_when_the_bot_stops(
    world: World, settings: Callable[..., Settings], vendor: EigenAIServer
) -> None:
    vendor.finish_after(1000)
    await world.animate()
    await vendor.arrived("submit", 1)
    await world.restart(build(settings(), FastClock()))
    await world.card_says("is making")
    vendor.finish_after(0)
    await world.video()
    assert len(vendor.seen("submit")) == 1


async def test_commands_are_synced_only_when_they_changed(
    world: World, settings: Callable[..., Settings]
) -> None:
    def syncs() -> int:
        return sum(
            entry.method == "PUT" and entry.path.endswith("/commands") for entry in world.env.http_requests
        )

    assert syncs() == 1
    await world.restart(build(settings(), FastClock()))
    assert syncs() == 1


async def thread(world: World, **permissions: bool) -> ChannelHandle:
    """A thread in a channel where the bot has these permissions."""
    overwrite = discord.PermissionOverwrite(**permissions)
    channel = world.guild.create_text_channel("talk", overwrites={world.env.bot.user: overwrite})
    known = world.bot.get_channel(channel.id)
    assert isinstance(known, discord.TextChannel)
    await known.create_thread(name="a thread", type=discord.ChannelType.public_thread)
    (made,) = channel.threads
    return made


async def test_in_a_thread_the_right_to_write_in_threads_is_what_counts(world: World) -> None:
    world.channel = await thread(world, send_messages=False, send_messages_in_threads=True)
    await world.animate()
    message = await world.video()
    assert message.channel.id == world.channel.id


async def test_a_thread_in_which_the_bot_may_not_write_is_refused(world: World) -> None:
    closed = await thread(world, send_messages_in_threads=False)
    reply = await world.alice.slash(closed, "animate", image=("in.png", picture()), prompt="zoom in")
    assert "give me: Send Messages In Threads." in reply.response.content
    assert "Nothing was charged" in reply.response.content
    assert await world.quota() == "5 of 5 credits left today"


async def test_the_local_provider_reports_progress(
    start: Callable[..., Awaitable[World]], renderer: Renderer
) -> None:
    renderer.may_end.clear()
    world = await start(local_on=True, eigenai_api_key=None, default_provider="local")
    await world.animate(duration=3, resolution="288p")
    assert "█" in await world.card_says("░"), "some of it, and not all"
    renderer.may_end.set()
    message = await world.video()
    assert (await message.attachments[0].read())[4:8] == b"ftyp"


async def test_a_call_that_hangs_holds_up_nobody_else(world: World, vendor: EigenAIServer) -> None:
    vendor.next("poll", hang)
    await world.animate(prompt="held up")
    await vendor.arrived("poll", 1)
    await world.animate(world.bob, prompt="goes on")
    await eventually(lambda: len(world.videos()) == 1)
    await world.card_says("Video ready", 1)
