"""`/settings`: moderators pause their server and see how things stand; the operator pauses everything."""

from collections.abc import Awaitable, Callable

import pytest

from bot.settings import Settings
from bot.store import connect
from bot.store.pauses import OperatorPauses
from tests.e2e.conftest import World
from tests.vendors.eigenai import EigenAIServer

Start = Callable[..., Awaitable[World]]


async def test_a_pause_is_told_to_members_and_moderators_and_ended_again(
    world: World, vendor: EigenAIServer
) -> None:
    said = await world.administer("settings pause", reason="a [raid](https://x.example)", until="3d")
    assert said.startswith("Done: pauses videos in this server until <t:")
    reply = await world.animate()
    assert reply.ephemeral
    text = reply.response.content
    assert text.startswith("Moderators have paused videos in this server until <t:")
    assert "`a [raid](https://x.example)`" in text
    assert text.endswith("Nothing was charged.")
    assert not vendor.seen("submit")
    assert await world.administer("settings resume") == "Done: lets videos be made in this server again."
    await world.animate()
    await world.video()
    history = (await world.admin.slash(world.channel, "quota-admin history")).response.embeds[0]
    assert "pauses videos in this server" in (history.description or "")


async def test_a_reason_is_read_whole_however_long_discord_lets_it_be(world: World) -> None:
    reason = "word " * 59 + "words"
    assert len(reason) == 300
    await world.administer("settings pause", reason=reason)
    assert f"`{reason}`" in (await world.animate()).response.content
    status = await world.admin.slash(world.channel, "settings status")
    assert f"`{reason}`" in (status.response.embeds[0].description or "")


async def test_what_is_being_made_in_a_paused_server_arrives(world: World, vendor: EigenAIServer) -> None:
    vendor.finish_after(3)
    await world.animate()
    await world.card_says("is making")
    await world.administer("settings pause", reason="enough for today")
    await world.video()


@pytest.mark.parametrize(
    ("command", "options", "words"),
    [
        ("settings pause", {"reason": "x", "until": "01/02/2030"}, "I cannot read that as a date"),
        ("settings resume", {}, "Videos are not paused here. Nothing was changed."),
    ],
)
async def test_what_cannot_be_done_is_said(
    world: World, command: str, options: dict[str, str], words: str
) -> None:
    assert words in await world.administer(command, **options)


@pytest.mark.parametrize(
    ("command", "options"),
    [("settings pause", {"reason": "x"}), ("settings resume", {}), ("settings status", {})],
)
async def test_who_may_not_manage_the_server_may_not_use_it_even_if_discord_lets_them(
    world: World, command: str, options: dict[str, str]
) -> None:
    await world.allow(world.moderator, command)
    said = await world.administer(command, world.moderator, **options)
    assert said == "Only members who may manage this server can do that. Nothing was changed."


async def test_the_operator_pauses_beside_the_running_bot_and_members_read_why(
    start: Start, settings: Callable[..., Settings]
) -> None:
    world = await start(local_on=True, local_resolutions=("288p",))
    database = connect(settings().database)
    await database.open()
    pauses = OperatorPauses(database)
    await pauses.pause("eigenai", "its bill is too high")
    reply = await world.animate(provider="eigenai")
    assert reply.response.content == (
        "Whoever runs this bot has paused EigenAI: `its bill is too high`. Choose another provider. "
        "Nothing was charged."
    )
    # Who names nobody gets somebody else.
    await world.animate()
    assert world.fields()["Made by"] == "This machine, Pan and zoom"
    await pauses.pause(None, "back at noon")
    reply = await world.animate()
    assert reply.response.content == (
        "Whoever runs this bot has paused it: `back at noon`. Try again later. Nothing was charged."
    )
    await pauses.resume(None)
    await world.animate(provider="eigenai")
    await world.video(2)
    await database.close()


async def status(world: World) -> dict[str, str]:
    shown = (await world.admin.slash(world.channel, "settings status")).response.embeds[0].description or ""
    return dict(line.removeprefix("**").split(":** ", 1) for line in shown.splitlines())


async def test_ten_lines_say_how_a_server_stands(start: Start, vendor: EigenAIServer) -> None:
    world = await start(
        max_allowance=9,
        max_video_price="2.50",
        eigenai_price="0.50",
        bot_daily_budget="1",
        server_monthly_budget="10",
        member_jobs=1,
    )
    vendor.finish_after(10_000)
    for _ in range(2):
        await world.animate()
    await world.card_says("is making")
    await world.administer("quota-admin set", target=world.guild.default_role, amount="unlimited")
    await world.administer("quota-admin budget", amount="20")
    await world.administer("settings pause", reason="lunch")
    shown = await status(world)
    owner = shown.pop("Run by")
    assert owner.startswith("<@")
    assert shown == {
        "Videos": "paused by moderators: `lunch`",
        "This server's budget": "$1.00 of $20.00 used this month",
        "The operator's budget for this server": "$1.00 of $10.00 used this month",
        "The operator's budget for all servers": "100% used this day",
        "Each member": (
            "9 credits a day without a rule of their own; nobody more than 9 credits a day in all servers"
        ),
        "At once": "1 video for a member, 20 videos for the server",
        "One video": "at most $2.50",
        "Providers": "EigenAI is well",
        "Queue": "1 waiting, 1 under way",
    }


async def test_without_limits_and_decisions_the_status_says_that(world: World) -> None:
    shown = await status(world)
    assert shown["Videos"] == "on"
    assert shown["This server's budget"] == "no limit set by moderators"
    assert shown["One video"] == "no limit on its price"
    assert len(shown) == 10


@pytest.mark.parametrize(
    ("command", "options", "before", "after", "reset"),
    [
        (
            "provider",
            {"provider": "eigenai"},
            "Provider: the bot's default.",
            "Provider: EigenAI.",
            "provider",
        ),
        (
            "fallback",
            {"allowed": "off"},
            "Fallback to another provider: the bot's default.",
            "Fallback to another provider: off.",
            "allowed",
        ),
        (
            "caps",
            {"member": "1"},
            "Videos at once: the bot's default for a member, the bot's default for the server.",
            "Videos at once: 1 video for a member, the bot's default for the server.",
            "member",
        ),
    ],
)
async def test_without_a_value_a_command_shows_the_present_one_and_default_resets_it(
    world: World, command: str, options: dict[str, str], before: str, after: str, reset: str
) -> None:
    command = f"settings {command}"
    assert await world.administer(command) == before
    await world.administer(command, **options)
    assert await world.administer(command) == after
    await world.administer(command, **{reset: "default"})
    assert await world.administer(command) == before
    assert len(await world.bot.moderation.history(world.guild.id, None, 9)) == 2, "to show decides nothing"


async def test_the_log_is_shown_and_switched_off_only_by_a_word(world: World) -> None:
    log = world.guild.create_text_channel("log")
    assert await world.administer("settings log") == "Log: off."
    await world.administer("settings log", channel=log)
    assert await world.administer("settings log") == f"Log: <#{log.id}>."
    await world.administer("settings log", turn="off")
    assert await world.administer("settings log") == "Log: off."


async def test_what_was_never_chosen_is_shown_as_it_is(world: World) -> None:
    assert await world.administer("settings timezone") == "Time zone: `UTC`."
    assert (await world.administer("settings delivery")).endswith("else to their members directly.")
    shown = await world.administer("quota-admin budget")
    assert shown == "Budget: no limit; $0.00 spent or reserved."
