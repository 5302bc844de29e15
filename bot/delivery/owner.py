"""Direct messages to whom the application belongs."""

import hashlib

import discord

from bot.delivery.rest import Rest
from bot.errors import Undeliverable


class Owner:
    def __init__(self, client: discord.Client, rest: Rest) -> None:
        self._client = client
        self._rest = rest

    async def tell(self, text: str, about: str) -> None:
        """Send it; `about` is the same for the same news, so that a repeat is one message.

        Raises DeliveryFault.
        """
        user_id = owner_of(self._client)
        if user_id is None:
            raise Undeliverable("Discord does not say whom the application belongs to")
        await self._rest.create(
            await self._rest.open_direct(user_id),
            nonce=f"own {hashlib.sha256(about.encode()).hexdigest()[:20]}",
            content=text[:2000],
            mentions=discord.AllowedMentions.none(),
        )


def owner_of(client: discord.Client) -> int | None:
    """The application's owner, as Discord said at the login; of a team's, the team's owner."""
    application = client.application
    if application is None:
        return None
    return application.team.owner_id if application.team is not None else application.owner.id
