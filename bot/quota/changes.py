"""What every kind of decision has in common. Pure."""

from abc import abstractmethod
from typing import TYPE_CHECKING

from providers.options import Frozen

if TYPE_CHECKING:
    from bot.quota.decisions import Decision, ServerRules


class AnyChange(Frozen):
    member_id: int | None = None
    """The one member it concerns, if it does not concern the whole server."""

    @abstractmethod
    def onto(self, rules: "ServerRules", decision: "Decision", /) -> "ServerRules":
        """The rules with this change made; they are `rules_of`'s own, and may be changed themselves."""
