"""Acknowledge first; then the command's reply, or a sentence on the fault that it met.

This is the one place where a fault becomes a sentence, for commands, buttons, forms and suggestions alike.
"""

import asyncio
import functools
import io
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Concatenate, ParamSpec, TypeAlias, TypeVar

import discord

from bot.client import stillmotion
from bot.delivery.calls import call
from bot.errors import DeliveryFault, Undelivered, UserFault
from bot.outages import DOUBT, is_doubtful, outage

P = ParamSpec("P")
S = TypeVar("S")
T = TypeVar("T")
Interaction: TypeAlias = "discord.Interaction[Any]"
log = logging.getLogger(__name__)

SOMETHING_WENT_WRONG = (
    "Something went wrong on our side, and it has been written down for whoever runs this bot. "
    "What does not arrive is never charged; `/jobs list` shows what is under way."
)
_ACKNOWLEDGED = 40060
"""Discord has an answer to this interaction already."""
_EXPIRED = 50027
"""An interaction can be answered for fifteen minutes."""
_REPEATED = timedelta(seconds=1)
"""How long discord.py waits, at least, before it repeats a call by itself."""
_ACK_TIMEOUT = 5.0
ACK_PAUSES = (0.1, 0.5, 1.0, 2.0)
REPLY_PAUSES = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0)
"""Seconds before each further try. A reply is an edit: repeated, it is the same."""


@dataclass(frozen=True)
class Wording:
    """What a person reads of a command that was broken off."""

    undone: str
    """It is certain that nothing was done."""
    unknown: str
    """It is not."""


VIDEO = Wording("Nothing was charged.", DOUBT)
DECISION = Wording(
    "Nothing was changed.", "`/quota-admin history` shows in a minute whether this was written down."
)
CANCELLING = Wording(*["`/jobs list` shows in a minute whether it was cancelled."] * 2)
RESTARTING = f"I am being restarted. {VIDEO.unknown}"


@dataclass(frozen=True)
class Document:
    """A file of a reply; kept as bytes, for a reply may be sent more than once."""

    name: str
    data: bytes


@dataclass(frozen=True)
class Page:
    """A reply with more to it than words."""

    embed: discord.Embed | None = None
    view: discord.ui.View | None = None
    file: Document | None = None


Reply: TypeAlias = str | discord.Embed | Page
"""What a command has to say to the person, and to nobody else."""
_Command: TypeAlias = Callable[Concatenate[S, Interaction, P], Awaitable[Reply]]
_Answered: TypeAlias = Callable[Concatenate[S, Interaction, P], Coroutine[Any, Any, None]]


def answering(wording: Wording, *, is_kept: bool = False) -> Callable[[_Command[S, P]], _Answered[S, P]]:
    """Make a command of a function that returns its reply; only the person sees it. A UserFault is one, too.

    Discord waits three seconds for a sign of life, so that comes before anything that can wait. `is_kept` is
    for what takes a while: should the bot be killed meanwhile, its next start answers.
    """

    def decorate(command: _Command[S, P]) -> _Answered[S, P]:
        @functools.wraps(command)
        async def answered(self: S, interaction: Interaction, *args: P.args, **kwargs: P.kwargs) -> None:
            with stillmotion(interaction).answering():
                thinking = functools.partial(interaction.response.defer, ephemeral=True, thinking=True)
                unheard = f"Discord did not answer me. Try again in a minute. {wording.undone}"
                async with _kept(interaction) if is_kept else nullcontext():
                    if not await acknowledge(interaction, thinking, unheard):
                        return
                    running = command(self, interaction, *args, **kwargs)
                    await show(interaction, await _outcome(interaction, running, wording))

        return answered

    return decorate


def privately(command: _Command[S, P]) -> _Answered[S, P]:
    """`answering` for what is about videos."""
    return answering(VIDEO)(command)


def making(command: _Command[S, P]) -> _Answered[S, P]:
    """`answering` for what books or brings a video, which can take a while."""
    return answering(VIDEO, is_kept=True)(command)


def deciding(command: _Command[S, P]) -> _Answered[S, P]:
    """`answering` for what moderators do."""
    return answering(DECISION)(command)


@asynccontextmanager
async def guarded(interaction: Interaction) -> AsyncGenerator[None]:
    """For a button that answers in its own way: its faults are told, which discord.py would only log."""
    with stillmotion(interaction).answering():
        try:
            yield
        except Exception as error:  # noqa: BLE001 - whatever it is, somebody waits for an answer
            await tell(interaction, sentence(interaction, error, DECISION))


async def acknowledge(
    interaction: Interaction, answer: Callable[[], Awaitable[object]], unheard: str = ""
) -> bool:
    """Give an interaction its first answer, and say whether Discord has it.

    An answer whose own answer is lost is given again: then Discord says whether it has it. Should it never
    say so, it may have it all the same: `unheard` is for who reads it.
    """
    now, fault = stillmotion(interaction).moderation.now, Undelivered()
    began = now()
    for number, pause in enumerate((*ACK_PAUSES, 0.0)):
        try:
            await call(answer(), _ACK_TIMEOUT)
        except Undelivered as error:
            if isinstance(error.__cause__, discord.InteractionResponded):
                return True  # the answer before this one was taken, and discord.py could not read that
            fault = error
            await asyncio.sleep(pause)
        except DeliveryFault as error:
            # Without a try before this one, somebody else has answered, and goes on with it.
            was_repeated = number > 0 or now() - began >= _REPEATED
            if _code(error) == _ACKNOWLEDGED and was_repeated:
                return True
            log.warning("%s could not be acknowledged: %s", _name(interaction), error)
            return False
        else:
            return True
    log.warning("%s could not be acknowledged: %s", _name(interaction), fault)
    if unheard:
        await show(interaction, unheard)
    return False


async def tell(interaction: Interaction, text: str) -> None:
    """Say something to the person, whether or not there was an answer before."""
    say = functools.partial(interaction.response.send_message, text[:2000], ephemeral=True)
    if not interaction.response.is_done():
        await acknowledge(interaction, say)
        return
    try:
        await call(interaction.followup.send(text[:2000], ephemeral=True))
    except DeliveryFault as fault:
        log.warning("nobody was told of a fault of %s: %s", _name(interaction), fault)


async def show(interaction: Interaction, reply: Reply) -> None:
    """Put the reply where the person waits for it."""
    for pause in (*REPLY_PAUSES, None):
        try:
            await call(_edit(interaction, reply))
        except Undelivered as fault:
            if pause is None or _code(fault) == _EXPIRED or interaction.client.is_closed():
                log.warning("the reply to %s did not arrive: %s", _name(interaction), fault)
                return
            await asyncio.sleep(pause)
        except DeliveryFault as fault:
            log.warning("Discord does not take the reply to %s: %s", _name(interaction), fault)
            if not isinstance(reply, str):
                await show(interaction, SOMETHING_WENT_WRONG)
            return
        else:
            return


def sentence(interaction: Interaction, error: Exception, wording: Wording) -> str:
    """What is out, and what that means for whoever asked. What nobody foresaw goes to the log, whole."""
    if isinstance(error, UserFault):
        return str(error)
    if (what := outage(error)) is None:
        log.error("%s failed", _name(interaction), exc_info=error)
        return SOMETHING_WENT_WRONG
    log.warning("%s failed: %r", _name(interaction), error)
    return f"{what} {wording.unknown if is_doubtful(error) else f'Try again in a minute. {wording.undone}'}"


def suggesting(suggestions: Callable[P, Awaitable[list[T]]]) -> Callable[P, Coroutine[Any, Any, list[T]]]:
    """Answer whatever happens: without one, Discord shows an error to somebody who only types."""

    @functools.wraps(suggestions)
    async def suggested(*args: P.args, **kwargs: P.kwargs) -> list[T]:
        try:
            return await suggestions(*args, **kwargs)
        except Exception as error:
            if outage(error) is None:
                log.exception("nothing could be suggested")
            return []

    return suggested


def _kept(interaction: Interaction) -> AbstractAsyncContextManager[None]:
    return stillmotion(interaction).open_replies.keep(interaction.id, interaction.token)


async def _outcome(interaction: Interaction, running: Awaitable[Reply], wording: Wording) -> Reply:
    """The command's reply, or what is to be said of its failure."""
    try:
        return await running
    except UserFault as fault:
        return str(fault)
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        # Not this task was cancelled but the work it waited for: the bot is being stopped.
        return f"I am being restarted. {wording.unknown}"
    except Exception as error:  # noqa: BLE001 - whatever it is, somebody waits for an answer
        return sentence(interaction, error, wording)


async def _edit(interaction: Interaction, reply: Reply) -> None:
    if isinstance(reply, str):
        await interaction.edit_original_response(content=reply[:2000])
        return
    page = reply if isinstance(reply, Page) else Page(reply)
    files = [] if page.file is None else [discord.File(io.BytesIO(page.file.data), page.file.name)]
    await interaction.edit_original_response(embed=page.embed, view=page.view, attachments=files)


def _name(interaction: Interaction) -> str:
    command = interaction.command
    return command.qualified_name if command else f"the button {interaction.custom_id}"


def _code(fault: DeliveryFault) -> int:
    return fault.__cause__.code if isinstance(fault.__cause__, discord.HTTPException) else 0
