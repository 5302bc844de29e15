"""What members do reaches discord.py's own command tree."""

import discord
import pytest
from discord import app_commands

from tests.discord_server.places import CHANNEL, THREAD, Fate
from tests.discord_server.server import DiscordServer
from tests.helpers import eventually

Seen = dict[str, discord.Interaction]


@pytest.fixture
async def seen(client: discord.Client) -> Seen:
    """The interactions of `/jobs resend`, by what was given as its option."""
    found: Seen = {}
    jobs = app_commands.Group(name="jobs", description="Jobs")

    @jobs.command(name="resend", description="Send it again")
    async def resend(interaction: discord.Interaction, job: str) -> None:
        found[job] = interaction

    @resend.autocomplete("job")
    async def suggest(interaction: discord.Interaction, typed: str) -> list[app_commands.Choice[str]]:
        return [app_commands.Choice(name=typed, value=typed)]

    tree = app_commands.CommandTree(client)
    tree.add_command(jobs)
    await tree.sync()
    return found


async def arrival(seen: Seen) -> discord.Interaction:
    await eventually(lambda: seen)
    return seen["7"]


@pytest.mark.parametrize(("place", "kind"), [(CHANNEL, discord.TextChannel), (THREAD, discord.Thread)])
async def test_a_subcommand_can_be_run_anywhere(
    server: DiscordServer, seen: Seen, place: int, kind: type[object]
) -> None:
    await server.people.run("jobs resend", channel=place, job="7")
    interaction = await arrival(seen)

    assert isinstance(interaction.channel, kind)
    assert interaction.channel_id == place


async def test_an_archived_thread_comes_with_what_is_done_in_it(server: DiscordServer, seen: Seen) -> None:
    await server.befalls(THREAD, Fate.ARCHIVED)
    await server.people.run("jobs resend", channel=THREAD, job="7")
    interaction = await arrival(seen)

    assert isinstance(interaction.channel, discord.Thread)
    assert interaction.channel.parent_id == CHANNEL


async def test_a_subcommand_makes_suggestions(server: DiscordServer, seen: Seen) -> None:
    assert await server.people.type_into("jobs resend", "job", "4") == [{"name": "4", "value": "4"}]


async def test_the_bot_hears_what_it_may_do_there(server: DiscordServer, seen: Seen) -> None:
    server.world.fates[CHANNEL] = Fate.FILELESS
    await server.people.run("jobs resend", job="7")
    interaction = await arrival(seen)

    assert not interaction.app_permissions.attach_files
    assert interaction.app_permissions.send_messages
