"""What can go wrong between us and Discord, as sentences for the operator."""

import asyncio
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from http import HTTPStatus

import aiohttp
import discord

from bot.clock import Clock

_CLOSED = {
    4004: "Discord no longer accepts DISCORD_TOKEN: it was reset. Set the new one and start again.",
    4011: "Discord wants this bot to be sharded: it is in too many servers for one connection."
    " Stillmotion cannot do that yet; remove it from some servers.",
    4013: "Discord does not know an intent that this version asks for. Update Stillmotion.",
    4014: "Discord does not allow an intent that this version asks for. Turn it on in the Developer Portal,"
    " on your application's page Bot, under Privileged Gateway Intents.",
}
"""By the code with which Discord closes the connection, and stays closed."""

EVERYWHERE = ("view_channel", "embed_links", "attach_files", "read_message_history")
"""Permissions that posting a video takes in every channel, beside the one to send messages there."""
TO_SEND, TO_SEND_IN_THREADS = "send_messages", "send_messages_in_threads"

_ASKING = 10.0
"""Seconds."""
_ASKED_EVERY = 60.0
"""Seconds; a 401 may be a mistake of Discord's."""


class CannotStart(Exception):
    """Something outside keeps the bot from running; the message is a sentence for the operator."""


class DiscordAway(CannotStart):
    """It is the fault of Discord or of the way there: the same may work in a moment."""


@contextmanager
def translated() -> Generator[None]:
    """Let what goes wrong with Discord be a CannotStart."""
    try:
        yield
    except discord.LoginFailure as error:
        raise CannotStart("Discord does not accept DISCORD_TOKEN.") from error
    except discord.HTTPException as error:
        raise _refusal(error) from error
    except discord.PrivilegedIntentsRequired as error:
        raise CannotStart(_CLOSED[4014]) from error
    except discord.ConnectionClosed as error:
        sentence = _CLOSED.get(error.code, f"Discord has closed the connection for good (code {error.code}).")
        raise CannotStart(sentence) from error
    except aiohttp.ClientError as error:
        raise DiscordAway(f"Discord cannot be reached: {type(error).__name__}.") from error
    except OSError as error:
        if error.filename is not None:
            raise CannotStart(f"{error.filename} cannot be used: {error.strerror}.") from error
        raise DiscordAway(f"Discord cannot be reached: {type(error).__name__}.") from error


def _refusal(error: discord.HTTPException) -> CannotStart:
    if error.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return DiscordAway(f"Discord is not well: it answers {error.status}.")
    if error.status == HTTPStatus.TOO_MANY_REQUESTS:
        return DiscordAway("Discord asks for patience: it answers 429.")
    if error.status == HTTPStatus.UNAUTHORIZED:
        return CannotStart("Discord does not accept DISCORD_TOKEN.")
    return CannotStart(f"Discord refuses: {error}.")


async def keep_token(
    client: discord.Client, refused: asyncio.Event, clock: Clock, fail: Callable[[Exception], None]
) -> None:
    """End a running bot whose token Discord has refused, and refuses when it is asked again.

    The connection may stay for long after that, and ten thousand refused calls shut out this address.
    """
    never = asyncio.Event()
    while await refused.wait():
        with suppress(aiohttp.ClientError, OSError):
            try:
                async with asyncio.timeout(_ASKING):
                    await client.http.application_info()
            except discord.HTTPException as error:
                if error.status == HTTPStatus.UNAUTHORIZED:
                    fail(CannotStart(_CLOSED[4004]))
                    return
        await clock.wait(never, _ASKED_EVERY)
        refused.clear()


async def whose(token: str) -> tuple[str, str]:
    """The name of the bot that a token belongs to, and its `invite`. Raises CannotStart."""
    async with discord.Client(intents=discord.Intents.none()) as client:
        with translated():
            await client.login(token)
        return str(client.user), invite(client)


def invite(client: discord.Client) -> str:
    """The link that adds a bot, once it has logged in, to a server with the permissions that it needs."""
    needed = dict.fromkeys((*EVERYWHERE, TO_SEND, TO_SEND_IN_THREADS), True)
    scopes = ("bot", "applications.commands")
    permissions = discord.Permissions(**needed)
    return discord.utils.oauth_url(client.application_id or 0, permissions=permissions, scopes=scopes)
