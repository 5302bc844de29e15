"""What becomes of places, as discord.py reads it."""

import io
from itertools import pairwise

import discord
import pytest

from tests.discord_server.places import (
    ALICE,
    CHANNEL,
    GUILD,
    OTHER_CHANNEL,
    SYSTEM_CHANNEL,
    THREAD,
    Fate,
    direct,
)
from tests.discord_server.server import DiscordServer
from tests.helpers import eventually

CREATE, EDIT, FILE, REPLY = "create", "edit", "file", "reply"
REFUSALS = {
    Fate.DELETED: {CREATE: (404, 10003), EDIT: (404, 10003)},
    Fate.HIDDEN: {CREATE: (403, 50001), EDIT: (403, 50001)},
    Fate.MUTE: {CREATE: (403, 50013), FILE: (403, 50013)},
    Fate.FILELESS: {FILE: (403, 50013)},
    Fate.NO_HISTORY: {REPLY: (403, 160002)},
    Fate.LOCKED: {CREATE: (403, 50083), EDIT: (403, 50083)},
    Fate.LOCKED_AS_DOCUMENTED: {CREATE: (400, 160005), EDIT: (400, 160005)},
    Fate.CLOSED: {CREATE: (403, 50007)},
}


def place(client: discord.Client, channel: int = CHANNEL) -> discord.PartialMessageable:
    return client.get_partial_messageable(channel, guild_id=GUILD)


def file(size: int = 3) -> discord.File:
    return discord.File(io.BytesIO(b"x" * size), "video.mp4")


async def refusal(
    client: discord.Client, channel: int, message: int, decision: str
) -> tuple[int, int] | None:
    where = place(client, channel)
    try:
        if decision == EDIT:
            await where.get_partial_message(message).edit(content="later")
        elif decision == FILE:
            await where.send(file=file())
        elif decision == REPLY:
            await where.send(
                "yes", reference=discord.MessageReference(message_id=message, channel_id=channel)
            )
        else:
            await where.send("hello")
    except discord.HTTPException as no:
        return no.status, no.code
    return None


@pytest.mark.parametrize("fate", REFUSALS)
async def test_a_place_refuses_what_its_fate_says_and_nothing_else(
    server: DiscordServer, client: discord.Client, fate: Fate
) -> None:
    message = await place(client, THREAD).send("hello")
    server.world.fates[THREAD] = fate
    answers = {decision: await refusal(client, THREAD, message.id, decision) for decision in (CREATE, EDIT)}
    answers |= {decision: await refusal(client, THREAD, message.id, decision) for decision in REFUSALS[fate]}

    assert {decision: no for decision, no in answers.items() if no} == REFUSALS[fate]


async def test_a_message_wakes_an_archived_thread_and_an_edit_does_not(
    server: DiscordServer, client: discord.Client
) -> None:
    message = await place(client, THREAD).send("hello")
    await server.befalls(THREAD, Fate.ARCHIVED)

    assert await refusal(client, THREAD, message.id, EDIT) == (400, 50083)
    assert await refusal(client, THREAD, message.id, CREATE) is None
    assert await refusal(client, THREAD, message.id, EDIT) is None


async def test_discord_tells_of_a_thread_until_it_is_archived(
    server: DiscordServer, client: discord.Client
) -> None:
    guild = client.get_guild(GUILD)
    assert guild is not None
    thread = guild.get_thread(THREAD)
    await server.befalls(THREAD, Fate.ARCHIVED)
    await eventually(lambda: guild.get_thread(THREAD) is None)
    fetched = await client.fetch_channel(THREAD)

    assert thread is not None
    assert (thread.parent_id, thread.type) == (CHANNEL, discord.ChannelType.public_thread)
    assert isinstance(fetched, discord.Thread)
    assert (fetched.archived, fetched.parent_id) == (True, CHANNEL)
    assert guild.system_channel is not None
    assert guild.system_channel.id == SYSTEM_CHANNEL


async def test_a_removed_bot_has_no_server_and_no_access(
    server: DiscordServer, client: discord.Client
) -> None:
    message = await place(client).send("hello")
    await server.remove_bot()
    await eventually(lambda: client.get_guild(GUILD) is None)

    assert await refusal(client, CHANNEL, message.id, CREATE) == (403, 50001)
    assert await refusal(client, CHANNEL, message.id, EDIT) == (403, 50001)
    assert await refusal(client, direct(ALICE), message.id, CREATE) == (403, 50278)
    await server.invite_bot()
    await eventually(lambda: client.get_guild(GUILD))
    assert await refusal(client, CHANNEL, message.id, EDIT) is None


async def test_a_member_has_one_channel_for_direct_messages(
    server: DiscordServer, client: discord.Client
) -> None:
    first = await client.create_dm(discord.Object(ALICE))
    again = await client.create_dm(discord.Object(ALICE))
    message = await first.send("hello")

    assert (first.id, again.id) == (direct(ALICE), direct(ALICE))
    assert [found.id async for found in first.history()] == [message.id]


@pytest.mark.parametrize(("page", "code"), [(False, 40005), (True, 0)])
async def test_a_file_above_the_limit_is_refused_with_a_code_or_a_page(
    server: DiscordServer, client: discord.Client, *, page: bool, code: int
) -> None:
    server.world.upload_limit, server.world.upload_page = 10, page
    await place(client).send(file=file(10))
    with pytest.raises(discord.HTTPException) as no:
        await place(client).send(file=file(11))

    assert (no.value.status, no.value.code) == (413, code)


async def test_history_comes_newest_first_and_hides_nonces(
    server: DiscordServer, client: discord.Client
) -> None:
    sent = [await place(client).send(str(number), nonce=str(number)) for number in range(5)]
    ids = [message.id for message in sent]
    after = [found.id async for found in place(client).history(limit=2, after=sent[0])]
    before = [found.id async for found in place(client).history(limit=2, before=sent[4])]
    (seen, _) = await client.http.logs_from(CHANNEL, 2)
    found = await place(client).fetch_message(ids[0])

    assert sent[0].nonce == "0"
    assert after == ids[1:3]
    assert before == [ids[3], ids[2]]
    assert (int(seen["id"]), "nonce" in seen) == (ids[4], False)
    assert (found.content, found.nonce) == ("0", None)
    server.world.fates[CHANNEL] = Fate.NO_HISTORY
    assert [found async for found in place(client).history()] == []


async def test_a_nonce_is_remembered_for_a_while(server: DiscordServer, client: discord.Client) -> None:
    first = await place(client).send("hello", nonce="1")
    again = await place(client).send("hello", nonce="1")
    server.world.nonce_seconds = 0
    later = await place(client).send("hello", nonce="1")

    assert (again.id, later.id) == (first.id, max(server.world.messages))
    assert len(server.world.messages) == 2


async def test_a_nonce_counts_in_every_channel_and_also_when_its_message_is_deleted(
    server: DiscordServer, client: discord.Client
) -> None:
    first = await place(client).send("hello", nonce="1")
    elsewhere = await place(client, OTHER_CHANNEL).send("something else", nonce="1")
    server.world.delete(CHANNEL, first.id)
    with pytest.raises(discord.NotFound) as gone:
        await place(client).send("hello", nonce="1")

    assert (elsewhere.id, elsewhere.content) == (first.id, "hello")
    assert gone.value.code == 10008


async def test_limits_are_kept_where_they_are_announced(
    server: DiscordServer, client: discord.Client
) -> None:
    server.enforce(window=0.2)
    message = await place(client).send("hello")
    for number in range(10):
        await message.edit(content=str(number))
    edits = server.seen("edit")

    assert server.too_many == 0
    assert edits[5].at - edits[0].at >= 0.2


async def test_what_is_old_takes_fewer_edits_and_says_so_only_when_it_refuses(
    server: DiscordServer, client: discord.Client
) -> None:
    server.enforce(window=0.2)
    message = await place(client).send("hello")
    server.world.old.add(message.id)
    for number in range(4):
        await message.edit(content=str(number))
    edits = server.seen("edit")

    assert server.too_many == len(edits) - 4 == 1
    assert edits[-1].at - edits[0].at >= 0.24
    assert all(later.at >= sooner.at for sooner, later in pairwise(edits))
