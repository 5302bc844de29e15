"""The one place that turns the way a job ended into sentences for people. Pure."""

from collections.abc import Mapping
from datetime import datetime

from bot.jobs import Failure, Job, JobState, Place
from bot.posting import Hold
from bot.words import code, count, escape, full, relative
from providers.errors import NO_ADVICE, Advice, Problem
from providers.specs import OPTIONS

NOT_CHARGED = "Nothing was charged."

_FAILURES: Mapping[Failure, str] = {
    Failure.REJECTED: (
        "{provider} did not accept this request. Try another picture, a different prompt or another provider."
    ),
    Failure.MODEL_GONE: (
        "{provider} does not offer this model any more. Choose another one; `/providers` lists them."
    ),
    Failure.FORBIDDEN: (
        "{provider} does not let this bot use this model. Whoever runs the bot may look at its key; "
        "until then, choose another model or another provider."
    ),
    Failure.UNAUTHORIZED: (
        "{provider} did not accept this bot's key. Whoever runs the bot has to look at it; "
        "until then, choose another provider."
    ),
    Failure.OUT_OF_FUNDS: (
        "This bot's account at {provider} has no credit left. Whoever runs the bot has to top it up; "
        "until then, choose another provider."
    ),
    Failure.REFUSED: (
        "{provider} does not make this video: its own rules for content forbid it. "
        "Try another picture or prompt."
    ),
    Failure.NEEDS_CONSENT: (
        "{provider} asks for the consent of the people in this picture, and nobody can give that for them "
        "here. Try a picture without faces."
    ),
    Failure.NO_PROVIDER: "{provider} is no longer available here. Choose another provider.",
    Failure.BLOCKED: "A moderator has blocked you from making videos here while this one waited. "
    "Ask a moderator if that is a mistake.",
    Failure.OVER_ALLOWANCE: "Your allowance was lowered while this video waited, and it no longer fits. "
    "`/quota` shows what is left.",
    Failure.OVER_BUDGET: "The budget for videos was used up or lowered while this one waited. "
    "Ask a moderator when there will be more.",
    Failure.MAY_NOT_POST: (
        "I may no longer post in this channel. A moderator has to let me view it, send messages and attach "
        "files there."
    ),
    Failure.IMAGE_LOST: "The picture was lost before it could be sent. Please ask again with the picture.",
    Failure.OUTCOME_UNKNOWN: (
        "The connection broke while the request was being sent, and nobody can tell whether {provider} "
        "took it. It is not sent a second time by itself, so that nothing is paid for twice. "
        "Ask again if you still want it."
    ),
    Failure.LOST: (
        "{provider} has taken this job but does not bring the video any more. Try again later, or choose "
        "another provider."
    ),
    Failure.PROVIDER_FAILED: (
        "{provider} could not make this video. Try again, or change the prompt or the picture."
    ),
    Failure.BAD_VIDEO: (
        "What {provider} delivered is not a video that can be played. Try again, or choose another provider."
    ),
    Failure.TIMED_OUT: "This took too long and was given up. Try again later, or choose another provider.",
    Failure.TOO_LARGE: (
        "The finished video is larger than this server lets bots upload, and could not be made small enough. "
        "Choose a shorter or smaller video; `/jobs resend` may bring this one elsewhere."
    ),
    Failure.UNDELIVERABLE: (
        "The video is finished but could not be posted here, nor sent to you directly. The bot needs to be "
        "able to see this channel, send messages and attach files; a moderator can put that right. The video "
        "is kept for now: `/jobs resend` brings it."
    ),
}
_NOTES: Mapping[Failure, str] = {
    Failure.UNDELIVERABLE: (
        "The video of {who} from {where} is finished, and Discord took it neither there nor as a direct "
        "message. It is kept for now: `/jobs resend` with `{job}` brings it. Nothing was charged."
    ),
    Failure.TOO_LARGE: (
        "The video of {who} from {where} is finished and larger than this server takes, however small it is "
        "made. It is kept for now: `/jobs resend` with `{job}` may bring it elsewhere. Nothing was charged."
    ),
    Failure.OUTCOME_UNKNOWN: (
        "The connection broke while a request of {who} from {where} was being sent to {provider}, and nobody "
        "here can tell whether it was paid for. It is not sent again by itself, and nothing was charged. "
        "Whoever runs the bot can look into the account at {provider}; here it is job `{job}`."
    ),
}
"""What moderators are told in their log."""


_PROBLEMS: Mapping[Problem, str] = {
    Problem.FILE_TOO_LARGE: "{provider} finds an attached file too large. Attach a smaller one.",
    Problem.FILE_TOO_SMALL: "{provider} finds an attached picture too small. Attach a larger one.",
    Problem.FILE_TOO_LONG: "{provider} finds an attached file too long. Attach a shorter one.",
    Problem.FILE_UNREADABLE: "{provider} cannot read an attached file. Attach another one.",
    Problem.ENCRYPTED: (
        "{provider} has encrypted this video, and this bot cannot open it. Asking again ends the "
        "same way; choose another provider."
    ),
}
_SENT = {"prompt": "prompt", "image": "picture", **OPTIONS}
"""Everything that a vendor can find wrong, as people call it."""


def reason(failure: Failure, provider: str) -> str:
    """What has happened and what to do."""
    return _FAILURES[failure].format(provider=escape(provider))


def _why(job: Job, failure: Failure, provider: str) -> str:
    """The reason; what the provider objects to in particular, where it said so."""
    said = job.advice
    if said is None or failure not in {Failure.REJECTED, Failure.PROVIDER_FAILED}:
        return reason(failure, provider)
    if said.problem is not None:
        return _PROBLEMS[said.problem].format(provider=escape(provider))
    if (words := _SENT.get(said.option or "")) is not None:
        allowed = f" It takes {', '.join(map(code, said.allowed))}." if said.allowed else ""
        name = escape(provider)
        return f"{name} does not accept the {words} of this request.{allowed} Change it and ask again."
    return reason(failure, provider)


def _advice(said: Advice, provider: str) -> str:
    """What the provider says beside its no. The prompt it suggests is shown where prompts are escaped."""
    model = said.recommended_model
    instead = f" It recommends the model {code(model)} for this." if model else ""
    name = escape(provider)
    gave = {True: f" {name} gave this bot its money back.", False: f" {name} kept this bot's money."}
    return instead + (gave[said.refunded] if said.refunded is not None else "")


_READY = {
    Place.CHANNEL: "Your video is ready.",
    Place.SERVER: "Your video is ready. It is in {place}, as it could not be posted here.",
    Place.DIRECT: "Your video is ready. It was sent to you directly, as it could not be posted here.",
}


def announcement(job: Job) -> str:
    """What says that a video is about to come; its last line is `number`, by which it can be found again."""
    return f"{_whose(job)}Your video is ready, and on its way here.\n{number(job)}"


def above(job: Job, *, smaller: bool = False) -> str:
    """What stands above a video; `smaller` says that the file that was made is larger, and still here."""
    why = "" if job.place is Place.CHANNEL else f" It could not be posted in <#{job.channel_id}>."
    hint = "\n-# Made to fit here; `/jobs resend` has it as it was." if smaller else ""
    return f"{_whose(job)}Your video is ready.{why}{hint}"


def number(job: Job) -> str:
    """The line that tells which video it is, as long as nothing else does."""
    return f"-# Video {job.id}"


def _whose(job: Job) -> str:
    return "" if job.place is Place.DIRECT else f"<@{job.user_id}> "


def cancelled(job: Job, provider: str, left: int) -> str:
    """What whoever cancels reads; `left` is how many started videos the member may still cancel today."""
    if job.held_until is None:
        return f"Cancelled. {NOT_CHARGED}"
    return (
        f"Cancelled. {NOT_CHARGED} {escape(provider)} had already started it, so it keeps one of your places "
        f"until {relative(job.held_until)}; {count(left, 'more started video')} can be cancelled today."
    )


def note(job: Job, provider: str) -> str | None:
    """What the moderators' log says of a job that is over; None where there is nothing to look into."""
    if job.state is JobState.CANCELLED and job.held_until is not None:
        who, where = f"<@{job.ended_by or job.user_id}>", f"<#{job.channel_id}>"
        return (
            f"{who} cancelled a video in {where} after {escape(provider)} had started it. It was not "
            "charged, and counts against the budget unless the provider says that it costs nothing."
        )
    if job.failure is None or job.failure not in _NOTES:
        return None
    who, where = f"<@{job.user_id}>", f"<#{job.channel_id}>"
    return _NOTES[job.failure].format(who=who, where=where, provider=escape(provider), job=job.id)


def ending(job: Job, provider: str) -> str:
    """How a job that is over came out, in words: what happened, what to do, and that nothing was charged."""
    match job.state:
        case JobState.DELIVERED:
            return _READY[job.place].format(place=f"<#{job.place_id}>")
        case JobState.CANCELLED:
            by = "" if job.ended_by in {None, job.user_id} else f" by <@{job.ended_by}>"
            return f"Cancelled{by}. {NOT_CHARGED}"
        case JobState.FAILED:
            failure = job.failure or Failure.PROVIDER_FAILED
            said = job.advice or NO_ADVICE
            return f"{_why(job, failure, provider)}{_advice(said, provider)} {NOT_CHARGED}"
        case _:
            raise ValueError(f"job {job.id} is not over")


def overdue(job: Job, provider: str, kept_until: datetime) -> str:
    """What an open job waits for beyond its usual time, and how long it will."""
    match job.state:
        case JobState.DELIVERING:
            return "Discord does not take the video right now. I'll keep trying."
        case JobState.DOWNLOADING:
            return (
                f"The video is finished, but I can't get it from {escape(provider)} right now. "
                f"I'll keep trying until {full(kept_until)}."
            )
        case _:
            return (
                f"{escape(provider)} can't be reached right now. I'll keep trying until {full(kept_until)}."
            )


_HOLDS: Mapping[Hold | None, str] = {
    None: "",
    Hold.PAUSE: " Videos are paused now; this one is made when the pause ends.",
    Hold.BUDGET: " The bot has spent what it may in an hour; this video is made after that.",
}


def phase(
    job: Job, provider: str, position: int | None, hold: Hold | None = None, *, fitting: bool = False
) -> str:
    """What is happening to an open job, in words; `fitting` says that its video is being encoded."""
    match job.state:
        case JobState.QUEUED:
            place = f", number {position}" if position else ""
            return f"Waiting in the queue{place}.{_HOLDS[hold]}"
        case JobState.SUBMITTING:
            return f"Sending it to {escape(provider)}."
        case JobState.RUNNING:
            return f"{escape(provider)} is making the video."
        case JobState.DOWNLOADING:
            return "The video is made; fetching it."
        case JobState.DELIVERING:
            return "Making the video ready for Discord." if fitting else "Posting the video."
        case _:
            return ending(job, provider)
