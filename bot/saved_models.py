"""What each provider offered when it was last asked, kept in the store for the next start."""

import hashlib
import logging
from collections.abc import Sequence
from datetime import datetime

from bot.store.db import StoreError
from bot.store.notes import Notes
from providers import AnyProvider
from providers.options import Frozen
from providers.specs import ModelSpec

log = logging.getLogger(__name__)


class _Saved(Frozen):
    config: str
    """A digest of the settings that the provider had."""
    at: datetime
    models: tuple[ModelSpec, ...]


class SavedModels:
    def __init__(self, notes: Notes) -> None:
        self._notes = notes

    async def load(self, provider: AnyProvider) -> Sequence[ModelSpec]:
        """What the provider offered last; nothing if that was with other settings, or cannot be read."""
        try:
            note = await self._notes.get(_name(provider))
            if note is None:
                return ()
            saved = _Saved.model_validate_json(note)
        except (StoreError, ValueError) as error:
            log.warning("the models that %s offered last cannot be read: %s", provider.label, error)
            return ()
        if saved.config != _digest(provider):
            return ()
        log.info("%s offers what it did at %s until it is asked", provider.label, saved.at)
        return saved.models

    async def save(self, provider: AnyProvider, models: Sequence[ModelSpec], now: datetime) -> None:
        """Remember for the next start what the provider offers, as far as the store can."""
        try:
            saved = _Saved(config=_digest(provider), at=now, models=tuple(models))
            await self._notes.set(_name(provider), saved.model_dump_json())
        except (StoreError, ValueError) as error:
            log.warning("the models of %s cannot be stored: %s", provider.label, error)


def _name(provider: AnyProvider) -> str:
    return f"models of {provider.name}"


def _digest(provider: AnyProvider) -> str:
    """Tells whether the settings are the same. What is secret in them is masked before."""
    return hashlib.sha256(provider.config.model_dump_json().encode()).hexdigest()
