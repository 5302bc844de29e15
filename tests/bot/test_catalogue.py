import asyncio
from collections.abc import Sequence

import pytest

from bot.catalogue import Catalogue
from bot.errors import BadRequest, NotNow
from bot.jobs import Failure
from providers.base import Failed, Operation, Pending, Provider, ProviderConfig, Resources, Sink, Succeeded
from providers.errors import Unauthorized, Uncertain, Unreachable
from providers.options import SourceImage, Span
from providers.specs import Mode, ModelSpec, OptionRefused, VideoRequest
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

    def check(self, request: VideoRequest, spec: ModelSpec) -> None:
        if request.prompt in spec.name:
            raise OptionRefused("not this", "prompt")

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
        ("gamma", None, "There is no provider `gamma` here. Choose `beta` or `alpha`; nothing was charged."),
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
    alpha.last_resort = True  # type: ignore[misc] # this one alone
    made = await catalogue(alpha, beta)
    assert made.ranked() == ["beta", "alpha"]
    assert made.ranked("alpha") == ["alpha", "beta"]
    assert made.ranked("gone") == ["beta", "alpha"], "a default that is gone is none"


def test_whoever_is_fit_goes_first_and_whoever_can_do_it_before_whoever_cannot(three: Catalogue) -> None:
    three.ward["beta"].paused = Failure.OUT_OF_FUNDS
    assert names([three.choose(wish(), None, NOON)]) == [("alpha", "swift")]
    picky = wish().model_copy(update={"prompt": "Swift"})
    assert names([three.choose(picky, None, NOON)]) == [("alpha", "fine")]
    three.ward["alpha"].paused = Failure.OUT_OF_FUNDS
    assert names([three.choose(picky, None, NOON)]) == [("alpha", "fine")], "able, if nobody is fit"
    assert names([three.choose(picky, "beta", NOON)]) == [("beta", "swift")], "to be told what is wrong"


@pytest.mark.parametrize("trouble", [Uncertain("500"), TimeoutError()])
async def test_a_price_that_cannot_be_had_is_not_known(trouble: Exception) -> None:
    alpha = Shop("alpha", spec("a"))
    made = await catalogue(alpha)
    assert await made.quote("alpha", spec("a"), wish()) == 5
    alpha.price = trouble
    assert await made.quote("alpha", spec("a"), wish()) is None


async def test_nobody_waits_long_for_a_price(monkeypatch: pytest.MonkeyPatch) -> None:
    class Slow(Shop):
        async def quote(self, request: VideoRequest, spec: ModelSpec) -> int | None:
            return await asyncio.get_running_loop().create_future()

    monkeypatch.setattr("bot.catalogue.QUOTE_WITHIN", 0.01)
    made = await catalogue(Slow("alpha", spec("a")))
    assert await asyncio.wait_for(made.quote("alpha", spec("a"), wish()), 5) is None


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
    assert made.ward["alpha"].paused is Failure.UNAUTHORIZED


async def test_a_list_that_nobody_can_read_keeps_no_other_from_being_read() -> None:
    class Broken(Shop):
        async def models(self) -> Sequence[ModelSpec]:
            raise KeyError("data")

    made = await catalogue(Broken("alpha"), Shop("beta", spec("b")))
    assert list(made.offers(IMAGE)) == ["beta"]
