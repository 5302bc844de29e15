from collections.abc import Sequence
from pathlib import Path

import pytest
from pydantic import ValidationError

from providers.base import Failed, Operation, Pending, Provider, ProviderConfig, Resources, Sink, Succeeded
from providers.errors import ContentRefused, Uncertain, Unreachable
from providers.http import open_session
from providers.options import Choice, SourceImage, Span
from providers.specs import Mode, ModelSpec, OptionRefused, VideoRequest
from tests.providers.conftest import Received

SPEC = ModelSpec(
    id="pan-1",
    name="Pan",
    mode=Mode.IMAGE_TO_VIDEO,
    prompt_limit=20,
    duration=Choice(values=(5, 10), default=5),
    resolution=Choice(values=("480p", "720p")),
    steps=Span(low=1, high=20, default=8),
    seed=Span(low=0, high=99),
)
PICTURE = SourceImage(data=b"picture", media_type="image/jpeg", width=1, height=1)


def request(**options: object) -> VideoRequest:
    return VideoRequest.model_validate({"model": "pan-1", "prompt": "a pan", "image": PICTURE, **options})


def test_defaults_are_filled_in_where_nothing_was_chosen() -> None:
    complete = SPEC.complete(request(steps=3, seed=0))
    assert complete == request(duration=5, steps=3, seed=0)


def picture(width: int, height: int) -> SourceImage:
    return PICTURE.model_copy(update={"width": width, "height": height})


def shaped(*ratios: str, default: str | None = "16:9") -> ModelSpec:
    return SPEC.model_copy(update={"aspect_ratio": Choice(values=ratios, default=default)})


RATIOS = ("16:9", "9:16", "1:1", "4:3", "3:4", "21:9")


@pytest.mark.parametrize(
    ("size", "ratio"),
    [
        ((1920, 1080), "16:9"),
        ((1080, 1920), "9:16"),
        ((500, 500), "1:1"),
        ((1000, 1200), "3:4"),
        ((3000, 1000), "21:9"),
        ((1, 4000), "9:16"),
    ],
)
def test_the_ratio_nearest_to_the_pictures_is_taken_where_none_was_chosen(
    size: tuple[int, int], ratio: str
) -> None:
    assert shaped(*RATIOS).complete(request(image=picture(*size))).aspect_ratio == ratio


def test_a_chosen_ratio_stays_whatever_the_picture_is() -> None:
    wish = request(image=picture(100, 300), aspect_ratio="16:9")
    assert shaped(*RATIOS).complete(wish).aspect_ratio == "16:9"


def test_a_model_without_a_default_ratio_takes_the_pictures_own() -> None:
    spec = shaped(*RATIOS, default=None)
    assert spec.complete(request(image=picture(100, 300))).aspect_ratio is None


def test_words_that_are_no_ratio_are_taken_only_where_nothing_else_is_listed() -> None:
    portrait = request(image=picture(100, 300))
    assert shaped("adaptive", "16:9", "9:16", default="adaptive").complete(portrait).aspect_ratio == "9:16"
    assert shaped("auto", "0:9", default="auto").complete(portrait).aspect_ratio == "auto"


def test_from_words_alone_a_model_has_its_usual_ratio() -> None:
    assert shaped(*RATIOS).complete(request(image=None)).aspect_ratio == "16:9"


def test_a_stored_request_is_completed_as_it_was_with_its_picture() -> None:
    wish = request(image=None).with_files({"image": picture(100, 300)})
    stored = VideoRequest.model_validate_json(wish.model_dump_json(exclude_none=True))
    spec = shaped(*RATIOS)
    assert spec.complete(stored).aspect_ratio == spec.complete(wish).aspect_ratio == "9:16"


EFFECTS = SPEC.model_copy(
    update={
        "effect": Choice(values=("snow", "fog")),
        "effect_words": {"snow": "falling snow"},
        "prompt_limit": 32,
    }
)


@pytest.mark.parametrize(
    ("prompt", "sent"),
    [
        ("a street", "a street, falling snow"),
        ("A street. ", "A street. falling snow"),
        ("Falling  snow on a street", "Falling  snow on a street"),
        ("a street, falling snow", "a street, falling snow"),
    ],
)
def test_the_words_that_an_effect_listens_to_are_in_the_prompt_once(prompt: str, sent: str) -> None:
    complete = EFFECTS.complete(request(prompt=prompt, effect="snow"))
    assert complete.prompt == sent
    assert EFFECTS.complete(complete).prompt == sent


def test_an_effect_without_words_leaves_the_prompt_alone() -> None:
    assert EFFECTS.complete(request(effect="fog")).prompt == "a pan"
    assert EFFECTS.complete(request()).prompt == "a pan"


def test_the_words_of_an_effect_count_against_the_limit() -> None:
    EFFECTS.check(request(prompt="x" * 18, effect="snow"))
    EFFECTS.check(request(prompt="x" * 32, effect="fog"))
    with pytest.raises(
        OptionRefused, match=r"up to 32 characters; yours has 33 with 'falling snow' for snow"
    ):
        EFFECTS.check(request(prompt="x" * 19, effect="snow"))


def test_a_completed_request_passes() -> None:
    SPEC.check(SPEC.complete(request()))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"prompt": "x" * 21}, "Pan takes prompts of up to 20 characters; yours has 21."),
        ({"image": None}, "Pan needs a picture."),
        ({"duration": 7}, "Pan does not take 7 as duration; it takes 5, 10."),
        ({"resolution": "4k"}, "Pan does not take 4k as resolution; it takes 480p, 720p."),
        ({"steps": 0}, "Pan does not take 0 as number of steps; it takes 1 to 20."),
        ({"steps": 21}, "Pan does not take 21 as number of steps; it takes 1 to 20."),
        ({"aspect_ratio": "16:9"}, "Pan does not let you choose the aspect ratio; leave it out."),
    ],
)
def test_a_refusal_is_a_sentence(options: dict[str, object], sentence: str) -> None:
    with pytest.raises(OptionRefused) as refusal:
        SPEC.check(request(**options))
    assert str(refusal.value) == sentence


def test_a_model_that_works_from_text_takes_no_picture() -> None:
    spec = ModelSpec(id="pan-2", name="Words", mode=Mode.TEXT_TO_VIDEO)
    spec.check(request(image=None))
    with pytest.raises(OptionRefused, match=r"^Words works from the prompt alone, without a picture\.$"):
        spec.check(request())


def test_the_limits_themselves_are_allowed() -> None:
    SPEC.check(request(prompt="x" * 20, steps=1, seed=99, duration=10))


def test_a_picture_stays_out_of_the_json_form_and_out_of_logs() -> None:
    assert "image" not in request().model_dump()
    assert "picture" not in repr(request())
    assert VideoRequest.model_validate_json(request().model_dump_json()) == request(image=None)


def test_an_unknown_option_is_refused() -> None:
    with pytest.raises(ValidationError):
        request(mood="rainy")


def test_progress_is_a_fraction() -> None:
    assert Pending(progress=50) == Pending(progress=None)


def test_a_provider_without_a_key_is_enabled() -> None:
    assert ProviderConfig().enabled


class Stumbling(Provider[ProviderConfig]):
    """Finds nothing where it looks in an answer."""

    name = "stumbling"
    label = "Stumbling"
    Config = ProviderConfig
    error: Exception = KeyError("id")

    async def models(self) -> Sequence[ModelSpec]:
        raise self.error

    async def submit(self, request: VideoRequest) -> Operation:
        raise self.error

    async def poll(self, operation: Operation) -> Pending | Succeeded | Failed:
        raise self.error

    async def download(self, operation: Operation, video: Succeeded, sink: Sink) -> None:
        raise self.error

    async def quote(self, request: VideoRequest, spec: ModelSpec) -> int | None:
        raise self.error


@pytest.mark.parametrize(
    "error",
    [KeyError("id"), TypeError(), RecursionError(), OSError("disk"), UnicodeDecodeError("u", b"", 0, 0, "")],
)
async def test_an_answer_that_a_provider_stumbles_over_is_in_doubt(error: Exception, tmp_path: Path) -> None:
    async with open_session([]) as session:
        stumbling = Stumbling(ProviderConfig(), Resources(session, tmp_path))
        stumbling.error = error
        calls = (
            stumbling.models(),
            stumbling.verify(),
            stumbling.submit(request()),
            stumbling.poll({}),
            stumbling.quote(request(), SPEC),
        )
        for call in calls:
            with pytest.raises(Uncertain, match=rf"{type(error).__name__} at test_base\.py:\d+$"):
                await call


async def test_what_is_no_answer_is_raised_as_it_is(tmp_path: Path) -> None:
    async with open_session([]) as session:
        stumbling = Stumbling(ProviderConfig(), Resources(session, tmp_path))
        for error in (ContentRefused("no"), Unreachable("down")):
            stumbling.error = error
            with pytest.raises(type(error), match=str(error)):
                await stumbling.poll({})
        stumbling.error = OSError("No space left on device")
        with pytest.raises(OSError, match="No space left"):
            await stumbling.download({}, Succeeded(), Received())


@pytest.mark.parametrize("name", ["http:\u200b//evil", "a \x1b<@1> b", "two\nlines", " \t "])
def test_a_models_name_is_plain_also_without_what_nobody_sees(name: str) -> None:
    spec = ModelSpec(id="m", name=name, mode=Mode.TEXT_TO_VIDEO)
    assert "://" not in spec.name
    assert ModelSpec.model_validate(spec.model_dump()) == spec, "and stays as it is"
