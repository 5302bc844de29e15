import io
import json
import struct
from fractions import Fraction
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace

import av
import pytest
from av.error import MemoryError as AvMemoryError
from PIL import Image

from bot.media import _probe, videos
from bot.media._boxes import check_boxes
from bot.media.videos import BadVideo, VideoFacts, recall, remember
from providers.child import ChildFailed, Children
from providers.child_wire import FileRejected

FRAMES = 24


@cache
def mp4(
    movflags: str = "",
    codec: str = "libx264",
    *,
    frames: int = FRAMES,
    picture: bool = True,
    sound: bool = False,
    x264: str = "",
) -> bytes:
    """96 x 64 pixels, by default one second of them."""
    options = {"movflags": movflags} if movflags else {}
    # FFmpeg reads the file again to move its index to the front, so that memory will not do.
    with TemporaryDirectory() as folder:
        path = Path(folder, "made.mp4")
        write(path, codec, options, frames if picture else 0, sound=sound, x264=x264)
        return path.read_bytes()


def write(path: Path, codec: str, options: dict[str, str], frames: int, *, sound: bool, x264: str) -> None:
    with av.open(str(path), "w", options=options) as container:
        if frames:
            stream = container.add_stream(codec, FRAMES, {"x264-params": x264} if x264 else {})
            stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        if sound:
            speaker = container.add_stream("aac", rate=48000, layout="mono")
            for number in range(47):
                frame = av.AudioFrame(format="fltp", layout="mono", samples=1024)
                frame.planes[0].update(bytes(4096))
                frame.sample_rate, frame.pts, frame.time_base = 48000, number * 1024, Fraction(1, 48000)
                container.mux(speaker.encode(frame))
            container.mux(speaker.encode(None))
        if frames:
            noise = Image.effect_noise((96, 64), 90).convert("RGB")
            for number in range(frames):
                container.mux(stream.encode(av.VideoFrame.from_image(noise.rotate(number * 15))))
            container.mux(stream.encode(None))


def box(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(content), name) + content


def top_level(data: bytes) -> dict[bytes, tuple[int, int]]:
    """Where each top-level box begins, and its size."""
    found, at = {}, 0
    while at < len(data):
        size, name = struct.unpack_from(">I4s", data, at)
        found[name] = (at, size)
        at += size
    return found


def look(tmp_path: Path, data: bytes) -> VideoFacts:
    """What the child would find, without a child."""
    path = tmp_path / "video.mp4"
    path.write_bytes(data)
    return VideoFacts(**_probe.verify(path=str(path)).facts)


async def test_the_facts_of_a_good_video(children: Children, tmp_path: Path) -> None:
    path = tmp_path / "good.mp4"
    path.write_bytes(mp4("faststart", sound=True))
    facts = await videos.verify(children, path)
    assert facts == VideoFacts(
        width=96,
        height=64,
        seconds=facts.seconds,
        codec="h264",
        audio_codec="aac",
        ready=True,
    )
    assert facts.seconds == pytest.approx(1.0, abs=0.02)


async def test_a_bad_video_names_the_file_and_why(children: Children, tmp_path: Path) -> None:
    path = tmp_path / "bad.mp4"
    path.write_bytes(b"<html>")
    with pytest.raises(BadVideo, match=r"bad\.mp4 is neither MP4 nor WebM: it starts with b'<html>'"):
        await videos.verify(children, path)


async def test_a_file_that_cannot_be_looked_at_is_no_verdict(children: Children, tmp_path: Path) -> None:
    with pytest.raises(ChildFailed, match="FileNotFoundError"):
        await videos.verify(children, tmp_path / "missing.mp4")


@pytest.mark.parametrize(
    ("movflags", "ready"), [("", False), ("faststart", True), ("frag_keyframe+empty_moov", False)]
)
def test_wherever_the_index_is(tmp_path: Path, movflags: str, *, ready: bool) -> None:
    facts = look(tmp_path, mp4(movflags))
    assert facts.ready is ready
    assert facts.audio_codec is None
    assert facts.seconds == pytest.approx(1.0, abs=0.05)


def test_other_codecs_are_known_by_their_own_names(tmp_path: Path) -> None:
    facts = look(tmp_path, mp4("faststart", codec="mpeg4"))
    assert (facts.codec, facts.ready) == ("mpeg4", False)


@pytest.mark.parametrize("x264", ["qp=0", "level=60", "tff=1"], ids=["lossless", "8K", "interlaced"])
def test_h264_that_few_players_know_is_not_ready(tmp_path: Path, x264: str) -> None:
    facts = look(tmp_path, mp4("faststart", x264=x264))
    assert (facts.codec, facts.ready) == ("h264", False)


def test_a_file_in_the_way_of_quicktime_is_not_ready(tmp_path: Path) -> None:
    data = mp4("faststart").replace(b"ftypisom", b"ftypqt  ")
    assert not look(tmp_path, data).ready


async def test_facts_are_remembered_whole_or_not_at_all(children: Children, tmp_path: Path) -> None:
    path, note = tmp_path / "video.mp4", tmp_path / "facts.json"
    path.write_bytes(mp4())
    assert recall(note) is None
    facts = await videos.verify(children, path)
    remember(facts, note)
    assert recall(note) == facts
    note.write_bytes(note.read_bytes()[:-9])
    assert recall(note) is None


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x00\x00\x00\x18ft",
        b"<!doctype html><title>502 Bad Gateway</title>" * 9,
        json.dumps({"error": {"message": "expired"}}).encode(),
        b"just some text\n" * 50,
        bytes(range(256)) * 40,
        mp4()[8:],
        b"\x00\x00\x00\x20junk" + mp4()[8:],
    ],
    ids=["empty", "a few bytes", "html", "json", "text", "bytes", "headless", "no ftyp"],
)
def test_what_is_neither_mp4_nor_webm(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(FileRejected, match=r"is neither MP4 nor WebM|is empty"):
        look(tmp_path, data)


def test_a_picture_with_another_name(tmp_path: Path) -> None:
    target = io.BytesIO()
    Image.new("RGB", (64, 64)).save(target, "PNG")
    with pytest.raises(FileRejected, match="is neither MP4 nor WebM"):
        look(tmp_path, target.getvalue())


def test_sound_alone(tmp_path: Path) -> None:
    with pytest.raises(FileRejected, match="no video stream"):
        look(tmp_path, mp4(picture=False, sound=True))


@pytest.mark.parametrize("movflags", ["", "faststart"])
@pytest.mark.parametrize("share", [0.01, 0.3, 0.5, 0.9, 0.99])
def test_a_file_that_was_cut_off(tmp_path: Path, movflags: str, share: float) -> None:
    data = mp4(movflags)
    with pytest.raises(FileRejected, match=r"is cut off|has no"):
        look(tmp_path, data[: int(len(data) * share)])
    with pytest.raises(FileRejected, match="is cut off"):
        look(tmp_path, data[:-1])


@pytest.mark.parametrize("name", [b"moov", b"mdat"])
def test_a_file_cut_between_two_boxes(tmp_path: Path, name: bytes) -> None:
    data = mp4("faststart" if name == b"mdat" else "")
    start, _ = top_level(data)[name]
    for more in (0, 4):
        with pytest.raises(FileRejected, match=f"has no {name.decode()} box"):
            look(tmp_path, data[: start + more])


@pytest.mark.parametrize("share", [0.1, 0.5, 0.8])
def test_cut_off_where_the_last_box_states_no_size(tmp_path: Path, share: float) -> None:
    """A box of size 0 runs to the end of the file, so only the packets tell that some are missing."""
    data = bytearray(mp4("faststart"))
    start, size = top_level(data)[b"mdat"]
    data[start : start + 4] = bytes(4)
    assert look(tmp_path, bytes(data)).seconds == pytest.approx(1.0, abs=0.02)
    with pytest.raises(FileRejected, match=r"is cut off|damaged packet|does not play"):
        look(tmp_path, bytes(data[: start + int(size * share)]))


def test_sizes_of_64_bits_and_padding_are_fine(tmp_path: Path) -> None:
    data = mp4("frag_keyframe+empty_moov")
    path = tmp_path / "video.mp4"
    path.write_bytes(data + struct.pack(">I4sQ", 1, b"free", 20) + b"data" + b"\0" * 7)
    assert check_boxes(path)[-1] == "free"


def test_a_box_smaller_than_its_own_header(tmp_path: Path) -> None:
    with pytest.raises(FileRejected, match="'free' box of 3 bytes"):
        look(tmp_path, box(b"ftyp", b"isom") + struct.pack(">I4s", 3, b"free") + bytes(40))


def test_boxes_with_nothing_in_them(tmp_path: Path) -> None:
    with pytest.raises(FileRejected, match="no video stream"):
        look(tmp_path, box(b"ftyp", b"isom\0\0\0\0isom") + box(b"moov", b"") + box(b"mdat", b"x" * 99))


def test_frames_that_are_noise(tmp_path: Path) -> None:
    data = bytearray(mp4())
    start, size = top_level(data)[b"mdat"]
    data[start + 8 : start + size] = b"\xa5" * (size - 8)
    with pytest.raises(FileRejected, match=r"does not play|no frame|damaged"):
        look(tmp_path, bytes(data))


def test_a_frame_with_a_hole(tmp_path: Path) -> None:
    data = bytearray(mp4(frames=1))
    start, size = top_level(data)[b"mdat"]
    data[start + size // 2 : start + size] = bytes(size - size // 2)
    with pytest.raises(FileRejected, match="damaged first frame"):
        look(tmp_path, bytes(data))


@pytest.mark.parametrize(("frames", "said"), [(0, "no frame that decodes"), (1, "no duration")])
def test_a_stream_that_gives_nothing(frames: int, said: str) -> None:
    """FFmpeg guesses what it can, so that no small file gets this far; another version may guess less."""
    video = SimpleNamespace(index=0, decode=lambda _: [SimpleNamespace(is_corrupt=False)] * frames)
    packet = SimpleNamespace(is_corrupt=False, pts=None, size=9, stream=video)
    with pytest.raises(FileRejected, match=said):
        _probe._read(SimpleNamespace(demux=lambda _: [packet, packet]), video, None)


def with_frame_time(data: bytes, ticks: int) -> bytes:
    """The same frames, each shown for so long."""
    at = data.index(b"stts") + 12
    return data[:at] + struct.pack(">I", ticks) + data[at + 4 :]


def test_frames_that_do_not_last_as_long_as_stated(tmp_path: Path) -> None:
    with pytest.raises(FileRejected, match=r"is cut off: it states 1\.00 s and has 0\."):
        look(tmp_path, with_frame_time(mp4(), 0))


def test_absurd_dimensions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_probe, "MAX_SIDE", 90)
    with pytest.raises(FileRejected, match="96 x 64 pixels"):
        look(tmp_path, mp4())


def test_memory_that_runs_out_is_no_verdict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise AvMemoryError(12, "Cannot allocate memory")

    monkeypatch.setattr(_probe.av, "open", full)
    with pytest.raises(MemoryError):
        look(tmp_path, mp4())
