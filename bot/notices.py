"""The one place that turns the way a job ended into sentences for people. Pure."""

from collections.abc import Mapping

from bot.jobs import Failure, Job, JobState

NOT_CHARGED = "Nothing was charged."

_FAILURES: Mapping[Failure, str] = {
    Failure.REJECTED: (
        "{provider} did not accept this request. Try another picture, a different prompt or another provider."
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
    Failure.IMAGE_LOST: "The picture was lost before it could be sent. Please ask again with the picture.",
    Failure.OUTCOME_UNKNOWN: (
        "The connection broke while the request was being sent, and nobody can tell whether {provider} "
        "took it. It is not sent a second time by itself, so that nothing is paid for twice. "
        "Ask again if you still want it."
    ),
    Failure.PROVIDER_FAILED: (
        "{provider} could not make this video. Try again, or change the prompt or the picture."
    ),
    Failure.BAD_VIDEO: (
        "What {provider} delivered is not a video that can be played. Try again, or choose another provider."
    ),
    Failure.TIMED_OUT: "This took too long and was given up. Try again later, or choose another provider.",
    Failure.TOO_LARGE: (
        "The finished video is larger than this server lets bots upload. Choose a shorter or smaller video."
    ),
    Failure.UNDELIVERABLE: (
        "The video is finished but could not be posted here. The bot needs to be able to see this channel, "
        "send messages and attach files; a moderator can put that right."
    ),
}


def reason(failure: Failure, provider: str) -> str:
    """What has happened and what to do."""
    return _FAILURES[failure].format(provider=provider)


def _advice(job: Job, provider: str) -> str:
    """What the provider says beside its no. The prompt it suggests is shown where prompts are escaped."""
    said = job.advice
    if said is None:
        return ""
    model = said.recommended_model
    instead = f" It recommends the model `{model[:60]}` for this." if model and model.isprintable() else ""
    gave = {True: f" {provider} gave this bot its money back.", False: f" {provider} kept this bot's money."}
    return instead + (gave[said.refunded] if said.refunded is not None else "")


def ending(job: Job, provider: str) -> str:
    """How a job that is over came out, in words: what happened, what to do, and that nothing was charged."""
    match job.state:
        case JobState.DELIVERED:
            return "Your video is ready."
        case JobState.CANCELLED:
            by = "" if job.ended_by in {None, job.user_id} else f" by <@{job.ended_by}>"
            return f"Cancelled{by}. {NOT_CHARGED}"
        case JobState.FAILED:
            failure = job.failure or Failure.PROVIDER_FAILED
            return f"{reason(failure, provider)}{_advice(job, provider)} {NOT_CHARGED}"
        case _:
            raise ValueError(f"job {job.id} is not over")


def phase(job: Job, provider: str, position: int | None) -> str:
    """What is happening to an open job, in words."""
    match job.state:
        case JobState.QUEUED:
            return f"Waiting in the queue, number {position}." if position else "Waiting in the queue."
        case JobState.SUBMITTING:
            return f"Sending it to {provider}."
        case JobState.RUNNING:
            return f"{provider} is making the video."
        case JobState.DOWNLOADING:
            return "The video is made; fetching it."
        case JobState.DELIVERING:
            return "Posting the video."
        case _:
            return ending(job, provider)
