"""What follows a try to deliver, as tables."""

import pytest

from bot.engine.deliver import Next, after, after_refusal
from bot.engine.retry import SMALLER_VIDEOS
from bot.errors import MessageGone, TooLarge, Undeliverable, Undelivered
from bot.jobs import Failure, JobState
from bot.media.transcode import TooMuch
from bot.media.videos import BadVideo
from providers.child import ChildFailed
from providers.errors import Unreachable

TROUBLE = [Unreachable("no connection"), ChildFailed("out of memory"), OSError("disk full")]


@pytest.mark.parametrize("is_time_up", [False, True])
@pytest.mark.parametrize("is_here", [False, True])
@pytest.mark.parametrize(
    ("error", "steps", "follows"),
    [
        (TooMuch("10 MB at the least"), 0, Failure.TOO_LARGE),
        (BadVideo("does not decode"), 0, Failure.BAD_VIDEO),
        (TooLarge("40005"), 0, Next.SMALLER),
        (TooLarge("40005"), SMALLER_VIDEOS - 1, Next.SMALLER),
        (TooLarge("40005"), SMALLER_VIDEOS, Failure.TOO_LARGE),
        (Undeliverable("50001"), 0, Next.ELSEWHERE),
        (MessageGone("10008"), 0, Next.ELSEWHERE),
    ],
)
def test_a_verdict_does_not_depend_on_the_time_or_the_file(
    error: Exception, steps: int, follows: Next | Failure, *, is_time_up: bool, is_here: bool
) -> None:
    assert after(error, steps=steps, is_time_up=is_time_up, is_here=is_here) is follows


@pytest.mark.parametrize("error", [Undelivered("503"), *TROUBLE])
def test_trouble_is_tried_again_until_the_time_is_up(error: Exception) -> None:
    assert after(error, steps=0, is_time_up=False, is_here=True) is Next.RETRY


def test_when_the_time_is_up_an_outage_of_discord_leads_to_the_next_place() -> None:
    assert after(Undelivered("503"), steps=0, is_time_up=True, is_here=True) is Next.ELSEWHERE


@pytest.mark.parametrize("error", TROUBLE)
@pytest.mark.parametrize(("is_here", "end"), [(True, Failure.UNDELIVERABLE), (False, Failure.LOST)])
def test_when_the_time_is_up_a_video_without_its_file_is_lost(
    error: Exception, end: Failure, *, is_here: bool
) -> None:
    assert after(error, steps=0, is_time_up=True, is_here=is_here) is end


@pytest.mark.parametrize(
    ("is_there", "is_unsure", "has_place", "state"),
    [
        (True, True, False, JobState.DELIVERED),
        (True, False, True, JobState.DELIVERED),
        (False, True, True, JobState.DELIVERING),
        (None, False, True, JobState.DELIVERING),
        # A second post elsewhere would be worse than a video that can be asked for.
        (None, True, True, JobState.FAILED),
        (False, False, False, JobState.FAILED),
        (None, False, False, JobState.FAILED),
    ],
)
def test_a_video_goes_to_the_next_place_unless_it_may_have_arrived(
    state: JobState, *, is_there: bool | None, is_unsure: bool, has_place: bool
) -> None:
    assert after_refusal(is_there=is_there, is_unsure=is_unsure, has_place=has_place) is state
