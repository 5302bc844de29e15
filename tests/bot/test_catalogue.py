import asyncio
from collections.abc import Sequence
from datetime import timedelta

import pytest

from bot.catalogue import Catalogue
from bot.errors import BadRequest, NotNow
from bot.jobs import Failure
from providers.base import (
    Failed,
    Operation,
    Pending,
    Provider,
    ProviderConfig,
    Resources,
    Sink,
    Succeeded,
    Terms,
)
from providers.errors import Unauthorized, Uncertain, Unreachable
from providers.options import SourceImage, Span
from providers.specs import Mode, ModelSpec, VideoRequest
from tests.clock import NOON

IMAGE, TEXT = Mode
PICTURE = SourceImage(data=b"", media_type="image/jpeg", width=1, height=1)


def wish(model: str | None = None) -> VideoRequest:
    """To make a picture move, by whichever model."""
    return VideoRequest(model=model or "", prompt="zoom in", image=PICTURE)


def spec(model: str, mode: Mode = IMAGE) -> ModelSpec:
    return ModelSpec(id=model, name=model.title(), mode=mode)


class Shop(Provider[ProviderConfig]):
    """Offers what it is told to, or is closed."""

    Config = ProviderConfig

    def __init__(self, name: str, *specs: ModelSpec) -> None:
        super().__init__(ProviderConfig(), Resources(session=None, folder=None))  # type: ignore[arg-type]
        self.name = self.label = name  # type: ignore[misc]
        self.specs: Sequence[ModelSpec] = specs
        self.closed = False
        self.price: int | Exception = 5

    async def models(self) -> Sequence[ModelSpec]:
        if self.closed:
            raise Unreachable("closed")
        return self.specs

    async def quote(self, request: VideoRequest, spec: ModelSpec) -> int | None:
        if isinstance(self.price, Exception):
            raise self.price
        return self.price

    async def submit(self, request: VideoRequest) -> Operation:
        raise NotImplementedError

    async def poll(self, operation: Operation) -> Pending | Succeeded | Failed:
        raise NotImplementedError

    async def download(self, operation: Operation, video: Succeeded, sink: Sink) -> None:
        raise NotImplementedError


async def catalogue(*shops: Shop, default: str | None = None) -> Catalogue:
    made = Catalogue({shop.name: shop for shop in shops}, default)
    await made.refresh(NOON)
    return made


@pytest.fixture
async def three() -> Catalogue:
    return await catalogue(
        Shop("alpha", spec("swift"), spec("fine")),
        Shop("beta", spec("swift"), spec("writer", TEXT)),
        Shop("gamma", spec("writer", TEXT)),
        default="beta",
    )


def names(found: Sequence[tuple[str, ModelSpec]]) -> list[tuple[str, str]]:
    return [(provider, spec.id) for provider, spec in found]


def test_the_default_provider_comes_first(three: Catalogue) -> None:
    assert list(three.offers(IMAGE)) == ["beta", "alpha"]
    assert names(three.candidates(IMAGE, None, None)) == [
        ("beta", "swift"),
        ("alpha", "swift"),
        ("alpha", "fine"),
    ]


async def test_without_a_default_the_order_stays() -> None:
    made = await catalogue(Shop("alpha", spec("a")), Shop("beta", spec("b")))
    assert list(made.offers(IMAGE)) == ["alpha", "beta"]


@pytest.mark.parametrize(
    ("provider", "model", "chosen"),
    [
        (None, None, ("beta", "swift")),
        ("alpha", None, ("alpha", "swift")),
        (None, "fine", ("alpha", "fine")),
        (None, "swift", ("beta", "swift")),
        ("alpha", "fine", ("alpha", "fine")),
    ],
)
def test_what_is_left_open_is_chosen(
    three: Catalogue, provider: str | None, model: str | None, chosen: tuple[str, str]
) -> None:
    assert names([three.choose(wish(model), provider, NOON)]) == [chosen]


@pytest.mark.parametrize(
    ("provider", "model", "sentence"),
    [
        ("delta", None, "There is no provider `delta` here. Choose `beta` or `alpha`; nothing was charged."),
        (
            "gamma",
            None,
            "gamma makes no videos from a picture. Choose `beta` or `alpha`; nothing was charged.",
        ),
        ("beta", "fine", "There is no model `fine` here. Choose `swift`; nothing was charged."),
        (
            None,
            "huge",
            "There is no model `huge` here. Choose `swift`, `swift` or `fine`; nothing was charged.",
        ),
        (
            None,
            "writer",
            "There is no model `writer` here. Choose `swift`, `swift` or `fine`; nothing was charged.",
        ),
    ],
)
def test_what_is_not_on_offer_is_answered_with_what_is(
    three: Catalogue, provider: str | None, model: str | None, sentence: str
) -> None:
    with pytest.raises(BadRequest) as caught:
        three.choose(wish(model), provider, NOON)
    assert str(caught.value) == sentence


UNSURE = (
    "I don't know a model `huge`, and beta can't list models just now. "
    "Choose `swift`, or try again in a minute; nothing was charged."
)
AWAY = "beta can't be reached just now. Try again in a minute. Nothing was charged."


@pytest.mark.parametrize(
    ("provider", "model", "sentence"),
    [
        ("beta", None, AWAY),
        ("beta", "swift", AWAY),
        (None, "huge", UNSURE),
    ],
)
async def test_a_provider_that_is_away_is_not_said_to_be_none(
    provider: str | None, model: str | None, sentence: str
) -> None:
    beta = Shop("beta", spec("swift"))
    beta.closed = True
    made = await catalogue(Shop("alpha", spec("swift")), beta)
    with pytest.raises(NotNow) as caught:
        made.choose(wish(model), provider, NOON)
    assert str(caught.value) == sentence
    with pytest.raises(BadRequest, match="There is no provider `delta` here"):
        made.choose(wish(), "delta", NOON)
    assert names([made.choose(wish(), None, NOON)]) == [("alpha", "swift")]


async def test_while_nobody_can_be_reached_people_are_told_so() -> None:
    beta = Shop("beta", spec("swift"))
    beta.closed = True
    made = await catalogue(beta)
    with pytest.raises(NotNow) as caught:
        made.choose(wish(), None, NOON)
    assert str(caught.value) == AWAY
    made.health["beta"].paused = Failure.UNAUTHORIZED
    with pytest.raises(NotNow, match=r"beta did not accept this bot's key.*Nothing was charged"):
        made.choose(wish(), "beta", NOON)


async def test_what_is_documented_is_offered_until_the_list_is_known() -> None:
    alpha = Shop("alpha", spec("swift"), spec("fine"))
    alpha.terms = Terms(builtin=(spec("swift"),))
    alpha.closed = True
    made = await catalogue(alpha)
    assert names([made.choose(wish("swift"), None, NOON)]) == [("alpha", "swift")]
    assert not made.knows("alpha"), "no model is gone because it is not documented"
    with pytest.raises(NotNow, match="I don't know a model `fine`"):
        made.choose(wish("fine"), None, NOON)
    alpha.closed = False
    await made.refresh(NOON)
    assert len(made.models("alpha")) == 2


async def test_while_nothing_is_on_offer_people_are_asked_to_come_back() -> None:
    made = await catalogue(Shop("alpha", spec("writer", TEXT)))
    with pytest.raises(NotNow, match="Nothing was charged"):
        made.choose(wish(), "alpha", NOON)


def test_a_model_is_found_under_its_provider_only(three: Catalogue) -> None:
    assert three.spec("alpha", "fine") == spec("fine")
    assert three.spec("beta", "fine") is None
    assert three.spec("delta", "fine") is None


async def test_a_provider_that_does_not_answer_keeps_what_it_offered(
    caplog: pytest.LogCaptureFixture,
) -> None:
    alpha, beta = Shop("alpha", spec("old")), Shop("beta", spec("old"))
    made = await catalogue(alpha, beta)
    alpha.closed = True
    beta.specs = [spec("new")]
    await made.refresh(NOON)
    assert names(made.candidates(IMAGE, None, None)) == [("alpha", "old"), ("beta", "new")]
    assert caplog.messages == ["alpha did not list its models: closed"]


async def test_a_provider_that_never_answered_offers_nothing() -> None:
    alpha = Shop("alpha", spec("a"))
    alpha.closed = True
    assert (await catalogue(alpha)).offers(IMAGE) == {}


async def test_a_last_resort_comes_last_unless_it_is_the_default() -> None:
    alpha, beta = Shop("alpha", spec("a")), Shop("beta", spec("b"))
    alpha.terms = Terms(last_resort=True)
    made = await catalogue(alpha, beta)
    assert made.ranked() == ["beta", "alpha"]
    assert made.ranked("alpha") == ["alpha", "beta"]
    assert made.ranked("gone") == ["beta", "alpha"], "a default that is gone is none"


async def test_whoever_is_fit_goes_first_and_whoever_can_do_it_before_whoever_cannot() -> None:
    short = spec("swift").model_copy(update={"prompt_limit": 9})
    three = await catalogue(Shop("alpha", short, spec("fine")), Shop("beta", short), default="beta")
    three.health["beta"].paused = Failure.OUT_OF_FUNDS
    assert names([three.choose(wish(), None, NOON)]) == [("alpha", "swift")]
    long = wish().model_copy(update={"prompt": "zoom in slowly"})
    assert names([three.choose(long, None, NOON)]) == [("alpha", "fine")]
    three.health["alpha"].paused = Failure.OUT_OF_FUNDS
    assert names([three.choose(long, None, NOON)]) == [("alpha", "fine")], "able, if nobody is fit"
    assert names([three.choose(long, "beta", NOON)]) == [("beta", "swift")], "to be told what is wrong"


@pytest.mark.parametrize("trouble", [Uncertain("500"), TimeoutError()])
async def test_a_price_that_cannot_be_had_is_not_known(trouble: Exception) -> None:
    alpha = Shop("alpha", spec("a"))
    made = await catalogue(alpha)
    assert await made.quote("alpha", spec("a"), wish()) == 5
    alpha.price = trouble
    assert await made.quote("alpha", spec("a"), wish()) is None


class Silent(Shop):
    """Names no price, ever."""

    asked = 0

    async def quote(self, request: VideoRequest, spec: ModelSpec) -> int | None:
        self.asked += 1
        return await asyncio.get_running_loop().create_future()


async def test_nobody_waits_long_for_a_price(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.catalogue.QUOTE_WITHIN", 0.01)
    made = await catalogue(Silent("alpha", spec("a")))
    assert await asyncio.wait_for(made.quote("alpha", spec("a"), wish()), 5) is None


async def test_a_price_that_did_not_come_is_not_waited_for_again_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A job that looks for another provider asks each of its models: sixty waits would be minutes."""
    monkeypatch.setattr("bot.catalogue.QUOTE_WITHIN", 0.01)
    alpha = Silent("alpha", spec("a"))
    made = await catalogue(alpha, Shop("beta", spec("b")))
    assert [await made.quote("alpha", spec("a"), wish()) for _ in range(60)] == [None] * 60
    assert alpha.asked == 1
    assert await made.quote("beta", spec("b"), wish()) == 5
    monkeypatch.setattr("bot.catalogue.QUOTE_AGAIN", -1.0)
    made = await catalogue(alpha)
    assert [await made.quote("alpha", spec("a"), wish()) for _ in range(2)] == [None] * 2
    assert alpha.asked == 3


async def test_those_who_take_an_option_are_named_once_and_not_too_many() -> None:
    takes = [
        ModelSpec(id=f"m{n}", name=f"M{n // 2}", mode=IMAGE, seed=Span(low=0, high=9)) for n in range(30)
    ]
    made = await catalogue(Shop("alpha", spec("plain"), *takes))
    assert made.takers(IMAGE, "seed") == [f"M{n} (alpha)" for n in range(10)]


async def test_models_are_those_of_one_provider_or_of_all(three: Catalogue) -> None:
    assert three.models("beta") == [("swift", "Swift"), ("writer", "Writer")]
    assert len(three.models(None)) == 5


async def test_a_refused_key_is_noticed_with_the_list() -> None:
    class Strange(Shop):
        async def models(self) -> Sequence[ModelSpec]:
            raise Unauthorized("401")

    made = await catalogue(Strange("alpha"))
    assert made.health["alpha"].paused is Failure.UNAUTHORIZED


@pytest.mark.parametrize("asks", [True, False])
async def test_a_list_that_comes_from_the_vendor_ends_a_rest_and_no_pause(*, asks: bool) -> None:
    alpha = Shop("alpha", spec("a"))
    alpha.terms = Terms(publishes_models=asks)
    made = await catalogue(alpha)
    made.health["alpha"].resting_until = NOON + timedelta(days=1)
    await made.refresh(NOON)
    assert made.health["alpha"].is_available(NOON) is asks
    made.health["alpha"].paused = Failure.OUT_OF_FUNDS
    await made.refresh(NOON)
    assert made.health["alpha"].paused


async def test_a_list_that_cannot_be_had_is_no_outage_for_videos() -> None:
    alpha = Shop("alpha", spec("a"))
    made = await catalogue(alpha)
    alpha.closed = True
    for minute in range(10):
        await made.refresh(NOON + timedelta(minutes=minute))
    assert made.health["alpha"].is_available(NOON + timedelta(minutes=10))


async def test_a_list_that_nobody_can_read_keeps_no_other_from_being_read() -> None:
    class Broken(Shop):
        async def models(self) -> Sequence[ModelSpec]:
            raise KeyError("data")

    made = await catalogue(Broken("alpha"), Shop("beta", spec("b")))
    assert list(made.offers(IMAGE)) == ["beta"]
