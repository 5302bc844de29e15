"""What providers offered last is there at the next start, if it is still what they could offer."""

import json
from collections.abc import AsyncIterator, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from bot.catalogue import Catalogue
from bot.saved_models import SavedModels, _digest, _name, _Saved
from bot.store import Store, connect
from bot.store.db import StoreError
from providers import discover
from providers.base import ProviderConfig, RemoteConfig
from providers.errors import Unreachable
from providers.fields import DEAREST
from providers.options import AudioLimits, Choice, Decimals, Flag, ImageLimits, Span, Text
from providers.specs import Mode, ModelSpec, Per, Price
from tests.bot.conftest import Scripted
from tests.clock import NOON, FastClock
from tests.helpers import on_both

TEXTS = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=70)
"""Words that a person can read, which is all that an option may hold."""
SPECS = st.builds(
    ModelSpec,
    id=TEXTS,
    name=TEXTS,
    mode=st.sampled_from(Mode),
    duration=st.none()
    | st.builds(Choice[int], values=st.tuples(st.integers()), default=st.none() | st.integers()),
    resolution=st.none() | st.builds(Choice[str], values=st.tuples(TEXTS), default=st.none() | TEXTS),
    negative_prompt=st.none() | st.builds(Text, limit=st.integers()),
    audio=st.none() | st.builds(Flag, default=st.none() | st.booleans()),
    seed=st.none() | st.builds(Span, low=st.integers(), high=st.integers()),
    guidance=st.none()
    | st.builds(Decimals, low=st.floats(allow_nan=False, allow_infinity=False), high=st.just(9)),
    end_image=st.none() | st.builds(ImageLimits, max_bytes=st.integers()),
    audio_file=st.none()
    | st.builds(AudioLimits, max_bytes=st.integers(), max_seconds=st.just(1.5), media_types=st.tuples(TEXTS)),
    effect_words=st.dictionaries(TEXTS, TEXTS, max_size=2),
    price=st.none() | st.builds(Price, usd_micros=st.integers(0, DEAREST), per=st.sampled_from(Per)),
    retires=st.none() | st.dates(),
)
OLD = ModelSpec(
    id="old", name="Old", mode=Mode.IMAGE_TO_VIDEO, retires=date(2027, 1, 1), seed=Span(low=0, high=9)
)


class Away(Scripted):
    """Lists one model, unless it cannot be reached."""

    away = False

    async def models(self) -> Sequence[ModelSpec]:
        if self.away:
            raise Unreachable("dns")
        return [OLD]


@pytest.fixture
async def store(database_url: str) -> AsyncIterator[Store]:
    made = Store(connect(database_url), FastClock())
    await made.open()
    yield made
    await made.close()


@pytest.fixture
def provider(tmp_path: Path) -> Away:
    return Away(tmp_path)


async def started(store: Store, provider: Away) -> Catalogue:
    """A bot's catalogue as it is before anybody was asked."""
    catalogue = Catalogue({"scripted": provider}, None, SavedModels(store.notes))
    await catalogue.recall()
    return catalogue


@settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(SPECS, max_size=3))
def test_a_list_comes_back_as_it_was(specs: list[ModelSpec]) -> None:
    saved = _Saved(config="", at=NOON, models=tuple(specs))
    assert _Saved.model_validate_json(saved.model_dump_json()) == saved


def test_nothing_of_a_model_is_left_out() -> None:
    saved = _Saved(config="", at=NOON, models=(OLD,))
    assert set(json.loads(saved.model_dump_json())["models"][0]) == set(ModelSpec.model_fields)


@on_both
async def test_a_start_offers_what_was_offered_before(store: Store, provider: Away) -> None:
    await (await started(store, provider)).refresh(NOON)
    provider.away = True
    again = await started(store, provider)
    assert again.specs("scripted") == (OLD,)
    await again.refresh(NOON)
    assert again.spec("scripted", "old") == OLD
    assert not again.knows("scripted"), "it has not said so itself: no model is gone by this"


async def test_nothing_is_known_of_who_never_answered(store: Store, provider: Away) -> None:
    provider.away = True
    await (await started(store, provider)).refresh(NOON)
    assert (await started(store, provider)).is_unknown("scripted")


class Config(RemoteConfig):
    base_url: str = "https://one.example"
    flavour: str = "sweet"


@pytest.mark.parametrize(
    ("other", "same"),
    [
        (Config(base_url="https://two.example"), False),
        (Config(flavour="sour"), False),
        (Config(api_key=SecretStr("another")), True),
    ],
)
async def test_other_settings_make_another_list(
    store: Store, provider: Away, other: ProviderConfig, *, same: bool
) -> None:
    provider.config = Config(api_key=SecretStr("secret"))
    await (await started(store, provider)).refresh(NOON)
    assert "secret" not in str(await store.notes.get(_name(provider)))
    provider.config = other
    assert (not (await started(store, provider)).is_unknown("scripted")) is same


@pytest.mark.parametrize(
    "spoil",
    [
        lambda _: "{",
        lambda _: "null",
        lambda note: json.dumps({**json.loads(note), "newer": 1}),
        lambda note: note.replace('"image-to-video"', '"smell-to-video"'),
    ],
)
async def test_a_list_that_cannot_be_read_any_more_is_dropped(
    store: Store, provider: Away, spoil: Any, caplog: pytest.LogCaptureFixture
) -> None:
    await (await started(store, provider)).refresh(NOON)
    note = await store.notes.get(_name(provider))
    await store.notes.set(_name(provider), spoil(note))
    again = await started(store, provider)
    assert again.is_unknown("scripted")
    assert "the models that Scripted offered last cannot be read" in caplog.text
    await again.refresh(NOON)
    assert (await started(store, provider)).specs("scripted") == (OLD,), "the next answer takes its place"


async def test_a_store_that_fails_stops_neither_a_start_nor_an_answer(
    store: Store, provider: Away, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(*_: object) -> str:
        raise StoreError("the disk is away")

    monkeypatch.setattr(store.notes, "get", fails)
    monkeypatch.setattr(store.notes, "set", fails)
    catalogue = await started(store, provider)
    await catalogue.refresh(NOON)
    assert catalogue.knows("scripted")


async def test_what_no_text_can_hold_is_not_kept_but_offered(
    store: Store, provider: Away, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd = OLD.model_copy(update={"id": "half \ud83d"})
    monkeypatch.setattr(provider, "models", lambda: _answer([odd]))
    catalogue = await started(store, provider)
    await catalogue.refresh(NOON)
    assert catalogue.knows("scripted")
    assert (await started(store, provider)).is_unknown("scripted")


async def _answer(specs: list[ModelSpec]) -> list[ModelSpec]:
    return specs


@pytest.mark.parametrize("name", discover())
def test_every_providers_settings_have_a_digest(name: str, provider: Away) -> None:
    provider.config = discover()[name].Config()
    assert len(_digest(provider)) == 64
