"""What members and moderators can do, and what they are told when something does not fit."""

from collections.abc import Awaitable, Callable

import discord
import pytest

from bot.app import build
from bot.settings import Settings
from bot.waste import LATE_CANCELS
from tests.clock import FastClock
from tests.e2e.conftest import Shop, World, picture
from tests.helpers import as_read, eventually
from tests.vendors.eigenai import EigenAIServer
from tests.vendors.openai_videos import OpenAIVideosServer

Start = Callable[..., Awaitable[World]]


@pytest.fixture
async def running(world: World, vendor: EigenAIServer) -> World:
    """Alice's video is being made."""
    vendor.finish_after(1000)
    await world.animate(prompt="clouds drift by")
    await world.card_says("is making")
    return world


async def test_the_requester_can_cancel_and_pays_nothing(running: World, vendor: EigenAIServer) -> None:
    reply = await running.alice.click(running.card(), label="Cancel")
    assert reply.ephemeral
    assert "Nothing was charged" in reply.response.content
    assert "Nothing was charged" in await running.card_says("Video cancelled")
    assert await running.quota() == "5 of 5 credits left today"
    vendor.finish_after(0)
    await running.animate(running.bob)
    await running.video()
    assert len(running.videos()) == 1, "the cancelled video is not posted"


async def test_a_moderator_can_cancel_and_the_card_names_them(running: World) -> None:
    await running.moderator.click(running.card(), label="Cancel")
    assert f"by {running.moderator.mention}" in await running.card_says("Video cancelled")


async def test_nobody_else_can_cancel(running: World) -> None:
    reply = await running.bob.click(running.card(), label="Cancel")
    assert "Only the member who asked" in reply.response.content
    assert "is making" in running.text()


async def test_the_cancel_button_works_after_a_restart(
    running: World, settings: Callable[..., Settings]
) -> None:
    await running.restart(build(settings(), FastClock()))
    await running.alice.click(running.card(), label="Cancel")
    await running.card_says("Video cancelled")


async def test_a_queued_job_can_be_cancelled_and_is_never_submitted(
    start: Start, vendor: EigenAIServer
) -> None:
    world = await start(member_jobs=1)
    vendor.finish_after(1000)
    await world.animate(prompt="first")
    await world.animate(prompt="second")
    await world.card_says("number 1", 1)
    await world.alice.click(world.card(1), label="Cancel")
    await world.card_says("Video cancelled", 1)
    vendor.finish_after(0)
    await world.video()
    assert [asked.fields["prompt"] for asked in vendor.seen("submit")] == ["first"]


async def test_what_is_over_cannot_be_cancelled(world: World, vendor: EigenAIServer) -> None:
    vendor.finish_after(1000)
    await world.animate()
    await world.card_says("is making")
    button = world.card().components[0].children[0]
    vendor.finish_after(0)
    await world.card_says("Video ready")
    world.bot.booking.catalogue.spec("eigenai", "")
    job_id = int(button.custom_id.removeprefix("cancel:"))
    with pytest.raises(Exception, match="over already"):
        await world.bot.booking.cancel(job_id, world.guild.id, world.alice.id, bool)


async def test_quota_shows_what_is_left_when_it_renews_and_what_is_running(running: World) -> None:
    embed = (await running.alice.slash(running.channel, "quota")).response.embeds[0]
    fields = {field.name: field.value for field in embed.fields}
    assert embed.title == "4 of 5 credits left today"
    assert fields["Renews"].startswith("<t:")
    assert "clouds drift by" in fields["Under way"]
    assert await running.quota(running.bob) == "5 of 5 credits left today"


async def test_quota_counts_what_it_has_no_room_for(start: Start, vendor: EigenAIServer) -> None:
    world = await start(default_allowance=12)
    vendor.finish_after(1000)
    for _ in range(12):
        await world.animate(prompt="[*wide*](wings) " * 90)
    embed = (await world.alice.slash(world.channel, "quota")).response.embeds[0]
    under_way = {field.name: field.value for field in embed.fields}["Under way"]
    assert embed.title == "0 of 12 credits left today"
    shown = len(under_way.splitlines()) - 1
    assert shown >= 5
    assert under_way.endswith(f"and {12 - shown} more")
    assert len(under_way) <= 1024


async def test_jobs_lists_the_latest_with_links(running: World, vendor: EigenAIServer) -> None:
    vendor.finish_after(0)
    message = await running.video()
    await running.card_says("Video ready")
    embed = (await running.alice.slash(running.channel, "jobs list")).response.embeds[0]
    assert "clouds drift by" in embed.description
    assert f"/{running.channel.id}/{message.id})" in embed.description
    assert "1 credit" in embed.description
    assert (
        "None yet" in (await running.bob.slash(running.channel, "jobs list")).response.embeds[0].description
    )


async def test_when_nothing_is_left_the_reply_says_so_and_when_it_renews(start: Start) -> None:
    world = await start(default_allowance=1, default_window="week")
    await world.animate()
    await world.video()
    reply = await world.animate()
    assert reply.ephemeral
    assert "You have 0 of 1 credit left this week; this video takes 1." in reply.response.content
    assert "<t:" in reply.response.content
    assert len(world.videos()) == 1


DOES_NOT_FIT = (
    ({"provider": "nobody"}, "There is no provider `nobody` here. Choose `eigenai` or `local`"),
    ({"model": "dream"}, "There is no model `dream` here"),
    ({"provider": "local", "model": "wan2p2-i2v-14b-turbo"}, "There is no model"),
    ({"provider": "eigenai", "duration": 5}, "does not let you choose the duration"),
    ({"provider": "eigenai", "resolution": "720p"}, "does not let you choose the resolution"),
    ({"provider": "local", "duration": 60}, "does not take 60 as duration; it takes 2, 3"),
    ({"provider": "local", "resolution": "8k"}, "does not take 8k as resolution"),
    ({"provider": "local", "aspect_ratio": "2:1"}, "does not take 2:1 as aspect ratio"),
    ({"steps": 21}, "does not take 21 as number of steps; it takes 1 to 20"),
    ({"seed": -1}, "does not take -1 as seed"),
    ({"prompt": "   "}, "The prompt says nothing"),
    ({"prompt": "a Cáfe fight"}, "not allowed here"),
)


async def test_what_does_not_fit_is_refused_with_a_sentence_and_costs_nothing(
    start: Start,
    vendor: EigenAIServer,
    subtests: pytest.Subtests,
) -> None:
    world = await start(local_on=True, blocked_words="cafe fight")
    for options, words in DOES_NOT_FIT:
        with subtests.test(options=options, words=words):
            reply = await world.animate(**options)
            assert reply.ephemeral
            assert words in as_read(reply.response.content)
            assert "nothing was charged" in reply.response.content.lower()
            assert not world.channel.history()
            assert not vendor.requests
            assert await world.quota() == "5 of 5 credits left today"


@pytest.mark.parametrize(
    "missing", ["send_messages", "embed_links", "attach_files", "read_message_history", "view_channel"]
)
async def test_missing_permissions_are_named_before_anything_is_charged(world: World, missing: str) -> None:
    role = world.guild.me.top_role if world.guild.me else None
    overwrite = discord.PermissionOverwrite(**{missing: False})
    closed = world.guild.create_text_channel("closed", overwrites={world.env.bot.user: overwrite})
    assert role is not None
    reply = await world.alice.slash(closed, "animate", image=("in.png", picture()), prompt="zoom in")
    assert missing.replace("_", " ").title() in reply.response.content
    assert "Nothing was charged" in reply.response.content
    assert await world.quota() == "5 of 5 credits left today"


async def test_a_deleted_card_ends_nothing_but_the_card(running: World, vendor: EigenAIServer) -> None:
    await running.moderator.delete(running.card())
    vendor.finish_after(0)
    await running.video()
    await eventually(lambda: len(vendor.seen("submit")) == 1)


async def test_commands_exist_in_servers_only(world: World) -> None:
    shown = {"animate", "jobs", "providers", "quota", "video"}
    names = shown | {"quota-admin", "settings", "Video quota"}
    (synced,) = [
        entry
        for entry in world.env.http_requests
        if entry.path.endswith("/commands") and entry.method == "PUT"
    ]
    assert {command["name"] for command in synced.json} == names
    assert all(command["contexts"] == [0] for command in synced.json)
    assert all(command["integration_types"] == [0] for command in synced.json)


async def test_prompts_are_as_long_as_discord_lets_people_type(
    open_shop: Callable[..., Awaitable[Shop]],
) -> None:
    shop = await open_shop("openai_videos", OpenAIVideosServer())
    (synced,) = [
        entry
        for entry in shop.world.env.http_requests
        if entry.path.endswith("/commands") and entry.method == "PUT"
    ]
    longest = {
        option["name"]: option["max_length"]
        for command in synced.json
        for option in command.get("options", ())
        if option["type"] == discord.AppCommandOptionType.string.value
    }
    assert longest.pop("prompt") == longest.pop("negative_prompt") == 6000
    assert set(longest.values()) == {100}


async def test_the_longest_prompt_there_is_becomes_a_video_and_is_shown_in_part(world: World) -> None:
    prompt = ("*_`<@1> ://" * 600)[:6000]
    await world.animate(prompt=prompt)
    post = await world.video()
    await world.card_says("Video ready")
    listed = await world.alice.slash(world.channel, "jobs list")
    choices = await world.alice.autocomplete(world.channel, "jobs resend", "video", "")
    await world.alice.slash(world.channel, "quota")
    sent = await world.alice.slash(world.channel, "jobs resend", video=choices[0]["value"], show=True)

    assert len(world.text()) < 2000
    assert 0 < len(post.attachments[0].description or "") <= 1024
    assert "…" in listed.response.embeds[0].description
    assert "Here it is" in sent.response.content


async def test_submitting_and_cancelling_in_a_loop_buys_a_few_videos_and_no_more(
    start: Start, vendor: EigenAIServer
) -> None:
    world = await start(default_allowance=1)
    vendor.finish_after(1000)
    for index in range(LATE_CANCELS):
        await world.animate()
        await world.card_says("is making", index)
        reply = await world.alice.click(world.card(index), label="Cancel")
        assert f"{LATE_CANCELS - 1 - index} more started video" in reply.response.content
    await world.animate()
    await world.card_says("is making", LATE_CANCELS)
    reply = await world.alice.click(world.card(LATE_CANCELS), label="Cancel")
    assert "has already started this video" in reply.response.content
    assert "0 of 1 credit left" in await world.quota()
    assert len(vendor.seen("submit")) == LATE_CANCELS + 1
