"""What goes wrong at the provider: what the member reads, what is charged, what is asked again."""

from collections.abc import Awaitable, Callable

import pytest

from tests.e2e.conftest import World
from tests.helpers import eventually
from tests.vendors.eigenai import EigenAIServer
from tests.vendors.faults import (
    Fault,
    after_accepting,
    cut,
    cut_midway,
    empty,
    half_a_file,
    hang,
    html,
    says,
    status,
)

REFUSALS = (
    (status(400), "did not accept this request"),
    (status(401), "did not accept this bot's key"),
    (status(402), "has no credit left"),
    (status(403), "does not let this bot use this model"),
    (status(404), "does not offer this model any more"),
    (status(413), "finds an attached file too large"),
    (status(422), "did not accept this request"),
    (status(500), "nobody can tell whether EigenAI took it"),
    (cut, "nobody can tell whether EigenAI took it"),
    (after_accepting(cut), "nobody can tell whether EigenAI took it"),
    (empty(), "nobody can tell whether EigenAI took it"),
    (says(b'{"task_status": "pending"}'), "nobody can tell whether EigenAI took it"),
)


async def test_a_submit_that_fails_is_explained_not_charged_and_never_repeated(
    world: World, vendor: EigenAIServer
) -> None:
    for index, (fault, words) in enumerate(REFUSALS):
        vendor.next("submit", fault)
        await world.animate()
        text = await world.card_says("No video this time", index)
        assert words in text, index
        assert "Nothing was charged" in text, index
        assert vendor.KEY not in text, index
        assert await world.quota() == "5 of 5 credits left today", index
        assert len(vendor.seen("submit")) == index + 1
        assert not world.card(index).components, index
        world.bot.booking.catalogue.health["eigenai"].record_success()


async def test_a_submit_without_an_answer_ends_as_unknown_and_is_not_repeated(
    start: Callable[..., Awaitable[World]], vendor: EigenAIServer
) -> None:
    world = await start(eigenai_transfer_timeout=0.3)
    vendor.next("submit", after_accepting(hang))
    await world.animate()
    assert "nothing is paid for twice" in await world.card_says("No video this time")
    assert len(vendor.seen("submit")) == 1
    assert await world.quota() == "5 of 5 credits left today"


@pytest.mark.parametrize("faults", [[status(503)] * 2, [status(429, Retry_After="7")]])
async def test_a_provider_that_says_later_is_asked_again(
    world: World, vendor: EigenAIServer, faults: list[Fault]
) -> None:
    vendor.next("submit", *faults)
    await world.animate()
    await world.video()
    assert len(vendor.seen("submit")) == len(faults) + 1
    assert await world.quota() == "4 of 5 credits left today"


async def test_a_provider_that_cannot_be_reached_accepted_nothing(
    start: Callable[..., Awaitable[World]],
) -> None:
    world = await start(eigenai_base_url="http://127.0.0.1:9")
    await world.animate()
    await world.card_says("Waiting in the queue")
    assert await world.quota() == "4 of 5 credits left today"


OUTAGES = (
    status(503),
    status(500),
    status(429, Retry_After="3"),
    cut,
    html(),
    empty(),
    status(401),
    status(404),
)


async def test_no_outage_while_looking_ends_a_paid_video(world: World, vendor: EigenAIServer) -> None:
    vendor.next("poll", *OUTAGES)
    await world.animate()
    await world.video()
    assert len(vendor.seen("poll")) > len(OUTAGES)
    assert len(vendor.seen("submit")) == 1


async def test_a_status_call_that_hangs_is_given_up_and_repeated(
    start: Callable[..., Awaitable[World]], vendor: EigenAIServer
) -> None:
    world = await start(eigenai_request_timeout=0.3)
    vendor.next("poll", hang)
    await world.animate()
    await world.video()


async def test_an_operation_the_provider_has_forgotten_ends_the_job(
    world: World, vendor: EigenAIServer
) -> None:
    vendor.next("poll", *[status(404)] * 50)
    await world.animate()
    text = await world.card_says("No video this time")
    assert "EigenAI has taken this job but does not bring the video any more" in text
    assert await world.quota() == "5 of 5 credits left today"


async def test_a_failed_generation_is_told_without_the_providers_own_words(
    world: World, vendor: EigenAIServer
) -> None:
    vendor.reason = "CUDA out of memory at /srv/worker/7"
    await world.animate()
    text = await world.card_says("No video this time")
    assert "EigenAI could not make this video" in text
    assert "Nothing was charged" in text
    assert "CUDA" not in text
    assert await world.quota() == "5 of 5 credits left today"


SAYS_WHY = says(b'{"error": "expired"}')
"""An error where the file should be, and no status that tells."""


async def test_what_is_no_video_is_a_provider_failure_and_not_an_upload(
    world: World, vendor: EigenAIServer
) -> None:
    vendor.next("result", *[half_a_file(), SAYS_WHY] * 25)
    await world.animate()
    text = await world.card_says("No video this time")
    assert "not a video that can be played" in text
    assert "expired" not in text
    assert not world.videos()
    assert await world.quota() == "5 of 5 credits left today"


async def test_a_broken_download_is_repeated_until_the_file_is_whole(
    world: World, vendor: EigenAIServer
) -> None:
    breaks = (cut_midway, cut, half_a_file(), SAYS_WHY, status(503), status(503), status(404))
    vendor.next("result", *breaks)
    await world.animate()
    await world.video()
    assert len(vendor.seen("result")) == len(breaks) + 1


async def test_a_status_word_nobody_knows_is_waited_out_until_the_deadline(
    start: Callable[..., Awaitable[World]], vendor: EigenAIServer
) -> None:
    world = await start()
    vendor.word = "pondering"
    await world.animate()
    assert "took too long" in await world.card_says("No video this time")
    assert await world.quota() == "5 of 5 credits left today"


async def test_a_video_larger_than_discord_takes_is_not_charged(world: World) -> None:
    world.env.inject_error("PATCH", "/channels/*/messages/*", status=413, code=40005, times=50)
    await world.animate()
    await eventually(world.replies)
    await eventually(lambda: nothing_charged(world))
    assert not world.videos()


async def test_a_bot_that_may_no_longer_post_charges_nothing(world: World) -> None:
    world.env.inject_error("POST", "/channels/*/messages", status=403, code=50013, times=50)
    await world.animate()
    await eventually(lambda: nothing_charged(world))
    assert not world.channel.history()


async def nothing_charged(world: World) -> bool:
    return await world.quota() == "5 of 5 credits left today"
