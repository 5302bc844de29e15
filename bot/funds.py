"""What refusals for lack of money say of the operator's account, where no free call tells. Pure."""

from dataclasses import dataclass, field

MEMBERS = 3
"""When a provider has refused videos of so many members, and taken none since, its account has no money."""


@dataclass
class Funds:
    """The account at one provider, as far as its answers show it."""

    refused: set[int] = field(default_factory=set[int])
    """The members whose videos were refused since one was taken."""
    cost: int | None = None
    """That of the dearest video that was refused, until one as dear is taken."""
    is_empty: bool = False

    def refuse(self, user_id: int, cost: int) -> None:
        """One dear video says nothing of others; those of several members do."""
        self.refused.add(user_id)
        self.cost = max(cost, self.cost or 0)
        self.is_empty = self.is_empty or len(self.refused) >= MEMBERS

    def take(self, cost: int) -> None:
        """A video was accepted."""
        self.refused.clear()
        self.is_empty = False
        if self.cost is not None and cost >= self.cost:
            self.cost = None
