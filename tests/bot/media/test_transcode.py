import errno
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import pytest
from av.error import InvalidDataError
from av.error import MemoryError as AvMemoryError
from av.error import OSError as AvOSError
from PIL import Image

from bot.media import _probe, _transcode, transcode
from bot.media._streams import Plan, chain
from bot.media.transcode import TooMuch
from bot.media.videos import BadVideo, VideoFacts
from providers.child import ChildFailed, Children
from providers.child_wire import FileRejected, progress_writer, read_progress
from tests.bot.media.clips import HDR, NOISE, Colours, bomb, silence, turned, write
from tests.helpers import AtHome

PLENTY = 20 * 2**20


def look(path: Path) -> VideoFacts:
    return VideoFacts(**_probe.verify(path=str(path)).facts)


def fitted(source: Path, limit: int = PLENTY) -> tuple[str | None, VideoFacts]:
    """How it was made, and what every result has to be: without a child."""
    target = source.with_name("fitted.mp4")
    way = _transcode.make(source, target, limit, lambda _: None)
    facts = look(target)
    assert facts.ready
    assert target.stat().st_size <= limit
    return way, facts


def left(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def gaps(path: Path) -> set[float]:
    with av.open(str(path)) as container:
        times = [float(frame.pts * frame.time_base) for frame in container.decode(video=0)]
    return {round(after - before, 3) for before, after in pairwise(times)}


async def test_a_fit_reports_its_way_and_leaves_only_the_video(children: Children, tmp_path: Path) -> None:
    source, heard = write(tmp_path / "given.webm", "libvpx"), list[float]()
    await transcode.transcode(children, source, source, PLENTY, heard.append)
    assert look(source).codec == "h264"
    assert heard[-1] == 1.0
    assert heard == sorted(heard)
    assert left(tmp_path) == [source.name]


async def test_what_is_no_video_is_named_and_leaves_nothing(children: Children, tmp_path: Path) -> None:
    source = tmp_path / "bad.mp4"
    source.write_bytes(b"")
    with pytest.raises(BadVideo, match=r"bad\.mp4 is empty"):
        await transcode.transcode(children, source, tmp_path / "out.mp4", PLENTY)
    assert left(tmp_path) == [source.name]


async def test_a_fit_out_of_time_is_no_verdict_and_leaves_nothing(children: Children, tmp_path: Path) -> None:
    source = write(tmp_path / "given.mp4")
    with pytest.raises(ChildFailed, match="longer than"):
        await transcode.transcode(children, source, tmp_path / "out.mp4", PLENTY, seconds=0.01)
    assert left(tmp_path) == [source.name]


async def test_progress_is_told_while_the_child_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transcode, "LOOK_EVERY", 0)
    progress, heard = tmp_path / "out.progress", list[float]()
    assert read_progress(progress) == 0.0
    progress_writer(progress)(0.25)

    def stop(share: float) -> None:
        heard.append(share)
        raise BadVideo

    with pytest.raises(BadVideo):
        await transcode._watch(progress, stop)
    assert heard == [0.25]


@pytest.mark.parametrize("sound", [None, "aac"])
def test_what_discord_plays_already_is_copied(tmp_path: Path, sound: str | None) -> None:
    source = write(tmp_path / "given.mp4", sound=sound)
    way, facts = fitted(source)
    assert way == "copied"
    assert facts.audio_codec == sound
    assert facts.seconds == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize(
    ("name", "codec", "sound"),
    [
        ("hevc.mp4", "libx265", "aac"),
        ("vp9.mp4", "libvpx-vp9", None),
        ("av1.mp4", "libsvtav1", None),
        ("mpeg4.mp4", "mpeg4", None),
        ("vp8.webm", "libvpx", "libopus"),
        ("vp9.webm", "libvpx-vp9", "libopus"),
        ("h264.mkv", "libx264", None),
        ("opus.mp4", "libx264", "libopus"),
    ],
)
def test_other_codecs_and_containers_are_made_to_play(
    tmp_path: Path, name: str, codec: str, sound: str | None
) -> None:
    way, facts = fitted(write(tmp_path / name, codec, sound=sound))
    assert way == ("copied" if name == "opus.mp4" else "good")
    assert (facts.width, facts.height) == (96, 64)
    assert bool(facts.audio_codec) == bool(sound)
    assert facts.seconds == pytest.approx(0.5, abs=0.05)


def test_pictures_of_another_kind_are_converted(tmp_path: Path) -> None:
    assert fitted(write(tmp_path / "given.mp4", pixels="yuv444p"))[0] == "good"


def colour(path: Path) -> tuple[int, ...]:
    """Of the first picture, in its middle."""
    with av.open(str(path)) as container:
        frame = next(container.decode(video=0))
    kind = f"pix_fmt={frame.format.name}:colorspace={frame.colorspace}:range={frame.color_range}"
    graph = chain(
        av.filter.Graph(),
        f"buffer=video_size=96x64:time_base=1/24:{kind}",
        "scale",
        "format=rgb24",
        "buffersink",
    )
    graph.vpush(frame)
    return graph.vpull().to_image().getpixel((48, 32))


@pytest.mark.parametrize(
    ("codec", "pixels", "colours", "made"),
    [
        ("libx264", "yuvj420p", (1, 1, 1, 2), (1, 1, 1, 1)),
        ("libx264", "yuv444p", None, (2, 2, 5, 1)),
        ("libaom-av1", "gbrp", (1, 13, 0, 2), (1, 13, 1, 1)),
        ("libx265", "yuv420p10le", HDR, HDR),
        ("libsvtav1", "yuv420p10le", (1, 1, 1, 1), (1, 1, 1, 1)),
    ],
    ids=["full range", "untold", "RGB", "HDR", "10 bits"],
)
def test_colours_stay_what_they_were_and_are_told_truly(
    tmp_path: Path, codec: str, pixels: str, colours: Colours | None, made: Colours
) -> None:
    red = Image.new("RGB", (96, 64), (200, 60, 40))
    source = write(tmp_path / "given.mp4", codec, pixels=pixels, colours=colours, picture=lambda _: red)
    assert fitted(source)[0] == "good"
    assert colour(tmp_path / "fitted.mp4") == pytest.approx(colour(source), abs=3)
    with av.open(str(tmp_path / "fitted.mp4")) as container:
        told = container.streams.video[0].codec_context
        assert (told.color_primaries, told.color_trc, told.colorspace, told.color_range) == made


def test_odd_sides_are_made_even(tmp_path: Path) -> None:
    facts = fitted(write(tmp_path / "odd.mp4", "libvpx-vp9", size=(97, 65)))[1]
    assert (facts.width, facts.height) == (96, 64)


def test_uneven_timing_becomes_even(tmp_path: Path) -> None:
    source = write(tmp_path / "given.webm", "libvpx", times=[0, 1, 2, 3, 4, 20, 21, 22, 23])
    assert fitted(source)[1].seconds == pytest.approx(1.0, abs=0.1)
    assert gaps(tmp_path / "fitted.mp4") <= {0.041, 0.042}


def test_a_long_pause_is_filled_rather_than_copied(tmp_path: Path) -> None:
    assert fitted(write(tmp_path / "given.mp4", times=[0, 1, 2, 20, 21]))[0] == "good"


def test_a_file_whose_clock_begins_late_begins_at_once(tmp_path: Path) -> None:
    source = write(tmp_path / "given.webm", "libvpx", sound="libopus", first=240)
    assert fitted(source)[1].seconds == pytest.approx(0.5, abs=0.1)


def half(number: int) -> Image.Image:
    """White on the left, black on the right."""
    picture = Image.new("RGB", (96, 64), "white")
    picture.paste("black", (48, 0, 96, 64))
    return picture


def first_picture(path: Path) -> Image.Image:
    with av.open(str(path)) as container:
        frame = next(container.decode(video=0))
        return frame.to_image().rotate(frame.rotation, expand=True).convert("L")


@pytest.mark.parametrize(("codec", "way"), [("libx264", "copied"), ("mpeg4", "good")])
def test_a_video_filmed_upright_is_shown_upright(tmp_path: Path, codec: str, way: str) -> None:
    source = write(tmp_path / "given.mp4", codec, picture=half)
    assert fitted(turned(source))[0] == way
    shown = first_picture(tmp_path / "fitted.mp4")
    assert shown.size == (64, 96)
    assert shown.getpixel((32, 8)) > 200
    assert shown.getpixel((32, 88)) < 60


def test_a_video_over_the_limit_fills_it(tmp_path: Path) -> None:
    source = write(tmp_path / "given.mp4", times=list(range(48)))
    limit = source.stat().st_size * 2 // 3
    assert fitted(source, limit)[0] == "filled"
    assert (tmp_path / "fitted.mp4").stat().st_size > limit * 0.8


def test_where_bits_are_few_the_picture_shrinks(tmp_path: Path) -> None:
    source = write(tmp_path / "given.mp4", size=(320, 240), times=list(range(24)), sound="aac")
    facts = fitted(source, 20_000)[1]
    assert facts.width < 320
    assert facts.audio_codec == "aac"


@pytest.mark.parametrize("limit", [500, 2500])
async def test_what_cannot_be_made_so_small_is_too_much_and_leaves_nothing(
    tmp_path: Path, limit: int
) -> None:
    source = write(tmp_path / "given.mp4", sound="aac")
    with pytest.raises(TooMuch, match=f"given.mp4 does not go into {limit} bytes"):
        await transcode.transcode(AtHome(), source, tmp_path / "out.mp4", limit)
    assert left(tmp_path) == [source.name]


def described(width: int, height: int) -> _probe.Probe:
    return _probe.Probe(
        path=Path("x"),
        format="mp4",
        size=(width, height),
        rotation=0,
        start=0.0,
        seconds=10.0,
        rate=Fraction(24),
        frames=240,
        codec="h264",
        plain=False,
        ready=False,
        video_bytes=1,
        audio_bytes=0,
        audio=None,
    )


def test_sizes_step_down_from_what_a_phone_decodes() -> None:
    assert _transcode.ladder(described(1920, 1080))[:3] == [(1920, 1080), (1440, 810), (960, 540)]
    assert _transcode.ladder(described(3840, 2160))[0] == (1920, 1080)
    assert _transcode.ladder(described(1080, 1920))[0] == (1080, 1920)
    assert len(_transcode.ladder(described(20, 20))) == 2


MEGABYTE = 10**6


@pytest.mark.parametrize(
    ("needs", "limit", "sizes"),
    [
        (5 * MEGABYTE, 6 * MEGABYTE, ["1920 good"]),
        (9 * MEGABYTE, 7 * MEGABYTE, ["1920 good", "1920 filled"]),
        (2 * MEGABYTE, 3 * MEGABYTE, ["1920 good"]),
        (4 * MEGABYTE, 3 * MEGABYTE, ["1920 good", "1440 good"]),
        (30 * MEGABYTE, 3 * MEGABYTE, ["1920 good", "960 good", "960 filled"]),
        (30 * MEGABYTE, 1 * MEGABYTE, ["1440 good", "720 good", "720 filled"]),
    ],
    ids=["good", "filled", "calm", "calmer", "smaller", "much smaller"],
)
def test_the_picture_shrinks_only_where_its_full_size_would_be_ugly(
    monkeypatch: pytest.MonkeyPatch, needs: int, limit: int, sizes: list[str]
) -> None:
    """`needs` is what ten seconds of 1080p take at a good quality."""
    tried: list[str] = []

    def good(plan: Plan, _: object) -> int:
        width, height = plan.size or (0, 0)
        tried.append(f"{width} good")
        return needs * width * height // (1920 * 1080)

    def filled(plan: Plan, bits: int, _: object) -> int:
        tried.append(f"{plan.size[0] if plan.size else 0} filled")
        return int(bits * 10 / 8)

    monkeypatch.setattr(_transcode, "_good", good)
    monkeypatch.setattr(_transcode, "_filled", filled)
    _transcode._make(described(1920, 1080), Path("y"), limit, lambda _: None)
    assert tried == sizes


def bad(folder: Path, kind: str) -> Path:
    path = folder / f"{kind}.mp4"
    if kind == "a picture":
        NOISE.save(path, "PNG")
    elif kind == "a page":
        path.write_bytes(b"<!doctype html>")
    elif kind == "sound alone":
        with av.open(str(path), "w") as container:
            speaker = container.add_stream("aac", 48000)
            container.mux([*speaker.encode(silence(1024, 0)), *speaker.encode(None)])
    elif kind == "huge":
        write(path, size=(8208, 16), times=[0])
    elif kind == "days":
        write(path, "mpeg4", times=[0, 24 * 86400])
    elif kind == "absurd":
        bomb(path)
    else:
        data = write(path).read_bytes()
        path.write_bytes(data[: len(data) // 2])
    return path


@pytest.mark.parametrize(
    ("kind", "why"),
    [
        ("a picture", "is neither MP4 nor WebM"),
        ("a page", "is neither MP4 nor WebM"),
        ("sound alone", "no video stream|does not play"),
        ("huge", "8208 x 16 pixels"),
        ("absurd", "pixels|does not play|no frame"),
        ("days", "states a duration of 864"),
        ("cut off", "has no moov box|is cut off"),
    ],
)
def test_what_is_no_video_to_work_on(tmp_path: Path, kind: str, why: str) -> None:
    with pytest.raises(FileRejected, match=why):
        fitted(bad(tmp_path, kind))


def test_a_webm_cut_in_half_is_refused_and_its_last_picture_is_not_missed(tmp_path: Path) -> None:
    source = write(tmp_path / "given.webm", "libvpx", times=list(range(48)))
    data = source.read_bytes()
    source.write_bytes(data[: len(data) * 98 // 100])
    assert fitted(source)[1].seconds > 1.8
    source.write_bytes(data[: len(data) // 2])
    with pytest.raises(FileRejected, match="is cut off: it states 2"):
        fitted(source)


def test_memory_that_runs_out_is_no_verdict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise AvMemoryError(12, "Cannot allocate memory")

    source = write(tmp_path / "given.mp4")
    monkeypatch.setattr(_transcode.av, "open", full)
    with pytest.raises(MemoryError):
        fitted(source)


@pytest.mark.parametrize(
    ("error", "raised"),
    [
        (AvMemoryError(errno.ENOMEM, "Cannot allocate memory"), MemoryError),
        (AvOSError(errno.ENOSPC, "No space left on device"), OSError),
        (InvalidDataError(1, "Invalid data found"), FileRejected),
    ],
)
def test_what_this_machine_lacks_is_no_verdict_on_the_video(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, raised: type[Exception]
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(_transcode, "_run", fail)
    with pytest.raises(raised):
        _transcode.make(write(tmp_path / "given.mp4"), tmp_path / "out.mp4", PLENTY, lambda _: None)
