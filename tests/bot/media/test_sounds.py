import io

import av
import pytest

from bot.errors import BadRequest, NotNow
from bot.media import _decode_sound, sounds
from providers.child import Children
from providers.child_wire import FileRejected
from providers.options import AudioLimits, SourceAudio
from providers.specs import Mode, ModelSpec, OptionRefused, VideoRequest
from tests.helpers import wav
from tests.vendors.faults import sample_video

RATE = 16_000
FRAME = 576


def mp3(seconds: float = 1, kind: str = "mp3") -> bytes:
    """Silence as MP3, in a file of its own or in another container."""
    file = io.BytesIO()
    with av.open(file, "w", format=kind) as container:
        stream = container.add_stream("mp3", rate=RATE)
        stream.layout = "mono"
        for start in range(0, round(seconds * RATE), FRAME):
            frame = av.AudioFrame(format="s16p", layout="mono", samples=FRAME)
            frame.sample_rate, frame.pts = RATE, start
            frame.planes[0].update(bytes(FRAME * 2))
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return file.getvalue()


def unknown_wav(tag: int) -> bytes:
    """A WAV whose header names a format that no decoder knows."""
    whole = wav(1)
    return whole[:20] + tag.to_bytes(2, "little") + whole[22:]


def kind_and_length(data: bytes) -> tuple[object, object]:
    facts = _decode_sound.probe(data).facts
    return facts["media_type"], facts["seconds"]


def test_a_wav_is_told_by_its_content() -> None:
    assert kind_and_length(wav(2)) == ("audio/wav", pytest.approx(2))


@pytest.mark.parametrize("data", [mp3(2), mp3(2)[mp3(2).index(b"\xff\xf3") :]], ids=["tagged", "bare"])
def test_an_mp3_is_told_by_its_content(data: bytes) -> None:
    assert kind_and_length(data) == ("audio/mpeg", pytest.approx(2, abs=0.1))


def test_what_is_missing_of_a_cut_wav_does_not_count() -> None:
    whole = wav(2)
    assert kind_and_length(whole[: len(whole) // 2]) == ("audio/wav", pytest.approx(1, abs=0.1))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"ID3",
        b"Not a note of music in here.\n" * 200,
        sample_video(),
        mp3(kind="mp4"),
        mp3(kind="avi"),
        wav(0),
        wav(1)[:30],
        unknown_wav(0x1234),
        unknown_wav(0),
        unknown_wav(0xFFFE),
    ],
    ids=[
        "empty",
        "tag alone",
        "text",
        "MP4",
        "MP4 with MP3",
        "AVI with MP3",
        "WAV without sound",
        "half a header",
        "WAV of an unknown format",
        "WAV of no format",
        "WAV of a format that it does not name",
    ],
)
def test_whatever_is_no_sound_file_is_refused(data: bytes) -> None:
    with pytest.raises(FileRejected, match=r"Attach an MP3 or WAV file; nothing was charged\."):
        _decode_sound.probe(data)


async def test_a_sound_file_is_handed_on_as_it_came(children: Children) -> None:
    data = wav(1)
    assert await sounds.prepare(children, data) == SourceAudio(data=data, media_type="audio/wav", seconds=1)


async def test_a_refusal_reaches_the_member(children: Children) -> None:
    with pytest.raises(BadRequest, match="not a sound file I can use"):
        await sounds.prepare(children, sample_video())


async def test_a_child_that_dies_over_it_is_a_file_that_cannot_be_read(
    children: Children, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sounds, "SECONDS", 0.01)
    with pytest.raises(BadRequest, match="could not be read"):
        await sounds.prepare(children, wav(1))
    assert "took longer than 0.01 s" in caplog.text


async def test_a_bot_that_stops_says_so(children: Children) -> None:
    await children.close()
    with pytest.raises(NotNow, match="I am restarting"):
        await sounds.prepare(children, wav(1))


LIMITS = AudioLimits(max_bytes=2_000_000, max_seconds=30, media_types=("audio/wav", "audio/mpeg"))
SPEC = ModelSpec(id="m", name="Model", mode=Mode.TEXT_TO_VIDEO, audio_file=LIMITS)


def wish(**facts: object) -> VideoRequest:
    file = {"data": b"", "media_type": "audio/wav", "seconds": 30, **facts}
    return VideoRequest.model_validate({"model": "m", "prompt": "waves", "audio_file": file})


def test_a_sound_within_the_models_limits_is_taken() -> None:
    SPEC.check(wish())
    SPEC.check(wish(media_type="audio/mpeg", data=bytes(2_000_000)))


@pytest.mark.parametrize(
    "facts",
    [{"seconds": 30.1}, {"data": bytes(2_000_001)}, {"media_type": "audio/ogg"}],
    ids=["too long", "too large", "of another kind"],
)
def test_a_sound_beyond_the_models_limits_is_refused_in_words(facts: dict[str, object]) -> None:
    with pytest.raises(OptionRefused) as refused:
        SPEC.check(wish(**facts))
    assert str(refused.value) == (
        "Model does not take this as sound file; it takes WAV or MP3 of up to 30 seconds and 2 MB."
    )
