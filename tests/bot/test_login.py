"""What can go wrong between the bot and Discord is a sentence for the operator."""

from types import SimpleNamespace

import discord
import pytest

from bot.login import CannotStart, translated


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (4004, "no longer accepts DISCORD_TOKEN"),
        (4011, "wants this bot to be sharded"),
        (4013, "Update Stillmotion"),
        (4014, "Privileged Gateway Intents"),
        (4012, "closed the connection for good .code 4012"),
    ],
)
def test_a_connection_that_stays_closed_is_a_sentence(code: int, words: str) -> None:
    socket = SimpleNamespace(close_code=code)
    with pytest.raises(CannotStart, match=words), translated():
        raise discord.ConnectionClosed(socket, shard_id=None)
