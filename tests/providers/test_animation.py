"""The words, the camera, and the videos that come of them: rendered here without a child process."""

import itertools
import os
from pathlib import Path

import av
import pytest
from av.video.reformatter import ColorRange, Colorspace
from PIL import Image, ImageDraw

from providers import _animation
from providers._animation import (
    NICER,
    SMALLEST_SIDE,
    WIDEST,
    Course,
    animate,
    camera,
    course,
    frame_size,
    render,
)
from providers._local_recipe import PICTURE, PROGRESS, RECIPE, VIDEO, Recipe
from providers.child_wire import read_progress

RATIOS = [16 / 9, 9 / 16, 1, 4 / 3, 3 / 4]


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("zoom in", Course(zoom=1)),
        ("Slowly ZOOM the camera in", Course(zoom=1)),
        ("push in on her face", Course(zoom=1)),
        ("move closer", Course(zoom=1)),
        ("a close-up", Course(zoom=1)),
        ("get up close", Course(zoom=1)),
        ("zoom", Course(zoom=1)),
        ("zoom out", Course(zoom=-1)),
        ("zooming slowly out", Course(zoom=-1)),
        ("pull back to reveal the valley", Course(zoom=-1)),
        ("a wide shot", Course(zoom=-1)),
        ("pan left", Course(x=-1)),
        ("panning gently to the right", Course(x=1)),
        ("from left to right", Course(x=1)),
        ("from the right", Course(x=-1)),
        ("tilt up", Course(y=-1)),
        ("look down", Course(y=1)),
        ("from top to bottom", Course(y=1)),
        ("rising from below", Course(y=-1)),
        ("pan up", Course(y=-1)),
        ("zoom in and pan left", Course(x=-1, zoom=1)),
        ("pan right, tilt down and zoom out", Course(x=1, y=1, zoom=-1)),
        ("up and to the left", Course(x=-1, y=-1)),
        ("zoom\n  in", Course(zoom=1)),
        ("drift to the left", Course(x=-1)),
    ],
)
def test_words_name_moves(prompt: str, expected: Course) -> None:
    assert {course(prompt, seed) for seed in range(8)} == {expected}


@pytest.mark.parametrize(
    "prompt", ["", "a panda at an expanse of water", "bright lights right now", "she is upside down"]
)
def test_without_a_move_in_the_prompt_the_seed_picks_a_gentle_one(prompt: str) -> None:
    picked = {course(prompt, seed) for seed in range(8)}
    assert picked == {
        Course(zoom=1),
        *(Course(x, y, 0.3) for x, y in itertools.product((-0.5, 0.5), repeat=2)),
    }


def test_the_seed_picks_the_way_that_a_move_leaves_open() -> None:
    assert {course("pan sideways", seed) for seed in range(8)} == {Course(x=-1), Course(x=1)}
    assert {course("tilt", seed) for seed in range(8)} == {Course(y=-1), Course(y=1)}
    assert {course("zoom in and pan", seed) for seed in range(8)} == {Course(x=-1, zoom=1), Course(1, 0, 1)}
    assert {course("drift", seed) for seed in range(8)} == {
        Course(x, y, 0.3) for x, y in itertools.product((-0.5, 0.5), repeat=2)
    }
    assert {course("zoom out, floating", seed).zoom for seed in range(8)} == {-1}


def test_a_seed_always_picks_the_same_move() -> None:
    assert [course("", seed) for seed in (0, 7, 2**31 - 1)] == [
        course("", seed) for seed in (0, 7, 2**31 - 1)
    ]


def test_what_the_camera_sees_is_always_inside_the_picture_and_of_the_right_shape() -> None:
    pictures = [(1, 1), (3, 500), (2048, 7), (640, 360), (361, 643), (2048.0, 1365.0)]
    ways = [Course(*way) for way in itertools.product((-1, -0.5, 0, 0.3, 1), repeat=3)]
    for picture, ratio, way in itertools.product(pictures, RATIOS, ways):
        for step in range(0, 73, 6):
            left, top, right, bottom = camera(way, step / 72, picture, ratio)
            assert 0 <= left < right <= picture[0]
            assert 0 <= top < bottom <= picture[1]
            assert (right - left) / (bottom - top) == pytest.approx(ratio)


def test_the_camera_goes_where_its_course_says() -> None:
    def ends(way: Course) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
        boxes = (camera(way, moment, (1600, 900), 16 / 9) for moment in (0, 1))
        first, last = (((a + c) / 2, (b + d) / 2, c - a) for a, b, c, d in boxes)
        return first, last

    (x0, y0, size0), (x1, y1, size1) = ends(Course(x=-1))
    assert x1 < x0
    assert (y1, size1) == pytest.approx((y0, size0))
    (x0, y0, size0), (x1, y1, size1) = ends(Course(y=1))
    assert y1 > y0
    assert (x1, size1) == pytest.approx((x0, size0))
    (x0, y0, size0), (x1, y1, size1) = ends(Course(zoom=1))
    assert size0 == 1600
    assert size1 < 1600
    assert (x0, y0) == pytest.approx((x1, y1))
    (x0, _, size0), (x1, _, size1) = ends(Course(x=1, zoom=-1))
    assert x1 > x0
    assert size1 > size0


def test_the_camera_starts_and_ends_gently_and_never_jumps() -> None:
    lefts = [camera(Course(x=1), step / 191, (300, 200), 1)[0] for step in range(192)]
    speeds = [after - before for before, after in itertools.pairwise(lefts)]
    assert all(speed > 0 for speed in speeds)
    assert speeds[0] < max(speeds) / 20
    assert speeds[-1] < max(speeds) / 20
    changes = [abs(after - before) for before, after in itertools.pairwise(speeds)]
    assert max(changes) < max(speeds) / 20


@pytest.mark.parametrize(
    ("picture", "short_side", "ratio", "expected"),
    [
        ((2048, 1152), 288, None, (512, 288)),
        ((1152, 2048), 288, None, (288, 512)),
        ((2048, 1152), 480, None, (854, 480)),
        ((2048, 1152), 720, None, (1280, 720)),
        ((1500, 1000), 480, None, (720, 480)),
        ((2000, 1000), 720, 1.0, (720, 720)),
        ((2000, 1000), 480, 9 / 16, (480, 854)),
        ((2000, 1000), 480, 3 / 4, (480, 640)),
        ((2048, 300), 288, None, (512, 288)),
        ((300, 200), 720, None, (600, 400)),
        ((333, 201), 720, None, (666, 402)),
        ((1, 1), 720, None, (SMALLEST_SIDE, SMALLEST_SIDE)),
        ((2, 2000), 720, 16 / 9, (256, 144)),
    ],
)
def test_the_video_fits_the_picture(
    picture: tuple[int, int], short_side: int, ratio: float | None, expected: tuple[int, int]
) -> None:
    assert frame_size(picture, short_side, ratio) == expected


def test_every_frame_size_is_even_and_within_bounds() -> None:
    sides = (1, 2, 17, 199, 288, 289, 777, 2048)
    for width, height, short_side, ratio in itertools.product(sides, sides, (288, 480, 720), [None, *RATIOS]):
        size = frame_size((width, height), short_side, ratio)
        assert all(side % 2 == 0 for side in size)
        assert SMALLEST_SIDE <= min(size) <= short_side
        assert max(size) <= short_side * WIDEST + 1


def drawn(width: int = 320, height: int = 180) -> Image.Image:
    """Grey, with a red mark in the middle."""
    picture = Image.new("RGB", (width, height), (90, 90, 90))
    x, y, reach = width // 2, height // 2, min(width, height) // 6
    ImageDraw.Draw(picture).rectangle((x - reach, y - reach, x + reach, y + reach), fill=(230, 20, 20))
    return picture


def made(folder: Path, picture: Image.Image, prompt: str = "zoom in", **recipe: object) -> Path:
    """The video of a picture, as short and small as they come."""
    folder.mkdir(exist_ok=True)
    picture.save(folder / PICTURE, "PNG")
    asked = {"prompt": prompt, "seconds": 2, "short_side": 144, "ratio": None, "seed": 1, **recipe}
    (folder / RECIPE).write_text(Recipe.model_validate(asked).model_dump_json(), "utf-8")
    render(folder, lambda _: None)
    return folder / VIDEO


def seen(video: Path) -> list[Image.Image]:
    with av.open(video) as container:
        return [frame.to_image() for frame in container.decode(video=0)]


def mark(frame: Image.Image) -> tuple[int, int, int, int]:
    """Where the red mark is."""
    red, green, _ = frame.split()
    box = Image.merge("RGB", (red, red, red)).convert("L").point(lambda value: 255 * (value > 150)).getbbox()
    assert box is not None
    assert green.getpixel(((box[0] + box[2]) // 2, (box[1] + box[3]) // 2)) < 80
    return box


def test_a_video_is_what_every_player_plays(tmp_path: Path) -> None:
    video = made(tmp_path, drawn(), seconds=3)
    with av.open(video) as container:
        [stream] = container.streams
        context = stream.codec_context
        assert "mp4" in container.format.name
        assert (context.name, context.pix_fmt) == ("h264", "yuv420p")
        assert (context.width, context.height) == (256, 144)
        assert (stream.average_rate, stream.frames) == (24, 72)
        assert stream.duration * stream.time_base == 3
        assert context.colorspace == context.color_primaries == context.color_trc == Colorspace.ITU709
        assert context.color_range == ColorRange.MPEG
        frames = list(container.decode(stream))
    assert [frame.pts * frame.time_base * 24 for frame in frames] == list(range(72))
    assert sum(frame.key_frame for frame in frames) >= 2
    data = video.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")
    assert not list(tmp_path.glob("*.part"))


def test_colours_are_those_of_the_standard_that_the_file_names(tmp_path: Path) -> None:
    with av.open(made(tmp_path, Image.new("RGB", (256, 144), (255, 0, 0)))) as container:
        frame = next(container.decode(video=0))
    assert [bytes(plane)[0] for plane in frame.planes] == pytest.approx([63, 102, 240], abs=2)


def test_zooming_enlarges_and_shrinks_what_is_in_the_middle(tmp_path: Path) -> None:
    def width(frame: Image.Image) -> int:
        left, _, right, _ = mark(frame)
        return right - left

    frames = seen(made(tmp_path, drawn(), "zoom in"))
    assert width(frames[-1]) > width(frames[24]) > width(frames[0])
    frames = seen(made(tmp_path, drawn(), "zoom out"))
    assert width(frames[-1]) < width(frames[24]) < width(frames[0])


@pytest.mark.parametrize(
    ("prompt", "side", "way"), [("pan left", 0, 1), ("pan right", 0, -1), ("tilt up", 1, 1), ("down", 1, -1)]
)
def test_what_is_seen_moves_against_the_camera(tmp_path: Path, prompt: str, side: int, way: int) -> None:
    frames = seen(made(tmp_path, drawn(), prompt))
    first, middle, last = (mark(frames[number]) for number in (0, 24, 47))
    assert (last[side] - middle[side]) * way > 3
    assert (middle[side] - first[side]) * way > 3
    assert abs(last[1 - side] - first[1 - side]) <= 1


def test_motion_is_smooth_below_a_pixel(tmp_path: Path) -> None:
    def centre(frame: av.VideoFrame) -> float:
        plane = frame.planes[0]
        row = bytes(plane)[72 * plane.line_size :][: frame.width]
        weights = [abs(value - row[-1]) if abs(value - row[-1]) > 3 else 0 for value in row]
        return sum(place * weight for place, weight in enumerate(weights)) / sum(weights)

    with av.open(made(tmp_path, drawn(), "pan right", seconds=4)) as container:
        places = [centre(frame) for frame in container.decode(video=0)]
    for number, place in enumerate(places):
        left, _, right, _ = camera(Course(x=1), number / 95, (320, 180), 16 / 9)
        assert place == pytest.approx(256 * (160.5 - left) / (right - left) - 0.5, abs=0.4)
    steps = [before - after for before, after in itertools.pairwise(places)]
    assert sum(0.1 < step < 0.9 for step in steps) > len(steps) * 0.7


def test_a_recipe_always_gives_the_same_video_and_another_seed_another(tmp_path: Path) -> None:
    first = made(tmp_path / "first", drawn(), "", seed=5).read_bytes()
    again = made(tmp_path / "again", drawn(), "", seed=5).read_bytes()
    other = made(tmp_path / "other", drawn(), "", seed=6).read_bytes()
    assert first == again
    assert first != other


@pytest.mark.parametrize(
    ("size", "recipe", "expected"),
    [
        ((1, 1), {}, (144, 144)),
        ((181, 321), {}, (144, 256)),
        ((640, 360), {"ratio": 1.0}, (144, 144)),
        ((333, 255), {"ratio": 9 / 16}, (144, 256)),
        ((500, 3), {"ratio": 4 / 3}, (192, 144)),
    ],
)
def test_pictures_of_any_shape_become_videos(
    tmp_path: Path, size: tuple[int, int], recipe: dict[str, float], expected: tuple[int, int]
) -> None:
    frames = seen(made(tmp_path, Image.new("RGB", size, "teal"), "pan right and tilt up", **recipe))
    assert len(frames) == 48
    assert {frame.size for frame in frames} == {expected}


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "L", "1", "CMYK", "I;16"])
def test_pictures_of_any_mode_become_videos(tmp_path: Path, mode: str) -> None:
    kind = "JPEG" if mode == "CMYK" else "PNG"
    Image.new(mode, (40, 40)).save(tmp_path / PICTURE, kind)
    assert _animation._load(tmp_path / PICTURE).mode == "RGB"


def test_behind_a_transparent_picture_is_paper(tmp_path: Path) -> None:
    Image.new("RGBA", (40, 40), (0, 0, 0, 0)).save(tmp_path / PICTURE, "PNG")
    assert _animation._load(tmp_path / PICTURE).getpixel((0, 0)) == (255, 255, 255)


def test_a_picture_with_too_many_pixels_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_animation, "MAX_PIXELS", 1000)
    with pytest.raises(ValueError, match="more than 1000 pixels"):
        made(tmp_path, drawn())
    assert not (tmp_path / VIDEO).exists()


def test_the_task_renders_a_folder_behind_others_and_reports(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nice: list[int] = []
    monkeypatch.setattr(os, "nice", nice.append)
    made(tmp_path, drawn()).unlink()
    assert animate(folder=str(tmp_path)) == ({}, ())
    assert (tmp_path / VIDEO).exists()
    assert read_progress(tmp_path / PROGRESS) == 1.0
    assert nice == [NICER]
