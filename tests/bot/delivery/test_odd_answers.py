"""Answers that nobody expects: what Discord has done is done, however it says so."""

from dataclasses import replace

import pytest
from aiohttp import web

from bot.delivery import Delivery
from bot.delivery.answers import attached, message_of
from bot.errors import Undelivered
from bot.jobs import Job
from tests.bot.delivery.conftest import announced, card
from tests.discord_server.faults import after_accepting, altered, cut
from tests.discord_server.server import DiscordServer, carries_video
from tests.vendors.faults import Exchange, Fault

NULLS = altered(author=None, mentions=None, embeds=None, components=[None, 7], attachments=None, type=None)


async def half(exchange: Exchange) -> web.StreamResponse:
    """Discord does it, and half of its answer arrives."""
    await exchange.accept()
    return web.Response(body=b'{"id": "12', content_type="application/json")


async def test_a_card_whose_answer_is_odd_is_there(
    server: DiscordServer, messenger: Delivery, job: Job
) -> None:
    server.next("create", NULLS)
    card_id = await messenger.cards.open(card(job))
    assert [int(message["id"]) for message in server.world.cards()] == [card_id]


@pytest.mark.parametrize("fault", [NULLS, half, after_accepting(cut)], ids=["nulls", "half", "cut"])
async def test_a_video_is_uploaded_once_whatever_the_answer_is(
    server: DiscordServer, messenger: Delivery, job: Job, fault: Fault
) -> None:
    job = await announced(messenger, job)
    server.next("edit", fault)
    try:
        await messenger.videos.attach(job)
    except Undelivered:
        await messenger.videos.attach(job)
    assert len(server.seen("edit", carries_video)) == len(server.world.videos()) == 1


async def test_a_video_that_an_earlier_process_has_uploaded_is_not_uploaded_again(
    server: DiscordServer, messenger: Delivery, job: Job
) -> None:
    job = await announced(messenger, job)
    await messenger.videos.attach(job)
    await messenger.videos.attach(job)
    assert len(server.seen("edit", carries_video)) == 1


@pytest.mark.parametrize("change", [{"author": None}, {"mentions": None}, {"type": None}])
async def test_the_video_of_an_odd_message_is_there(
    server: DiscordServer, messenger: Delivery, job: Job, change: dict[str, None]
) -> None:
    job = await announced(messenger, job)
    await messenger.videos.attach(job)
    server.next("look", altered(**change))
    assert await messenger.videos.is_there(job)


async def test_whether_a_message_has_its_video_is_not_guessed(
    server: DiscordServer, messenger: Delivery, job: Job
) -> None:
    job = await announced(messenger, job)
    server.next("look", altered(attachments=None))
    with pytest.raises(Undelivered):
        await messenger.videos.is_there(job)


async def test_one_message_that_nobody_can_read_hides_no_other(
    server: DiscordServer, messenger: Delivery, job: Job
) -> None:
    server.world.nonce_seconds = 0
    odd = server.world._new_message(job.channel_id) | {"author": None, "mentions": None, "embeds": None}
    server.world.messages[int(odd["id"])] = odd
    first = await messenger.videos.announce(job, again=False)
    assert await messenger.videos.announce(job, again=True) == first


@pytest.mark.parametrize("answer", [None, "", [], {}, {"id": None}, {"id": "x"}, {"id": True}, {"id": {}}])
def test_what_has_no_id_is_no_message(answer: object) -> None:
    assert message_of(answer) is None
    assert attached(answer) is None


def test_everything_else_is_read_as_far_as_it_goes() -> None:
    odd = {"id": "7", "content": 5, "author": [], "embeds": [None, {"description": "a"}], "components": {}}
    message = message_of(odd)
    assert message is not None
    assert (message.id, message.content, message.author_id, message.descriptions) == (7, "", None, ("a",))
    row = {"components": [{"custom_id": "cancel:7"}, {"custom_id": None}]}
    nested = message_of({"id": 7, "components": [{"type": 17, "components": [row]}]})
    assert nested is not None
    assert nested.custom_ids == {"cancel:7"}


async def test_a_message_posted_before_the_clock_was_put_back_is_found(
    server: DiscordServer, messenger: Delivery, job: Job
) -> None:
    server.world.nonce_seconds = 0
    ahead = replace(job, announcing_at=job.created_at.replace(year=job.created_at.year + 10))
    first = await messenger.videos.announce(ahead, again=False)
    assert await messenger.videos.announce(ahead, again=True) == first
