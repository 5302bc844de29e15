"""Moderators at work: what `/quota-admin` decides, says, shows and refuses."""

import csv
import io
from collections.abc import Awaitable, Callable
from typing import Any

import discord
import pytest
from simcord.results import InteractionResult

from bot.app import build
from tests.clock import FastClock
from tests.e2e.conftest import World, picture
from tests.helpers import CHART, as_read
from tests.vendors.ecohash import EcoHashServer
from tests.vendors.eigenai import EigenAIServer
from tests.vendors.faults import status
from tests.vendors.venice import VeniceServer

Start = Callable[..., Awaitable[World]]


async def show(world: World, command: str, **options: Any) -> InteractionResult:
    reply = await world.admin.slash(world.channel, f"quota-admin {command}", **options)
    assert reply.ephemeral
    return reply


async def embed(world: World, command: str, **options: Any) -> discord.Embed:
    return (await show(world, command, **options)).response.embeds[0]


def fields(shown: discord.Embed) -> dict[str, str]:
    return {field.name or "": field.value or "" for field in shown.fields}


@pytest.fixture
def everyone(world: World) -> Any:
    return world.guild.default_role


async def test_a_member_beats_a_role_and_a_role_beats_everyone(world: World, everyone: Any) -> None:
    assert await world.administer("quota-admin set", target=everyone, amount="3") == (
        "Done: sets the allowance of everyone to 3 credits a day."
    )
    assert await world.quota() == "3 of 3 credits left today"
    await world.administer("quota-admin set", target=world.alice, amount="unlimited", window="month")
    assert await world.quota() == "No limit this month"
    assert await world.quota(world.bob) == "3 of 3 credits left today"
    await world.administer("quota-admin set", target=world.alice, amount="default")
    assert await world.quota() == "3 of 3 credits left today"


@pytest.mark.parametrize(("amount", "left"), [("7", 7), ("+2", 7), ("-1", 4), ("0", 0)])
async def test_an_amount_may_be_a_number_or_a_difference(world: World, amount: str, left: int) -> None:
    await world.administer("quota-admin set", target=world.alice, amount=amount)
    assert (await world.quota()).startswith(f"{left} of {left} credits left")


async def test_a_role_counts_from_the_next_command_on(world: World) -> None:
    artists = world.guild.create_role("Artists")
    await world.administer("quota-admin set", target=artists, amount="9")
    carol = world.guild.add_member(world.env.create_user("carol"), roles=[artists])
    shown = (await carol.slash(world.channel, "quota")).response.embeds[0]
    assert shown.title == "9 of 9 credits left today"
    assert fields(shown)["Rule"] == f"9 credits a day, by the role <@&{artists.id}>"


async def test_nothing_is_none(world: World, vendor: EigenAIServer) -> None:
    await world.administer("quota-admin set", target=world.alice, amount="0")
    reply = await world.animate()
    assert "You have no credits for videos in this server" in reply.response.content
    assert "Nothing was charged" in reply.response.content
    assert not vendor.requests


async def test_a_grant_is_used_after_the_allowance_and_shown(start: Start) -> None:
    world = await start(default_allowance=1)
    said = await world.administer(
        "quota-admin grant", member=world.alice, amount=2, expires="3d", reason="a prize"
    )
    assert said.startswith(f"Done: gives <@{world.alice.id}> 2 extra credits until <t:")
    assert said.endswith("(a prize).")
    assert await world.quota() == "1 of 1 credit and 2 granted credits left today"
    for number in (1, 2, 3):
        await world.animate()
        await world.video(number)
    reply = await world.animate()
    assert "You have 0 of 1 credit left today" in reply.response.content


async def test_a_grant_can_be_taken_back(world: World) -> None:
    await world.administer("quota-admin grant", member=world.alice, amount=1_000_000)
    said = await world.administer("quota-admin revoke", member=world.alice)
    assert said == f"Done: takes back what is left of the extra credits of <@{world.alice.id}>."
    assert await world.quota() == "5 of 5 credits left today"
    said = await world.administer("quota-admin revoke", member=world.alice)
    assert said == f"<@{world.alice.id}> has no extra credits. Nothing was changed."


async def test_a_budget_of_nothing_leaves_what_has_no_price(world: World) -> None:
    await world.administer("quota-admin budget", amount="0")
    await world.animate()
    await world.video()


async def test_a_reset_begins_the_window_anew(start: Start) -> None:
    world = await start(default_allowance=1)
    await world.animate()
    await world.video()
    assert await world.quota() == "0 of 1 credit left today"
    await world.administer("quota-admin reset", member=world.alice)
    assert await world.quota() == "1 of 1 credit left today"


async def test_who_is_blocked_is_told_until_when_and_makes_nothing(
    world: World, vendor: EigenAIServer
) -> None:
    await world.administer("quota-admin block", member=world.alice, until="2 weeks", reason="spam")
    reply = await world.animate()
    assert "A moderator has decided that you may not make videos here until <t:" in reply.response.content
    assert await world.quota() == "No videos for now"
    await world.administer("quota-admin unblock", member=world.alice)
    await world.animate()
    await world.video()
    assert len(vendor.seen("submit")) == 1


async def test_a_price_is_what_a_video_costs_here(world: World) -> None:
    said = await world.administer("quota-admin price", provider="eigenai", credits="3")
    assert said == "Done: sets the price of every model of EigenAI to 3 credits."
    listed = (await world.alice.slash(world.channel, "providers")).response.embeds[0]
    assert "here 3 credits" in (listed.fields[0].value or "")
    asked = await world.animate()
    assert "Your video is in the queue and takes 3 credits." in asked.response.content
    assert await world.quota() == "2 of 5 credits left today"
    reply = await world.animate()
    assert "this video takes 3" in reply.response.content


async def test_a_budget_is_reserved_and_refuses_what_does_not_fit(open_shop: Any) -> None:
    shop = await open_shop("venice", VeniceServer())
    world = shop.world
    said = await world.administer("quota-admin budget", amount="$0.50")
    assert said.startswith("Done: sets the budget to $0.50 a month.")
    await world.order("animate", image=("in.png", picture()))
    await world.video()
    reply = await world.order("animate", image=("in.png", picture()))
    assert "Too little is left of this server's budget" in reply.response.content
    assert "It renews <t:" in reply.response.content
    card = await embed(world, "show")
    assert fields(card)["Budget"] == "$0.50 a month; $0.35 spent or reserved"


async def test_a_video_that_fails_gives_the_budget_back(open_shop: Any) -> None:
    shop = await open_shop("venice", VeniceServer())
    world = shop.world
    await world.administer("quota-admin budget", amount="0.35")
    shop.vendor.next("submit", status(422))
    await world.order("animate", image=("in.png", picture()))
    await world.card_says("No video this time")
    await world.order("animate", image=("in.png", picture()))
    await world.video()


async def test_a_budget_is_settled_at_what_a_video_has_really_cost(open_shop: Any) -> None:
    world = (await open_shop("ecohash", EcoHashServer())).world
    await world.administer("quota-admin budget", amount="1")
    await world.order("video")
    await world.video()
    assert world.fields()["Price"] == "from $0.084"
    assert fields(await embed(world, "show"))["Budget"] == "$1.00 a month; $0.08652 spent or reserved"


async def test_caps_are_kept(world: World, vendor: EigenAIServer) -> None:
    vendor.finish_after(10_000)
    said = await world.administer("settings caps", member="1")
    assert (
        said
        == "Done: lets a member have 1 video and the server as many videos as by default under way at once."
    )
    await world.animate()
    await world.animate()
    await world.card_says("is making")
    await world.card_says("number 1", 1)
    assert len(vendor.seen("submit")) == 1
    await world.administer("settings caps", member="2")
    await world.card_says("is making", 1)


async def test_a_time_zone_is_the_servers_own(world: World) -> None:
    said = await world.administer("settings timezone", zone="europe/berlin")
    assert said == "Done: sets the time zone to `Europe/Berlin`."
    found = await world.admin.autocomplete(world.channel, "settings timezone", "zone", "kath")
    assert [choice["value"] for choice in found] == ["Asia/Kathmandu"]


async def test_every_decision_is_posted_in_the_log_channel_if_there_is_one(world: World) -> None:
    log = world.guild.create_text_channel("log")
    await world.administer("settings log", channel=log)
    await world.administer("quota-admin set", target=world.bob, amount="2", reason="new here")
    told = [message.content for message in log.history()]
    assert told == [
        f"<@{world.admin.id}> sends the log to <#{log.id}>.",
        f"<@{world.admin.id}> sets the allowance of <@{world.bob.id}> to 2 credits a day (new here).",
    ]
    await world.administer("settings log", turn="off")
    await world.administer("quota-admin set", target=world.bob, amount="3")
    assert [message.content for message in log.history()][2:] == [
        f"<@{world.admin.id}> switches the log off."
    ], "who reads it is told, and then it is silent"


async def test_a_log_channel_has_to_take_messages(world: World) -> None:
    silent = discord.PermissionOverwrite(send_messages=False)
    log = world.guild.create_text_channel("log", overwrites={world.env.bot.user: silent})
    said = await world.administer("settings log", channel=log)
    assert said == f"I may not post in <#{log.id}>. Nothing was changed."


async def test_a_log_channel_that_is_gone_keeps_nobody_from_deciding(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    log = world.guild.create_text_channel("log")
    await world.administer("settings log", channel=log)
    world.env.backend.delete_channel(log.id)
    said = await world.administer("quota-admin reset", member=world.bob)
    assert said.startswith(f"Done: sets what <@{world.bob.id}> has used back to nothing.")
    assert said.endswith(f"The log channel <#{log.id}> does not take my messages; choose another one.")
    assert f"the log channel {log.id} of server" in caplog.text


async def test_a_log_that_cannot_be_posted_just_now_does_not_undo_what_was_decided(world: World) -> None:
    log = world.guild.create_text_channel("log")
    await world.administer("settings log", channel=log)

    world.env.inject_error("POST", f"/channels/{log.id}/messages", status=503, times=1)
    said = await world.administer("quota-admin grant", member=world.bob, amount=2)
    assert said.startswith("Done: gives")
    assert await world.quota(world.bob) == "5 of 5 credits and 2 granted credits left today"


async def test_words_that_are_all_markdown_break_no_page(world: World) -> None:
    for _ in range(9):
        await world.administer("quota-admin grant", member=world.alice, amount=1, reason="*_" * 150)
    history = await show(world, "history")
    assert len(history.response.embeds[0].description or "") <= 4096
    card = (await world.alice.slash(world.channel, "quota")).response.embeds[0]
    assert len(fields(card)["Granted"]) <= 1024
    assert "and " in fields(card)["Granted"].splitlines()[-1]


async def test_why_names_some_of_many_grants_and_counts_the_rest(world: World) -> None:
    for _ in range(12):
        await world.administer("quota-admin grant", member=world.alice, amount=5)
    text = (await embed(world, "why", member=world.alice)).description or ""
    assert text.count("Granted, and used after that") == 10
    assert "and 2 more grants: 60 in all." in text


async def test_rules_that_do_not_fit_come_in_a_file(world: World) -> None:
    for number in range(40):
        role = world.guild.create_role(f"Role {number}")
        await world.administer("quota-admin set", target=role, amount=str(number))
    reply = (await show(world, "show")).response
    assert fields(reply.embeds[0])["Roles"].splitlines()[-1].endswith(" more")
    text = (await reply.attachments[0].read()).decode()
    assert text.startswith("Roles:")
    assert "39 credits a day" in text


async def test_a_reason_of_blanks_is_none(world: World) -> None:
    said = await world.administer("quota-admin reset", member=world.bob, reason="   ")
    assert said == f"Done: sets what <@{world.bob.id}> has used back to nothing."


async def test_ones_own_highest_role_is_a_target_and_every_role_is_the_owners(world: World) -> None:
    own = world.guild.roles["Admins"]
    assert (await world.administer("quota-admin set", target=own, amount="5")).startswith("Done")
    above = world.guild.create_role("Founders", position=50)
    owner = world.guild.add_member(world.guild.owner)
    assert (await world.administer("quota-admin set", owner, target=above, amount="5")).startswith("Done")


async def test_while_a_price_cannot_be_had_a_budget_is_not_spent_blindly(open_shop: Any) -> None:
    shop = await open_shop("venice", VeniceServer())
    world = shop.world
    shop.vendor.next("quote", status(503), status(503))
    await world.order("animate", image=("in.png", picture()))
    await world.card_says("Video ready")
    await world.administer("quota-admin budget", amount="5")
    reply = await world.order("animate", image=("in.png", picture()))
    assert "Venice does not say what this costs just now, and there is a budget." in reply.response.content
    assert len(shop.vendor.seen("submit")) == 1
    assert await world.quota() == "4 of 5 credits left today"


async def test_the_history_names_who_changed_what_and_why_page_by_page(world: World) -> None:
    for number in range(1, 11):
        await world.administer(
            "quota-admin set", target=world.alice, amount=str(number), reason=f"no. {number}"
        )
    await world.administer("quota-admin block", member=world.bob)
    reply = await show(world, "history", member=world.alice)
    page = as_read(reply.response.embeds[0].description or "")
    assert (
        f"<@{world.admin.id}> sets the allowance of <@{world.alice.id}> to 10 credits a day (no. 10)" in page
    )
    assert "no. 3" in page
    assert "no. 2)" not in page
    assert str(world.bob.id) not in page

    await world.admin.click(reply.response, label="Older")
    older = as_read(reply.response.embeds[0].description or "")
    assert "no. 2)" in older
    assert "no. 3" not in older
    await world.admin.click(reply.response, label="Newer")
    assert as_read(reply.response.embeds[0].description or "") == page


async def test_why_names_the_rule_that_wins_and_those_that_do_not(world: World) -> None:
    roles = [world.guild.create_role(name) for name in ("Artists", "Regulars")]
    carol = world.guild.add_member(world.env.create_user("carol"), roles=roles)
    await world.administer("quota-admin set", target=roles[0], amount="4")
    await world.administer("quota-admin set", target=roles[1], amount="20", window="week")
    await world.administer("quota-admin grant", member=carol, amount=3)
    text = (await embed(world, "why", member=carol)).description or ""
    assert text.startswith(f"**<@{carol.id}> has 4 credits a day:** the role <@&{roles[0].id}>, the best of")
    assert f"not <@&{roles[1].id}>: 20 credits a week" in text
    assert "not the bot's default: 5 credits a day" in text
    assert "Used since <t:" in text
    assert "Granted, and used after that: 3 of 3 credits." in text


async def test_show_has_all_rules_of_the_server(world: World) -> None:
    role = world.guild.create_role("Artists")
    await world.administer("quota-admin set", target=world.guild.default_role, amount="2", window="week")
    await world.administer("quota-admin set", target=role, amount="8")
    await world.administer("quota-admin set", target=world.bob, amount="1")
    await world.administer("quota-admin block", member=world.alice)
    await world.administer("quota-admin price", provider="eigenai", credits="2", per="video")
    shown = fields(await embed(world, "show"))
    assert shown["Everyone"] == "2 credits a week"
    assert shown["Roles"] == f"<@&{role.id}>: 8 credits a week"
    assert shown["Members with a rule of their own"] == f"<@{world.bob.id}>: 1 credit a week"
    assert shown["Blocked"] == f"<@{world.alice.id}>: for good"
    assert shown["Prices"] == "EigenAI: 2 credits a video"
    assert shown["Budget"] == "no limit; $0.00 spent or reserved"
    assert shown["At once"] == "the bot's default for a member, the bot's default for the server"
    assert shown["Provider"] == shown["Fallback to another provider"] == "the bot's default"
    assert shown["Time zone"] == "`UTC`"
    assert (await show(world, "show", target=role)).response.content == f"<@&{role.id}> has 8 credits a week."


async def test_show_says_so_where_more_members_have_rules_than_are_listed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("bot.moderation", "cogs.quota_admin._server_card"):
        monkeypatch.setattr(f"{module}.MOST_LISTED", 1)
    await world.administer("quota-admin block", member=world.alice, until="1d")
    await world.administer("quota-admin set", target=world.bob, amount="1")
    shown = await embed(world, "show")
    assert shown.footer.text == "Only 1 members with a rule of their own are listed."
    assert fields(shown)["Members with a rule of their own"] == f"<@{world.bob.id}>: 1 credit a day"
    assert "Blocked" not in fields(shown)


async def test_usage_is_a_table_and_a_chart(world: World) -> None:
    await world.animate()
    await world.animate(world.bob)
    await world.animate(world.bob)
    await world.video(3)
    reply = (await show(world, "usage")).response
    assert reply.embeds[0].title == "3 credits for 3 videos, last 30 days"
    assert reply.embeds[0].description == (
        f"1. <@{world.bob.id}>: 2 credits, 2 videos\n2. <@{world.alice.id}>: 1 credit, 1 video"
    )
    assert await reply.attachments[0].read() == CHART


async def test_an_export_has_a_line_for_each_video_and_no_formulas(
    world: World, vendor: EigenAIServer
) -> None:
    vendor.next("submit", status(422))
    await world.animate(prompt='=HYPERLINK("x")')
    await world.card_says("No video this time")
    await world.animate(world.bob)
    await world.card_says("Video ready", 1)
    reply = (await show(world, "export", period="this month")).response
    assert reply.attachments[0].filename == "videos-this-month.csv"
    text = (await reply.attachments[0].read()).decode("utf-8-sig")
    made, failed = csv.DictReader(io.StringIO(text))
    assert (made["member"], made["state"], made["charged_credits"]) == (f"'{world.bob.id}", "delivered", "1")
    assert (failed["prompt"], failed["failure"]) == ('\'=HYPERLINK("x")', "rejected")
    assert failed["charged_credits"] == "0"


async def test_the_context_menu_opens_a_members_card_with_the_usual_actions(world: World) -> None:
    reply = await world.admin.context_menu(world.channel, "Video quota", world.bob)
    assert reply.ephemeral
    assert reply.response.embeds[0].title == "5 of 5 credits left today"
    form = await world.admin.click(reply.response, label="Grant…")
    said = await world.admin.submit_modal(form, {"amount": "4", "expires": "1w", "reason": "thanks"})
    assert said.response.content.startswith(f"Done: gives <@{world.bob.id}> 4 extra credits until")
    form = await world.admin.click(reply.response, label="Block…")
    await world.admin.submit_modal(form, {"until": "", "reason": ""})
    assert await world.quota(world.bob) == "No videos for now"
    again = await world.admin.context_menu(world.channel, "Video quota", world.bob)
    await world.admin.click(again.response, label="Unblock")
    await world.admin.click(again.response, label="Reset")
    told = await world.admin.click(again.response, label="History")
    history = told.response.embeds[0].description or ""
    assert [word in history for word in ("resets", "unblocks", "blocks", "4 extra credits")] == [
        False,
        True,
        True,
        True,
    ]
    assert await world.quota(world.bob) == "5 of 5 credits and 4 granted credits left today"


@pytest.mark.parametrize(
    ("command", "options", "words"),
    [
        ("set", {"amount": "-9"}, "That would be -4 credits"),
        ("set", {"amount": "1000000000000"}, "That would be 1,000,000,000,000 credits"),
        ("set", {"amount": "lots"}, "I cannot read that as credits"),
        ("grant", {"amount": -1}, "A grant is 1 to 1,000,000 credits."),
        ("grant", {"amount": 10**12}, "A grant is 1 to 1,000,000 credits."),
        ("grant", {"amount": 1, "expires": "2020-01-01"}, "That is not in the future."),
        ("grant", {"amount": 1, "expires": "whenever"}, "I cannot read that as a date"),
        ("block", {"until": "2020-01-01"}, "That is not in the future."),
        ("unblock", {}, "is not blocked."),
    ],
)
async def test_bad_input_about_a_member_gets_one_sentence_and_changes_nothing(
    world: World, command: str, options: dict[str, Any], words: str
) -> None:
    name = "target" if command == "set" else "member"
    said = await world.administer(f"quota-admin {command}", **{name: world.bob}, **options)
    assert words in said
    assert said.casefold().endswith("nothing was changed.")
    assert await world.bot.moderation.history(world.guild.id, None, 9) == []


BAD_ABOUT_THE_SERVER = (
    ("settings caps", {"member": "0"}, "Type a number of videos from 1 to 1000"),
    ("settings caps", {"server": "-5"}, "Type a number of videos from 1 to 1000"),
    ("settings timezone", {"zone": "Middle/Earth"}, "I know no such time zone."),
    ("quota-admin budget", {"amount": "-1"}, "A budget is an amount of US dollars"),
    ("quota-admin budget", {"amount": "1000000000000"}, "A budget is an amount of US dollars"),
    ("quota-admin price", {"provider": "dreams", "credits": "1"}, "There is no such provider here"),
    ("quota-admin price", {"provider": "eigenai", "model": "x", "credits": "1"}, "EigenAI has no such model"),
    ("quota-admin price", {"provider": "eigenai", "credits": "-1"}, "I cannot read that as a price."),
)


async def test_bad_input_about_the_server_gets_one_sentence_and_changes_nothing(
    world: World,
    subtests: pytest.Subtests,
) -> None:
    for command, options, words in BAD_ABOUT_THE_SERVER:
        with subtests.test(command=command, options=options):
            said = await world.administer(command, **options)
            assert words in said
            assert said.casefold().endswith("nothing was changed.")
            assert await world.bot.moderation.history(world.guild.id, None, 9) == []


async def test_a_bot_and_a_role_above_ones_own_are_no_targets(world: World) -> None:
    above = world.guild.create_role("Founders", position=50)
    said = await world.administer("quota-admin set", target=above, amount="5")
    assert said == f"<@&{above.id}> is above your own highest role. Nothing was changed."
    robot = world.guild.add_member(world.env.create_user("robot", bot=True))
    for command, options in (
        ("set", {"target": robot, "amount": "5"}),
        ("grant", {"member": robot, "amount": 5}),
        ("why", {"member": robot}),
    ):
        said = await world.administer(f"quota-admin {command}", **options)
        assert said == f"<@{robot.id}> is a bot, and bots make no videos. Nothing was changed."


ABOUT_MEMBERS = (
    "set",
    "grant",
    "reset",
    "block",
    "unblock",
    "show",
    "why",
    "history",
    "usage",
    "export",
)


async def test_who_may_not_manage_the_server_sees_and_changes_nothing(
    world: World,
    subtests: pytest.Subtests,
) -> None:
    await world.allow(world.moderator, "quota-admin")
    for command in ABOUT_MEMBERS:
        with subtests.test(command=command):
            given: dict[str, Any] = {
                "set": {"target": world.bob, "amount": "5"},
                "grant": {"member": world.bob, "amount": 5},
                "show": {},
                "history": {},
                "usage": {},
                "export": {},
            }.get(command, {"member": world.bob})
            said = await world.administer(f"quota-admin {command}", world.moderator, **given)
            assert said == "Only members who may manage this server can do that. Nothing was changed."
            assert await world.bot.moderation.history(world.guild.id, None, 9) == []


async def test_what_was_decided_outlives_a_restart(world: World, settings: Any) -> None:
    await world.administer("quota-admin set", target=world.alice, amount="2")
    await world.restart(build(settings(), FastClock()))
    assert await world.quota() == "2 of 2 credits left today"


async def test_quota_says_why_something_was_not_charged(world: World, vendor: EigenAIServer) -> None:
    vendor.next("submit", status(422))
    await world.animate()
    await world.card_says("No video this time")
    await world.animate(prompt="a second one")
    await world.card_says("Video ready", 1)
    shown = (await world.alice.slash(world.channel, "quota")).response.embeds[0]
    last = fields(shown)["Last videos"]
    assert "1 credit: a second one" in last
    assert "not charged: slow zoom in\n-# EigenAI did not accept this request" in last
