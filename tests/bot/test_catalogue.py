from collections.abc import Sequence

import pytest

from bot.catalogue import Catalogue
from bot.errors import BadRequest, NotNow
from providers.base import Failed, Operation, Pending, Provider, ProviderConfig, Resources, Sink, Succeeded
from providers.errors import Unreachable
from providers.options import SourceImage
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

    async def models(self) -> Sequence[ModelSpec]:
        if self.closed:
            raise Unreachable("closed")
        return self.specs

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
