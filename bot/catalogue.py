"""The enabled providers and what their models take."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from bot.clock import Clock
from bot.errors import BadRequest, NotNow
from bot.fitness import Ward
from bot.words import code
from providers import AnyProvider
from providers.errors import ProviderError
from providers.specs import Mode, ModelSpec, OptionRefused, VideoRequest

log = logging.getLogger(__name__)

ROUND = 30.0
"""Seconds between two looks at who is paused."""
FRESH = timedelta(hours=1)
"""How long a catalogue is believed."""
QUOTE_WITHIN = 5.0
"""Seconds that a provider gets to name its price."""
_NAMED = 10
"""So many choices fit into a sentence."""


class Catalogue:
    def __init__(self, providers: Mapping[str, AnyProvider], default: str | None) -> None:
        self.providers = providers
        self._default = default
        self._specs: dict[str, Sequence[ModelSpec]] = {}
        self.ward = Ward()
        self._doubted: set[str] = set()

    def knows(self, provider: str) -> bool:
        """Whether the provider has told what it offers."""
        return bool(self.specs(provider))

    def doubt(self, provider: str) -> None:
        """A provider refused what its catalogue allows: ask it soon what it offers now."""
        self._doubted.add(provider)

    async def refresh(self, now: datetime) -> None:
        """Ask every provider what it offers; one that does not answer keeps what it offered before."""
        await asyncio.gather(*(self._refresh(provider, now) for provider in self.providers.values()))

    def label(self, provider: str) -> str:
        """The provider's name as people read it."""
        known = self.providers.get(provider)
        return known.label if known else provider

    def spec(self, provider: str, model: str) -> ModelSpec | None:
        return next((spec for spec in self.specs(provider) if spec.id == model), None)

    def models(self, provider: str | None) -> list[tuple[str, str]]:
        """Ids and names of a provider's models, or of all."""
        return [
            (spec.id, spec.name)
            for name, specs in self._specs.items()
            for spec in specs
            if provider in {None, name}
        ]

    def specs(self, provider: str) -> Sequence[ModelSpec]:
        """What a provider offers; nothing while it has not told."""
        return self._specs.get(provider, ())

    def ranked(self, first: str | None = None) -> list[str]:
        """The enabled providers; `first` comes first, else the bot's default, and a last resort last."""
        first = first if first in self.providers else self._default
        return sorted(self.providers, key=lambda name: (name != first, self.providers[name].last_resort))

    def offers(self, mode: Mode, first: str | None = None) -> dict[str, list[ModelSpec]]:
        """The models of this mode by provider, in the order of `ranked`."""
        offers: dict[str, list[ModelSpec]] = {}
        for name in self.ranked(first):
            if specs := [spec for spec in self.specs(name) if spec.mode is mode]:
                offers[name] = specs
        return offers

    def candidates(
        self, mode: Mode, provider: str | None, model: str | None, first: str | None = None
    ) -> list[tuple[str, ModelSpec]]:
        """Provider and model for every offer that fits; what is None fits all. The best comes first."""
        return [
            (name, spec)
            for name, specs in self.offers(mode, first).items()
            for spec in specs
            if provider in {None, name} and model in {None, spec.id}
        ]

    def choose(
        self, wish: VideoRequest, provider: str | None, now: datetime, first: str | None = None
    ) -> tuple[str, ModelSpec]:
        """The provider's name and the model for a wish, whose model may be empty for any.

        Nobody named: `first`, the server's default, if it can do what is asked, else the next that can; one
        that is fit now goes before one that is not. Raises BadRequest for names that are not on offer, NotNow
        while nothing is.
        """
        mode = Mode.TEXT_TO_VIDEO if wish.image is None else Mode.IMAGE_TO_VIDEO
        found = self.candidates(mode, provider, wish.model or None, first)
        if not found:
            raise self._nothing(mode, provider, wish.model)
        able = [(name, spec) for name, spec in found if self.can(name, spec, wish)]
        fit = [(name, spec) for name, spec in able if self.ward[name].fit(now)]
        return (fit or able or found)[0]

    async def quote(self, name: str, spec: ModelSpec, wish: VideoRequest) -> int | None:
        """Millionths of a US dollar; a price that cannot be had in time is a price not known."""
        try:
            async with asyncio.timeout(QUOTE_WITHIN):
                return await self.providers[name].quote(spec.complete(wish), spec)
        except (ProviderError, TimeoutError):
            return None

    def can(self, name: str, spec: ModelSpec, wish: VideoRequest) -> bool:
        """Whether a model takes everything that a wish asks for."""
        try:
            spec.check(wish)
            self.providers[name].check(spec.complete(wish), spec)
        except OptionRefused:
            return False
        return True

    def takers(self, mode: Mode, option: str) -> list[str]:
        """The names of models that let people choose this option, the best first; not too many to read."""
        found = self.candidates(mode, None, None)
        names = (
            f"{spec.name} ({self.label(name)})" for name, spec in found if spec.limits(option) is not None
        )
        return list(dict.fromkeys(names))[:_NAMED]

    def _nothing(self, mode: Mode, provider: str | None, model: str) -> BadRequest | NotNow:
        offers = self.offers(mode)
        if not offers:
            kind = "from a prompt alone" if mode is Mode.TEXT_TO_VIDEO else "from a picture"
            return NotNow(f"No provider here makes videos {kind} right now. Nothing was charged.")
        if provider is not None and provider not in offers:
            wrong, right = f"provider {code(provider)}", list(offers)
        else:
            wrong = f"model {code(model)}"
            right = [spec.id for _, spec in self.candidates(mode, provider, None)]
        return BadRequest(f"There is no {wrong} here. Choose {_either(right)}; nothing was charged.")

    async def tend(self, clock: Clock) -> None:
        """For ever: try the keys of paused providers again, and now and then ask all what they offer."""
        never, refreshed = asyncio.Event(), clock.now()
        while True:
            await clock.wait(never, ROUND)
            for name, provider in self.providers.items():
                if self.ward[name].due(clock.now()):
                    await self._try_again(provider, clock)
            stale = [
                provider
                for name, provider in self.providers.items()
                if name not in self._specs or name in self._doubted
            ]
            self._doubted.clear()
            await asyncio.gather(*(self._refresh(provider, clock.now()) for provider in stale))
            if clock.now() - refreshed > FRESH:
                await self.refresh(clock.now())
                refreshed = clock.now()

    async def _try_again(self, provider: AnyProvider, clock: Clock) -> None:
        try:
            await provider.verify()
        except Exception as error:  # noqa: BLE001 - whatever it is, the key was not shown to work
            log.warning("%s is still paused: %r", provider.label, error)
            self.ward[provider.name].wait(clock.now())
        else:
            log.warning("%s is no longer paused", provider.label)
            self.ward[provider.name].heard()

    async def _refresh(self, provider: AnyProvider, now: datetime) -> None:
        try:
            self._specs[provider.name] = await provider.models()
        except ProviderError as error:
            log.warning("%s did not list its models: %s", provider.label, error.detail)
            self.ward[provider.name].failed(error, now)
        except Exception:
            log.exception("the list of %s's models cannot be read", provider.label)


def _either(names: Sequence[str]) -> str:
    *others, last = map(code, names[:_NAMED])
    return f"{', '.join(others)} or {last}" if others else last
