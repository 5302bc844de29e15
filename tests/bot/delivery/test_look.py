import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bot.delivery.look import CardLook, jump, render
from bot.jobs import CANCELLABLE, OPEN, Failure, Job, JobState, Place
from bot.posting import Card
from providers.errors import Advice
from providers.specs import VideoRequest

NOON = datetime(2024, 2, 29, 12, tzinfo=UTC)


def card(state: JobState = JobState.RUNNING, prompt: str = "a slow pan", **values: Any) -> Card:
    job = Job(
        id=1,
        guild_id=2,
        channel_id=3,
        user_id=4,
        provider="eigenai",
        request=VideoRequest(model="wan", prompt=prompt),
        state=state,
        price=1,
        charged=1,
        created_at=NOON,
        state_at=NOON + timedelta(seconds=80),
        not_before=NOON,
        submitted_at=NOON,
        card_id=50,
        message_id=60,
    )
    own = {name: values.pop(name) for name in list(values) if name in Card.__dataclass_fields__}
    return Card(replace(job, **values), "EigenAI", "Wan 2.2", **own)


def text(look: CardLook) -> str:
    return look.embed.description or ""


def fields(look: CardLook) -> dict[str | None, str | None]:
    return {field.name: field.value for field in look.embed.fields}


@pytest.mark.parametrize("state", JobState)
async def test_every_state_shows_what_was_asked_for_whom_and_who_makes_it(state: JobState) -> None:
    look = render(card(state))
    assert look.embed.title
    assert text(look).startswith("> a slow pan\n\n")
    assert fields(look) == {"For": "<@4>", "Made by": r"EigenAI, Wan 2\.2"}


async def test_the_ends_can_be_told_apart_at_a_glance() -> None:
    ends = [JobState.DELIVERED, JobState.FAILED, JobState.CANCELLED, JobState.RUNNING]
    looks = [render(card(state)).embed for state in ends]
    assert len({look.title for look in looks}) == len({look.colour for look in looks}) == len(ends)


@pytest.mark.parametrize("state", JobState)
async def test_a_job_that_can_be_cancelled_has_a_button_for_it(state: JobState) -> None:
    view = render(card(state)).view
    assert (view is not None) is (state in CANCELLABLE)
    if view is not None:
        assert [item.custom_id for item in view.children] == ["cancel:1"]
        assert view.timeout is None


@pytest.mark.parametrize("state", sorted(OPEN))
async def test_the_time_counts_by_itself(state: JobState) -> None:
    assert f"Asked <t:{int(NOON.timestamp())}:R>." in text(render(card(state)))


async def test_a_queued_job_shows_its_place_and_how_long_it_will_take() -> None:
    shown = text(render(card(JobState.QUEUED, position=3, typical_seconds=62.3)))
    assert "number 3" in shown
    assert "Once started, it usually takes about 62 seconds." in shown


async def test_a_running_job_shows_when_it_is_usually_done() -> None:
    shown = text(render(card(typical_seconds=60)))
    assert f"Usual finish: <t:{int(NOON.timestamp()) + 60}:R>." in shown


async def test_without_knowledge_nothing_is_promised() -> None:
    assert "usually" not in text(render(card())) + text(render(card(JobState.QUEUED)))
    assert "usually" not in text(render(card(JobState.DELIVERING, typical_seconds=60)))


@pytest.mark.parametrize(
    ("progress", "bar"),
    [
        (0.0, "`░░░░░░░░░░░░` 0%"),
        (0.5, "`██████░░░░░░` 50%"),
        (1.0, "`████████████` 100%"),
    ],
)
async def test_progress_is_shown_as_the_vendor_reports_it(progress: float, bar: str) -> None:
    assert bar in text(render(card(progress=progress)))


async def test_no_bar_is_shown_where_no_progress_is_reported() -> None:
    assert "░" not in text(render(card()))
    assert "░" not in text(render(card(JobState.DOWNLOADING, progress=0.5)))


async def test_a_delivered_video_has_a_link_to_it_and_says_how_long_it_took() -> None:
    shown = text(render(card(JobState.DELIVERED)))
    assert shown.endswith("It took 80 seconds. [Watch it](https://discord.com/channels/2/3/60).")


async def test_a_video_without_a_message_has_no_link() -> None:
    assert text(render(card(JobState.DELIVERED, message_id=None))).endswith("Your video is ready.")


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (2, "2 seconds"),
        (89, "89 seconds"),
        (89.9, "90 seconds"),
        (100, "2 minutes"),
        (600, "10 minutes"),
    ],
)
async def test_times_are_told_as_people_tell_them(seconds: float, words: str) -> None:
    shown = text(render(card(JobState.QUEUED, typical_seconds=seconds)))
    assert f"about {words}." in shown


@pytest.mark.parametrize("failure", Failure)
async def test_a_failed_job_says_why_and_never_what_the_vendor_said(failure: Failure) -> None:
    shown = text(render(card(JobState.FAILED, failure=failure, detail="key sk-1234")))
    assert shown.endswith("Nothing was charged.")
    assert "sk-1234" not in shown


@pytest.mark.parametrize(("at_least", "price"), [(False, "$0.084"), (True, "from $0.084")])
async def test_a_price_that_is_a_minimum_is_shown_as_one(price: str, *, at_least: bool) -> None:
    look = render(card(quoted_micros=84_000, price_at_least=at_least))
    assert fields(look)["Price"] == price


async def test_only_options_that_were_chosen_are_listed() -> None:
    request = VideoRequest(model="wan", prompt="x", duration=5, aspect_ratio="16:9", seed=0)
    assert fields(render(card(request=request)))["With"] == r"duration 5 s, aspect ratio 16\:9, seed 0"


@pytest.mark.parametrize("prompt", ["a" * 2000, "*" * 2000, "@everyone " * 200, "_😀" * 1000])
@pytest.mark.parametrize("state", JobState)
async def test_the_longest_prompt_fits_into_a_message(state: JobState, prompt: str) -> None:
    longest = card(state, prompt, failure=Failure.OUTCOME_UNKNOWN, progress=1, typical_seconds=9e5)
    embed = render(longest).embed
    assert len(embed.title or "") <= 256
    assert len(embed.description or "") <= 4096
    assert len(embed) <= 6000


def test_the_link_of_a_job_leads_to_its_video_else_to_its_card() -> None:
    assert jump(card(JobState.DELIVERED).job) == "https://discord.com/channels/2/3/60"
    elsewhere = card(JobState.DELIVERED, place=Place.SERVER, place_id=9)
    assert jump(elsewhere.job) == "https://discord.com/channels/2/9/60"
    direct = card(JobState.DELIVERED, place=Place.DIRECT, place_id=9)
    assert jump(direct.job) == "https://discord.com/channels/@me/9/60"
    assert "Watch it" in text(render(elsewhere))
    assert "Watch it" not in text(render(direct))
    assert jump(card(JobState.DELIVERING).job) == "https://discord.com/channels/2/3/50"
    assert jump(card(JobState.FAILED).job) == "https://discord.com/channels/2/3/50"
    assert jump(card(card_id=None).job) is None


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (JobState.RUNNING, "EigenAI can't be reached right now. I'll keep trying until <t:1709211600:f>."),
        (
            JobState.DOWNLOADING,
            "but I can't get it from EigenAI right now. I'll keep trying until <t:1709211600:f>",
        ),
        (JobState.DELIVERING, "Discord does not take the video right now. I'll keep trying."),
    ],
)
async def test_what_is_overdue_says_what_it_waits_for_and_until_when(state: JobState, words: str) -> None:
    look = render(card(state, overdue_at=NOON, kept_until=NOON + timedelta(hours=1)))
    assert words in text(look)
    assert "Usual finish" not in text(look)


async def test_no_name_that_somebody_else_chose_is_alive() -> None:
    alive = "[a](b) **loud** ||x|| [c](d)"
    request = VideoRequest(model="wan", prompt=alive, resolution=alive, effect=alive)
    advice = Advice(suggested_prompt=alive, recommended_model=alive, allowed=(alive,))
    values: dict[str, Any] = {"request": request, "advice": advice, "failure": Failure.REJECTED}
    look = render(replace(card(JobState.FAILED, **values), provider=alive, model=alive, fallback_from=alive))
    for shown in (text(look).replace(f"`{alive}`", ""), *fields(look).values()):
        assert not re.search(r"(?<!\\)(\*|\||\[)", shown or "")
