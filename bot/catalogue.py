"""The enabled providers and what their models take."""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from itertools import product

from bot.clock import Clock
from bot.errors import BadRequest, NotNow
from bot.keychecks import ASK_WITHIN, KeyChecks
from bot.notices import reason
from bot.provider_health import ProviderHealth
from bot.saved_models import SavedModels
from bot.words import code, escape
from providers import AnyProvider
from providers.errors import OutOfFunds, ProviderError, Unauthorized
from providers.specs import OPTIONS, Mode, ModelSpec, VideoRequest

log = logging.getLogger(__name__)

ROUND = 30.0
"""Seconds between two looks at whether a provider is paused or its list is to be refreshed."""
FRESH = timedelta(hours=1)
"""How long a catalogue is believed."""
RETRY = timedelta(minutes=5)
"""How long one is believed further that could not be had again."""
FIRST_WAIT = 3.0
"""Seconds that a start waits for providers of which nothing is known."""
QUOTE_WITHIN = 5.0
"""Seconds that a provider gets to name its price."""
QUOTE_AGAIN = 30.0
"""Seconds for which one that did not is not asked again."""
_NAMED = 10
"""Choices listed in a sentence."""


class Catalogue:
    def __init__(
        self, providers: Mapping[str, AnyProvider], default: str | None, saved: SavedModels | None = None
    ) -> None:
        self.providers = providers
        self._default = default
        self._saved = saved
        self._specs: dict[str, Sequence[ModelSpec]] = {}
        self.health: defaultdict[str, ProviderHealth] = defaultdict(ProviderHealth)
        self._stale: set[str] = set()
        self._answered: set[str] = set()
        """Those that have listed their models since the start."""
        self._ask_at: dict[str, datetime] = {}
        self._quote_after: dict[str, float] = {}
        self._asked: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)
        self._keys = KeyChecks(self.health)

    def knows(self, provider: str) -> bool:
        """Whether the provider itself has told what it offers, since the bot was started."""
        return provider in self._answered and bool(self._specs.get(provider))

    def is_unknown(self, provider: str) -> bool:
        """Whether nobody can say now what an enabled provider offers."""
        return provider in self.providers and provider not in self._specs

    def mark_stale(self, provider: str) -> None:
        """A provider refused what its catalogue allows: ask it soon what it offers now."""
        self._stale.add(provider)

    def suspect_key(self, provider: str) -> None:
        """A request was refused for the key or the balance: `keep_fresh` finds out whether all are."""
        self._keys.suspect(provider)

    async def recall(self) -> None:
        """Begin with what the providers offered when they were last asked."""
        for name, provider in self.providers.items():
            if self._saved is not None and (specs := await self._saved.load(provider)):
                self._specs[name] = specs

    async def first_answers(self) -> None:
        """Wait a few seconds for providers of which nothing is known; `keep_fresh` asks them."""
        unknown = [self._asked[name].wait() for name in self.providers if name not in self._specs]
        with suppress(TimeoutError):
            async with asyncio.timeout(FIRST_WAIT):
                await asyncio.gather(*unknown)

    async def refresh(self, now: datetime) -> None:
        """Ask every provider what it offers; one that does not answer keeps what it offered before."""
        await asyncio.gather(*(self._refresh(provider, lambda: now) for provider in self.providers.values()))

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
            for name in self.providers
            for spec in self.specs(name)
            if provider in {None, name}
        ]

    def specs(self, provider: str) -> Sequence[ModelSpec]:
        """What a provider offers, as far as that is known."""
        if self.is_unknown(provider):
            return self.providers[provider].terms.builtin
        return self._specs.get(provider, ())

    def ranked(self, first: str | None = None) -> list[str]:
        """The enabled providers; `first` comes first, else the bot's default, and a last resort last."""
        first = first if first in self.providers else self._default
        return sorted(
            self.providers, key=lambda name: (name != first, self.providers[name].terms.last_resort)
        )

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
        self,
        wish: VideoRequest,
        provider: str | None,
        now: datetime,
        first: str | None = None,
        paused: Collection[str] = (),
    ) -> tuple[str, ModelSpec]:
        """The provider's name and the model for a wish, whose model may be empty for any.

        Nobody named: `first`, the server's default, if it can do what is asked, else the next that can; one
        that is fit now, and not `paused` by the operator, goes before others. Raises BadRequest for names
        that are not on offer, NotNow while nothing is.
        """
        mode = Mode.TEXT_TO_VIDEO if wish.image is None else Mode.IMAGE_TO_VIDEO
        found = self.candidates(mode, provider, wish.model or None, first)
        if not found:
            raise self._nothing(mode, provider, wish.model)
        able = [(name, spec) for name, spec in found if spec.takes(wish)]
        fit = [
            (name, spec) for name, spec in able if self.health[name].is_available(now) and name not in paused
        ]
        return (fit or able or found)[0]

    async def quote(self, name: str, spec: ModelSpec, wish: VideoRequest) -> int | None:
        """Millionths of a US dollar: by the provider, else by its setting; None where nobody knows."""
        quoted = await self._quote(name, spec, wish)
        return self.providers[name].config.price_micros if quoted is None else quoted

    async def _quote(self, name: str, spec: ModelSpec, wish: VideoRequest) -> int | None:
        """The provider's own price; one that cannot be had in time is not known."""
        time = asyncio.get_running_loop().time
        if time() < self._quote_after.get(name, 0.0):
            return None
        try:
            async with asyncio.timeout(QUOTE_WITHIN):
                return await self.providers[name].quote(spec.complete(wish), spec)
        except ProviderError:
            return None
        except TimeoutError:
            self._quote_after[name] = time() + QUOTE_AGAIN
            return None

    def takers(self, mode: Mode, option: str) -> list[str]:
        """The names of models that let people choose this option, the best first; not too many to read."""
        found = self.candidates(mode, None, None)
        names = (
            f"{spec.name} ({self.label(name)})" for name, spec in found if spec.limits(option) is not None
        )
        return list(dict.fromkeys(names))[:_NAMED]

    def unavailable_options(self) -> frozenset[tuple[Mode, str]]:
        """The options that no model of a mode takes; none while a provider's models are not known."""
        if any(map(self.is_unknown, self.providers)):
            return frozenset()
        specs = [spec for provider in self.providers for spec in self.specs(provider)]
        taken = {
            (spec.mode, option) for spec in specs for option in OPTIONS if spec.limits(option) is not None
        }
        return frozenset(product(Mode, OPTIONS)) - taken

    def _nothing(self, mode: Mode, provider: str | None, model: str) -> BadRequest | NotNow:
        """Why nothing is on offer that fits."""
        offers = list(self.offers(mode))
        unknown = [name for name in self.providers if self.is_unknown(name) and provider in {None, name}]
        models = [spec.id for _, spec in self.candidates(mode, provider, None)]
        kind = "from a prompt alone" if mode is Mode.TEXT_TO_VIDEO else "from a picture"
        if unknown and not models:
            return NotNow(f"{self._out_of_reach(unknown)} Nothing was charged.")
        if not offers:
            return NotNow(f"No provider here makes videos {kind} right now. Nothing was charged.")
        if unknown:
            labels = " and ".join(escape(self.label(name)) for name in unknown)
            return NotNow(
                f"I don't know a model {code(model)}, and {labels} can't list models just now. "
                f"Choose {_either(models)}, or try again in a minute; nothing was charged."
            )
        wrong, right = f"There is no model {code(model)} here.", models
        if provider is not None and provider not in offers:
            known = f"{escape(self.label(provider))} makes no videos {kind}."
            wrong = known if provider in self.providers else f"There is no provider {code(provider)} here."
            right = offers
        return BadRequest(f"{wrong} Choose {_either(right)}; nothing was charged.")

    def _out_of_reach(self, providers: Sequence[str]) -> str:
        """Why nobody knows what these offer."""
        if away := [escape(self.label(name)) for name in providers if self.health[name].paused is None]:
            return f"{' and '.join(away)} can't be reached just now. Try again in a minute."
        paused = {self.label(name): self.health[name].paused for name in providers}
        return " ".join(reason(why, label) for label, why in paused.items() if why is not None)

    async def keep_fresh(self, clock: Clock) -> None:
        """For ever: try the keys of paused providers again, and now and then ask all what they offer."""
        async with asyncio.TaskGroup() as group:
            for provider in self.providers.values():
                group.create_task(self._keep_fresh(provider, clock))
                group.create_task(self._keys.settle(provider, clock))

    async def _keep_fresh(self, provider: AnyProvider, clock: Clock) -> None:
        """One provider's share, so that nobody waits for another one's answer."""
        never = asyncio.Event()
        while True:
            if self.health[provider.name].is_check_due(clock.now()):
                await self._keys.try_again(provider, clock)
            if self._is_due(provider.name, clock.now()):
                await self._refresh(provider, clock.now)
            await clock.wait(never, ROUND)

    def _is_due(self, provider: str, now: datetime) -> bool:
        """Whether a provider is to be asked what it offers; also after the clock was put back."""
        at = self._ask_at.get(provider, now)
        return provider in self._stale or not now < at <= now + FRESH

    async def _refresh(self, provider: AnyProvider, now: Callable[[], datetime]) -> None:
        name = provider.name
        self._stale.discard(name)  # marked again while it is asked, it is asked once more
        try:
            async with asyncio.timeout(ASK_WITHIN):
                specs = await provider.models()
        except ProviderError as error:
            log.warning("%s did not list its models: %s", provider.label, error.detail)
            if isinstance(error, Unauthorized | OutOfFunds):
                self.health[name].record_refusal(error, now())  # a list costs nothing: it is no one request's
        except TimeoutError:
            log.warning("%s did not list its models in time", provider.label)
        except Exception:
            log.exception("the list of %s's models cannot be read", provider.label)
        else:
            await self._take(provider, specs, now())
            return
        finally:
            self._asked[name].set()
        # What was refreshed before is still good for a while; of others, too little is known.
        self._ask_at[name] = now() + (RETRY if name in self._answered else timedelta(seconds=ROUND))

    async def _take(self, provider: AnyProvider, specs: Sequence[ModelSpec], now: datetime) -> None:
        """Offer from now on what a provider has listed."""
        self._specs[provider.name] = specs
        self._answered.add(provider.name)
        self._ask_at[provider.name] = now + FRESH
        if provider.terms.publishes_models:
            self.health[provider.name].record_answer()
        if self._saved is not None:
            await self._saved.save(provider, specs, now)


def _either(names: Sequence[str]) -> str:
    *others, last = map(code, names[:_NAMED])
    return f"{', '.join(others)} or {last}" if others else last
