"""The enabled providers and what their models take."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from bot.clock import Clock
from bot.errors import BadRequest, NotNow
from bot.fitness import Ward
from providers import AnyProvider
from providers.errors import ProviderError
from providers.specs import Mode, ModelSpec, OptionRefused, VideoRequest

log = logging.getLogger(__name__)

ROUND = 30.0
"""Seconds between two looks at who is paused."""
FRESH = timedelta(hours=1)
"""How long a catalogue is believed."""
_NAMED = 10
"""So many choices fit into a sentence."""


class Catalogue:
    def __init__(self, providers: Mapping[str, AnyProvider], default: str | None) -> None:
        self.providers = providers
        self._default = default
        self._specs: dict[str, Sequence[ModelSpec]] = {}
        self.ward = Ward()

    async def refresh(self) -> None:
        """Ask every provider what it offers; one that does not answer keeps what it offered before."""
        await asyncio.gather(*(self._refresh(provider) for provider in self.providers.values()))

    def label(self, provider: str) -> str:
        """The provider's name as people read it."""
        known = self.providers.get(provider)
        return known.label if known else provider

    def spec(self, provider: str, model: str) -> ModelSpec | None:
        return next((spec for spec in self._specs.get(provider, ()) if spec.id == model), None)

    def offers(self, mode: Mode) -> dict[str, list[ModelSpec]]:
        """The models of this mode by provider, the default provider first."""
        offers: dict[str, list[ModelSpec]] = {}
        for name in sorted(self.providers, key=self._rank):
            if specs := [spec for spec in self._specs.get(name, ()) if spec.mode is mode]:
                offers[name] = specs
        return offers

    def _rank(self, name: str) -> tuple[bool, bool]:
        return name != self._default, self.providers[name].last_resort

    def candidates(self, mode: Mode, provider: str | None, model: str | None) -> list[tuple[str, ModelSpec]]:
        """Provider and model for every offer that fits; what is None fits all. The best comes first."""
        return [
            (name, spec)
            for name, specs in self.offers(mode).items()
            for spec in specs
            if provider in {None, name} and model in {None, spec.id}
        ]

    def choose(self, wish: VideoRequest, provider: str | None, now: datetime) -> tuple[str, ModelSpec]:
        """The provider's name and the model for a wish, whose model may be empty for any.

        Nobody named: the default provider if it can do what is asked, else the next that can; one that is
        fit now goes before one that is not. Raises BadRequest for names that are not on offer, NotNow while
        nothing is.
        """
        mode = Mode.TEXT_TO_VIDEO if wish.image is None else Mode.IMAGE_TO_VIDEO
        found = self.candidates(mode, provider, wish.model or None)
        if not found:
            raise self._nothing(mode, provider, wish.model)
        able = [(name, spec) for name, spec in found if self.can(name, spec, wish)]
        fit = [(name, spec) for name, spec in able if self.ward[name].fit(now)]
        return (fit or able or found)[0]

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
            wrong, right = f"provider `{provider}`", list(offers)
        else:
            wrong = f"model `{model}`"
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
            unlisted = (item for item in self.providers.values() if item.name not in self._specs)
            await asyncio.gather(*(self._refresh(provider) for provider in unlisted))
            if clock.now() - refreshed > FRESH:
                await self.refresh()
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

    async def _refresh(self, provider: AnyProvider) -> None:
        try:
            self._specs[provider.name] = await provider.models()
        except ProviderError as error:
            log.warning("%s did not list its models: %s", provider.label, error.detail)
        except Exception:
            log.exception("the list of %s's models cannot be read", provider.label)


def _either(names: Sequence[str]) -> str:
    *others, last = (f"`{name}`" for name in names[:_NAMED])
    return f"{', '.join(others)} or {last}" if others else last
