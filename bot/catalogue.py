"""The enabled providers and what their models take."""

import asyncio
import logging
from collections.abc import Mapping, Sequence

from bot.errors import BadRequest, NotNow
from providers import AnyProvider
from providers.errors import ProviderError
from providers.specs import Mode, ModelSpec

log = logging.getLogger(__name__)


class Catalogue:
    def __init__(self, providers: Mapping[str, AnyProvider], default: str | None) -> None:
        self.providers = providers
        self._default = default
        self._specs: dict[str, Sequence[ModelSpec]] = {}

    async def refresh(self) -> None:
        """Ask every provider what it offers; one that does not answer keeps what it offered before."""
        await asyncio.gather(*(self._refresh(provider) for provider in self.providers.values()))

    def spec(self, provider: str, model: str) -> ModelSpec | None:
        return next((spec for spec in self._specs.get(provider, ()) if spec.id == model), None)

    def offers(self, mode: Mode) -> dict[str, list[ModelSpec]]:
        """The models of this mode by provider, the default provider first."""
        offers: dict[str, list[ModelSpec]] = {}
        for name in sorted(self.providers, key=lambda name: name != self._default):
            if specs := [spec for spec in self._specs.get(name, ()) if spec.mode is mode]:
                offers[name] = specs
        return offers

    def candidates(self, mode: Mode, provider: str | None, model: str | None) -> list[tuple[str, ModelSpec]]:
        """Provider and model for every offer that fits; what is None fits all. The best comes first."""
        return [
            (name, spec)
            for name, specs in self.offers(mode).items()
            for spec in specs
            if provider in {None, name} and model in {None, spec.id}
        ]

    def choose(self, mode: Mode, provider: str | None, model: str | None) -> tuple[str, ModelSpec]:
        """The provider's name and the model that a person means.

        Raises BadRequest for names that are not on offer, NotNow while nothing is.
        """
        if found := self.candidates(mode, provider, model):
            return found[0]
        offers = self.offers(mode)
        if not offers:
            raise NotNow("No video provider is available right now. Try again later; nothing was charged.")
        if provider is not None and provider not in offers:
            wrong, right = f"provider `{provider}`", list(offers)
        else:
            wrong = f"model `{model}`"
            right = [spec.id for _, spec in self.candidates(mode, provider, None)]
        raise BadRequest(f"There is no {wrong} here. Choose {_either(right)}; nothing was charged.")

    async def _refresh(self, provider: AnyProvider) -> None:
        try:
            self._specs[provider.name] = await provider.models()
        except ProviderError as error:
            log.warning("%s did not list its models: %s", provider.label, error.detail)


def _either(names: Sequence[str]) -> str:
    *others, last = (f"`{name}`" for name in names)
    return f"{', '.join(others)} or {last}" if others else last
