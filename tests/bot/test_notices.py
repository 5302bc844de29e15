from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bot.jobs import OPEN, Failure, Job, JobState, Place
from bot.notices import NOT_CHARGED, above, announcement, ending, note, number, phase
from bot.posting import Hold
from bot.quota.allowances import (
    Allowance,
    Block,
    Budget,
    Grant,
    Refusal,
    Ruling,
    Source,
    Standing,
    Window,
    WindowKind,
)
from bot.refusals import refusal
from providers.errors import Advice, Problem
from providers.specs import VideoRequest

NOON = datetime(2024, 2, 29, 12, tzinfo=UTC)
JOB = Job(
    id=1,
    guild_id=2,
    channel_id=3,
    user_id=4,
    provider="eigenai",
    request=VideoRequest(model="wan", prompt="a slow pan"),
    state=JobState.QUEUED,
    price=1,
    charged=1,
    created_at=NOON,
    state_at=NOON,
    not_before=NOON,
)


@pytest.mark.parametrize("failure", Failure)
def test_every_failure_has_sentences_that_say_what_to_do_and_that_nothing_was_charged(
    failure: Failure,
) -> None:
    job = replace(JOB, state=JobState.FAILED, failure=failure, detail="401: key sk-1234 is wrong")
    words = ending(job, "EigenAI")
    assert words.endswith(f". {NOT_CHARGED}")
    assert len(words.split(". ")) >= 3
    assert "sk-1234" not in words
    assert "{" not in words


@pytest.mark.parametrize(
    ("place", "words", "on_the_card"),
    [
        (Place.CHANNEL, "<@4> Your video is ready.", "Your video is ready."),
        (
            Place.SERVER,
            "<@4> Your video is ready. It could not be posted in <#3>.",
            "Your video is ready. It is in <#9>, as it could not be posted here.",
        ),
        (
            Place.DIRECT,
            "Your video is ready. It could not be posted in <#3>.",
            "Your video is ready. It was sent to you directly, as it could not be posted here.",
        ),
    ],
)
def test_a_video_in_another_place_says_where_it_was_meant_to_be(
    place: Place, words: str, on_the_card: str
) -> None:
    job = replace(JOB, state=JobState.DELIVERED, card_id=7, place=place, place_id=9)
    assert above(job) == words
    assert ending(job, "X") == on_the_card


def test_an_announcement_ends_in_what_it_is_found_by() -> None:
    assert announcement(JOB) == "<@4> Your video is ready, and on its way here.\n-# Video 1"
    assert announcement(JOB).endswith(number(JOB))


def test_a_video_that_was_made_smaller_says_how_to_get_it_as_it_was() -> None:
    assert above(JOB, smaller=True).endswith("`/jobs resend` has it as it was.")


def test_moderators_are_told_of_what_they_can_do_something_about() -> None:
    notes = {failure: note(replace(JOB, state=JobState.FAILED, failure=failure), "X") for failure in Failure}
    told = {failure for failure, words in notes.items() if words}
    assert told == {Failure.UNDELIVERABLE, Failure.TOO_LARGE, Failure.OUTCOME_UNKNOWN}
    for words in filter(None, notes.values()):
        assert all(part in words for part in ("<@4>", "<#3>", "`1`", "othing was charged"))
    assert note(replace(JOB, state=JobState.DELIVERED), "X") is None


def test_no_two_failures_are_told_alike() -> None:
    told = {ending(replace(JOB, state=JobState.FAILED, failure=failure), "X") for failure in Failure}
    assert len(told) == len(Failure)


def test_a_failure_that_was_not_recorded_is_the_providers() -> None:
    failed = replace(JOB, state=JobState.FAILED)
    assert ending(failed, "X") == ending(replace(failed, failure=Failure.PROVIDER_FAILED), "X")


def test_a_providers_name_with_braces_is_only_a_name() -> None:
    job = replace(JOB, state=JobState.FAILED, failure=Failure.REJECTED)
    assert "{provider} did not accept" in ending(job, "{provider}")


@pytest.mark.parametrize(
    ("advice", "words"),
    [
        (Advice(problem=Problem.FILE_TOO_LARGE), "Venice finds an attached file too large. Attach a smaller"),
        (
            Advice(option="aspect_ratio", allowed=("16:9", "1:1")),
            "Venice does not accept the aspect ratio of this request. It takes `16:9`, `1:1`. Change it",
        ),
        (Advice(option="prompt"), "Venice does not accept the prompt of this request. Change it"),
        (Advice(option="upscale_factor"), "Venice did not accept this request. Try"),
        (Advice(refunded=True), "or another provider. Venice gave this bot its money back. Nothing"),
    ],
)
def test_what_the_provider_objects_to_is_named(advice: Advice, words: str) -> None:
    job = replace(JOB, state=JobState.FAILED, failure=Failure.REJECTED, advice=advice)
    assert words in ending(job, "Venice")


@pytest.mark.parametrize("problem", Problem)
def test_every_problem_has_sentences_that_say_what_to_do(problem: Problem) -> None:
    advice = Advice(problem=problem)
    job = replace(JOB, state=JobState.FAILED, failure=Failure.PROVIDER_FAILED, advice=advice)
    words = ending(job, "Venice")
    assert words != ending(replace(job, advice=None), "Venice")
    assert len(words.split(". ")) >= 3


def test_what_is_objected_to_does_not_hide_a_refusal() -> None:
    advice = Advice(option="prompt")
    job = replace(JOB, state=JobState.FAILED, failure=Failure.REFUSED, advice=advice)
    assert "its own rules for content forbid it" in ending(job, "Venice")


@pytest.mark.parametrize(
    ("ended_by", "words"),
    [
        (None, "Cancelled. Nothing was charged."),
        (JOB.user_id, "Cancelled. Nothing was charged."),
        (99, "Cancelled by <@99>. Nothing was charged."),
    ],
)
def test_a_cancelled_job_names_who_ended_it_unless_that_is_its_owner(
    ended_by: int | None, words: str
) -> None:
    assert ending(replace(JOB, state=JobState.CANCELLED, ended_by=ended_by), "EigenAI") == words


def test_a_delivered_video_is_not_said_to_be_free() -> None:
    words = ending(replace(JOB, state=JobState.DELIVERED), "EigenAI")
    assert words == "Your video is ready."


@pytest.mark.parametrize("state", sorted(OPEN))
def test_an_open_job_has_no_ending(state: JobState) -> None:
    with pytest.raises(ValueError, match="job 1 is not over"):
        ending(replace(JOB, state=state), "EigenAI")


def test_each_state_has_its_words() -> None:
    told = {state: phase(replace(JOB, state=state), "EigenAI", None) for state in JobState}
    assert len(set(told.values())) == len(JobState)
    assert all(words.endswith(".") for words in told.values())
    assert all(NOT_CHARGED not in told[state] for state in OPEN)


def test_the_place_in_the_queue_is_told_where_it_is_known() -> None:
    assert phase(JOB, "EigenAI", 3) == "Waiting in the queue, number 3."
    assert phase(JOB, "EigenAI", None) == "Waiting in the queue."
    for hold, words in ((Hold.PAUSE, "paused"), (Hold.BUDGET, "in an hour")):
        said = phase(JOB, "EigenAI", 3, hold)
        assert said.startswith("Waiting in the queue, number 3. ")
        assert words in said


END = NOON + timedelta(hours=12)
RENEWS = f"<t:{int(END.timestamp())}:R>"


def standing(amount: int = 5, kind: WindowKind = WindowKind.DAY, used: int = 0, **facts: Any) -> Standing:
    ruling = Ruling(Allowance(amount=amount, kind=kind), Source.BOT)
    return Standing(ruling, Window(NOON, END), used, **{"grants": (), **facts})


@pytest.mark.parametrize(
    ("until", "end"),
    [(None, "until a moderator allows it again"), (END, f"until <t:{int(END.timestamp())}:f>")],
)
def test_who_is_blocked_is_told_until_when_and_not_why(until: datetime | None, end: str) -> None:
    said = refusal(Refusal.BLOCKED, standing(block=Block(until, "spam")), 1)
    assert said == f"A moderator has decided that you may not make videos here {end}. {NOT_CHARGED}"


def test_a_budget_that_is_spent_renews_with_its_own_window() -> None:
    month = Window(NOON, NOON + timedelta(days=30))
    renews = f"It renews <t:{int(month.end.timestamp())}:R>"
    said = refusal(Refusal.BUDGET_SPENT, standing(budget=Budget(5, 4, month)), 1)
    assert f"{renews}; until then, a cheaper video may fit." in said
    assert said.endswith(NOT_CHARGED)
    spent = refusal(Refusal.BUDGET_SPENT, standing(budget=Budget(5, 5, month)), 1)
    assert f"{renews}. {NOT_CHARGED}" in spent, "nothing with a price fits any more"


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"used": 4}, "1 of 5 credits left today; this video takes 2"),
        ({"used": 9}, "0 of 5 credits left today; this video takes 2"),
        ({"amount": 1, "kind": WindowKind.WEEK}, "1 of 1 credit left this week; this video takes 2"),
        (
            {"used": 5, "kind": WindowKind.MONTH, "grants": (Grant(1, 3, None, 2, None),)},
            "0 of 5 credits left this month, and 1 granted credit; this video takes 2",
        ),
        (
            {"amount": 0, "grants": (Grant(1, 1, None, 0, None),)},
            "0 of 0 credits left today, and 1 granted credit; this video takes 2",
        ),
    ],
)
def test_what_is_left_is_told_with_the_price_and_when_it_renews(facts: dict[str, Any], words: str) -> None:
    said = refusal(Refusal.NOTHING_LEFT, standing(**facts), 2)
    assert said == f"You have {words}. They renew {RENEWS}. {NOT_CHARGED}"


def test_who_gets_nothing_at_all_is_not_told_to_wait() -> None:
    said = refusal(Refusal.NOTHING_LEFT, standing(amount=0), 1)
    assert (
        said == f"You have no credits for videos in this server; its moderators decide who has. {NOT_CHARGED}"
    )


@pytest.mark.parametrize(
    ("advice", "words"),
    [
        (Advice(refunded=False), "Venice kept this bot's money."),
        (Advice(recommended_model="wan-`3"), "It recommends the model `wan-'3` for this."),
    ],
)
def test_what_the_provider_says_beside_its_no_is_told(advice: Advice, words: str) -> None:
    job = replace(JOB, state=JobState.FAILED, failure=Failure.REFUSED, advice=advice)
    assert f" {words} " in ending(job, "Venice")
