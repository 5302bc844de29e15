"""What there is to choose from, as somebody who chooses wants to know it."""

from collections.abc import Sequence
from dataclasses import dataclass

from bot.provider_health import ProviderHealth
from bot.quota.allowances import Tariff
from providers.specs import ModelSpec


@dataclass(frozen=True)
class ModelOffer:
    """One model as somebody who chooses wants to know it."""

    spec: ModelSpec
    tariff: Tariff | None
    """What it costs in this server, if that is not the default."""
    typical_seconds: float | None
    measured: bool
    """Whether that time comes from this bot's own jobs."""


@dataclass(frozen=True)
class ProviderOffer:
    """One provider as somebody who chooses wants to know it."""

    label: str
    health: ProviderHealth
    fit: bool
    offers: Sequence[ModelOffer]
    """Its models; none while its list has not loaded."""
