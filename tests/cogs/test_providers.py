import pytest

from bot.offers import ModelOffer
from cogs.providers import _model, _takes
from providers.options import ImageLimits, Span
from providers.specs import Mode, ModelSpec, Per, Price


@pytest.mark.parametrize(
    ("mode", "words"),
    [(Mode.IMAGE_TO_VIDEO, "takes a picture and a prompt"), (Mode.TEXT_TO_VIDEO, "takes a prompt")],
)
def test_a_model_without_options_takes_what_its_command_asks_for(mode: Mode, words: str) -> None:
    assert _takes(ModelSpec(id="m", name="Model", mode=mode)) == words


def test_a_models_options_come_with_what_they_allow() -> None:
    spec = ModelSpec(
        id="m", name="Model", mode=Mode.IMAGE_TO_VIDEO, seed=Span(low=0, high=9), end_image=ImageLimits()
    )
    assert _takes(spec) == "takes seed: 0 to 9; end picture"


@pytest.mark.parametrize(("at_least", "words"), [(False, "$0.042 a second"), (True, "from $0.042 a second")])
def test_a_price_that_is_a_minimum_is_told_as_one(words: str, *, at_least: bool) -> None:
    price = Price(usd_micros=42_000, per=Per.SECOND, at_least=at_least)
    spec = ModelSpec(id="m", name="Model", mode=Mode.TEXT_TO_VIDEO, price=price)
    offer = ModelOffer(spec, tariff=None, typical_seconds=None, measured=False)
    assert _model(offer).endswith(f"; {words}")
