import pytest

from cogs.providers import _takes
from providers.options import ImageLimits, Span
from providers.specs import Mode, ModelSpec


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
