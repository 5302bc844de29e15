"""What stops new videos: moderators their server's, the operator a provider's or all. Pure."""

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from pydantic import AwareDatetime

from bot.quota.allowances import Pause
from bot.quota.changes import AnyChange
from providers.options import Frozen

if TYPE_CHECKING:
    from bot.quota.decisions import Decision, ServerRules


LONGEST_REASON = 300
"""Characters; members read all of it."""


class PauseServer(AnyChange):
    """No new videos; what waits waits, and what is being made goes on."""

    kind: Literal["pause"] = "pause"
    until: AwareDatetime | None = None

    def onto(self, rules: "ServerRules", decision: "Decision", /) -> "ServerRules":
        return replace(rules, pause=Pause(self.until, decision.reason))


class ResumeServer(AnyChange):
    kind: Literal["resume"] = "resume"

    def onto(self, rules: "ServerRules", _: "Decision", /) -> "ServerRules":
        return replace(rules, pause=None)


class Pauses(Frozen):
    """What the operator has stopped, each with the reason that members read; that may be empty."""

    everything: str | None = None
    providers: Mapping[str, str] = {}

    def why(self, provider: str) -> str | None:
        """Why nothing is sent to a provider, if nothing is."""
        return self.providers.get(provider) if self.everything is None else self.everything
