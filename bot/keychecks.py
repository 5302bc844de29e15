"""Whether a provider's key works: asked where nothing is bought, before a pause and before its end."""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Mapping

from bot.clock import Clock
from bot.provider_health import ProviderHealth
from providers import AnyProvider
from providers.errors import OutOfFunds, Unauthorized

log = logging.getLogger(__name__)

ASK_WITHIN = 180.0
"""Seconds that a provider gets to list its models, or to check its key."""
CHECK_AGAIN = 10.0
"""Seconds between two looks at one provider's key, however many of its requests are refused."""


class KeyChecks:
    def __init__(self, health: Mapping[str, ProviderHealth]) -> None:
        self._health = health
        self._suspected: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)

    def suspect(self, provider: str) -> None:
        self._suspected[provider].set()

    def is_suspected(self, provider: str) -> bool:
        """Whether a look at its key is due, or under way."""
        return self._suspected[provider].is_set()

    async def settle(self, provider: AnyProvider, clock: Clock) -> None:
        """For ever: pause a provider once its key is refused where nothing is bought; one look at a time."""
        suspected, never = self._suspected[provider.name], asyncio.Event()
        while True:
            await suspected.wait()
            if self._health[provider.name].paused is None:
                await self._verify(provider, clock)
            suspected.clear()  # what was refused meanwhile has had its answer
            await clock.wait(never, CHECK_AGAIN)

    async def try_again(self, provider: AnyProvider, clock: Clock) -> None:
        """End the pause of a provider whose key works again."""
        try:
            async with asyncio.timeout(ASK_WITHIN):
                await provider.verify()
        except Exception as error:  # noqa: BLE001 - whatever it is, the key was not shown to work
            log.warning("%s is still paused: %r", provider.label, error)
            self._health[provider.name].extend_pause(clock.now())
        else:
            log.warning("%s is no longer paused", provider.label)
            self._health[provider.name].record_success()

    async def _verify(self, provider: AnyProvider, clock: Clock) -> None:
        health = self._health[provider.name]
        words = "refused a request, but its key works: nobody else has to wait"
        try:
            async with asyncio.timeout(ASK_WITHIN):
                await provider.verify()
        except (Unauthorized, OutOfFunds) as error:
            health.record_refusal(error, clock.now())
            words = f"is paused for everybody ({health.paused}): {error.detail}"
        except Exception as error:  # noqa: BLE001 - whatever it is, it says nothing of the key
            words = f"refused a request, and cannot be asked about its key: {error!r}"
        log.log(logging.WARNING if health.paused is None else logging.ERROR, "%s %s", provider.name, words)
