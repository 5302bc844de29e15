"""What `providers.local` does in a child process: a camera that moves over a picture, encoded as H.264.

Reads the folder's recipe and picture, writes its video, and the share done as it goes. The camera is pure:
words become a `Course`, a course and a moment become a `Box` in the picture.
"""

import os
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TypeAlias

import av
from av.video.reformatter import ColorRange, Colorspace
from PIL import Image

from providers._local_recipe import PICTURE, PROGRESS, RECIPE, VIDEO, Recipe
from providers.child_wire import Answer, progress_writer

Box: TypeAlias = tuple[float, float, float, float]
"""Left, top, right, bottom, in fractions of pixels: whole pixels would make slow moves jump."""

FPS = 24
MAX_PIXELS = 40_000_000
NICER = 5
"""Than other children: somebody waits for those."""

WIDEST = 16 / 9
"""Pictures beyond it, either way up, are cropped: players show them as a thin strip."""
SMALLEST_SIDE = 144
"""Pixels. Thumbnails are enlarged to this, and others to at most twice their size."""
ZOOM, REACH = 1.2, 0.2
"""The camera's middle distance, and how far a zoom goes to either side of it."""
TRAVEL = 0.5
"""The longest way over a picture, in widths of what the camera sees: more is a blur, not a pan."""
SUPERSAMPLING = 2
"""Source pixels per pixel of the video: near 1 the picture would shimmer as its pixels pass each other."""

_GAP = r"(?: (?:\w+ly|the|a|bit|little|camera|view|shot|it))*"
_HEARD: tuple[tuple[str, str, int], ...] = (
    # The longer phrases first: they swallow words that mean something else alone.
    (r"right (?:now|away)|upside down", "", 0),
    (r"from (?:the )?left", "x", 1),
    (r"from (?:the )?right", "x", -1),
    (r"from (?:above|the top|top)", "y", 1),
    (r"from (?:below|the bottom|bottom)", "y", -1),
    (rf"(?:zoom|push|mov|dolly|dolli)(?:e|s|es|ed|ing)?{_GAP} (?:in|into|inwards?)", "zoom", 1),
    (
        rf"(?:zoom|push|pull|mov|dolly|dolli)(?:e|s|es|ed|ing)?{_GAP} (?:out|outwards?|back|backwards?|away)",
        "zoom",
        -1,
    ),
    (r"closer|close[- ]?ups?|up close|nearer|approach(?:es|ing)?|forwards?|inwards?", "zoom", 1),
    (r"wide|wider|widen(?:s|ing)?|farther|further|backwards?|outwards?|reveal(?:s|ing)?", "zoom", -1),
    (r"left(?:wards?)?", "x", -1),
    (r"right(?:wards?)?", "x", 1),
    (r"up(?:wards?)?|rise|rises|rising|ascend(?:s|ing)?|skywards?", "y", -1),
    (r"down(?:wards?)?|descend(?:s|ing)?|lower(?:s|ing)?", "y", 1),
    (r"pan(?:s|ned|ning)?|sideways|slid(?:e|es|ing)|across|horizontal(?:ly)?", "x", 0),
    (r"tilt(?:s|ed|ing)?|vertical(?:ly)?", "y", 0),
    (r"zoom(?:s|ed|ing)?", "zoom", 0),
    (r"drift(?:s|ed|ing)?|float(?:s|ed|ing)?|ken burns", "drift", 0),
)
_WORDS = re.compile(r"\b(?:" + "|".join(f"({words})" for words, _, _ in _HEARD) + r")\b", re.IGNORECASE)


@dataclass(frozen=True)
class Course:
    """Where the camera goes, each from -1 to 1: rightwards, downwards, closer."""

    x: float = 0
    y: float = 0
    zoom: float = 0


def course(prompt: str, seed: int) -> Course:
    """The move that a prompt names; the seed decides what it leaves open.

    The last word on a direction counts, so that "from left to right" goes right. A move without a direction
    ("pan") only counts where no direction is named ("pan up").
    """
    sideways, upright = (1 if seed & 1 else -1), (1 if seed & 2 else -1)
    heard = _hear(prompt) or {"drift" if seed & 4 else "zoom": 0}
    x, y = float(heard.get("x", 0)), float(heard.get("y", 0))
    zoom = float(heard["zoom"] or 1) if "zoom" in heard else 0.0
    if x or y:
        return Course(x, y, zoom)
    if "x" in heard or "y" in heard:
        return Course(sideways if "x" in heard else 0, upright if "y" in heard else 0, zoom)
    if "drift" in heard:
        return Course(sideways / 2, upright / 2, zoom or 0.3)
    return Course(zoom=zoom)


def _hear(prompt: str) -> dict[str, int]:
    """Axes to ways, 0 where the prompt names the axis without a way."""
    heard: dict[str, int] = {}
    for found in _WORDS.finditer(" ".join(prompt.split())):
        _, axis, way = _HEARD[(found.lastindex or 0) - 1]
        if axis and (way or axis not in heard):
            heard[axis] = way
    return heard


def camera(way: Course, moment: float, picture: tuple[float, float], ratio: float) -> Box:
    """What the camera sees at a moment from 0 to 1: a box of this ratio, always inside the picture."""
    start = _view(Course(-way.x, -way.y, -way.zoom), picture, ratio)
    end = _view(way, picture, ratio)
    eased = moment * moment * (3 - 2 * moment)
    left, top, right, bottom = (a + (b - a) * eased for a, b in zip(start, end, strict=True))
    # Between two boxes inside a picture every box is inside; only rounding may be a hair off.
    return max(0.0, left), max(0.0, top), min(picture[0], right), min(picture[1], bottom)


def _view(at: Course, picture: tuple[float, float], ratio: float) -> Box:
    """The box at one end of a course."""
    width, height = (side / (ZOOM + REACH * at.zoom) for side in _fit(picture, ratio))
    x = (picture[0] + at.x * min(picture[0] - width, TRAVEL * width)) / 2
    y = (picture[1] + at.y * min(picture[1] - height, TRAVEL * height)) / 2
    return x - width / 2, y - height / 2, x + width / 2, y + height / 2


def _fit(picture: tuple[float, float], ratio: float) -> tuple[float, float]:
    """The largest size of this ratio inside a picture."""
    width = min(picture[0], picture[1] * ratio)
    return width, width / ratio


def frame_size(picture: tuple[int, int], short_side: int, ratio: float | None) -> tuple[int, int]:
    """The video's size: even, as H.264 wants it, and not much larger than what the picture has to show."""
    own = min(WIDEST, max(1 / WIDEST, picture[0] / picture[1]))
    ratio = own if ratio is None else ratio
    short = min(short_side, max(SMALLEST_SIDE, 2 * min(_fit(picture, ratio))))
    return _even(short * max(1, ratio)), _even(short * max(1, 1 / ratio))


def _even(side: float) -> int:
    return 2 * round(side / 2)


def animate(*, folder: str) -> Answer:
    """The child's task."""
    # Windows has no such thing.
    with suppress(AttributeError):
        os.nice(NICER)
    render(Path(folder), progress_writer(Path(folder, PROGRESS)))
    return Answer({})


def render(folder: Path, report: Callable[[float], None]) -> None:
    """Make the video of a folder; `report` hears the share of frames that are done."""
    recipe = Recipe.model_validate_json((folder / RECIPE).read_bytes())
    picture = _load(folder / PICTURE)
    size = frame_size(picture.size, recipe.short_side, recipe.ratio)
    picture = _shrink(picture, size)
    part = folder / f"{VIDEO}.part"
    _encode(part, picture, size, recipe, report)
    part.replace(folder / VIDEO)


def _load(path: Path) -> Image.Image:
    with Image.open(path, formats=("JPEG", "PNG", "WEBP", "GIF")) as picture:
        if picture.width * picture.height > MAX_PIXELS:
            raise ValueError(f"the picture has more than {MAX_PIXELS} pixels")
        if not picture.has_transparency_data:
            return picture.convert("RGB")
        paper = Image.new("RGBA", picture.size, "white")
        return Image.alpha_composite(paper, picture.convert("RGBA")).convert("RGB")


def _shrink(picture: Image.Image, size: tuple[int, int]) -> Image.Image:
    """Once, what would otherwise be scaled down anew for each frame."""
    seen, _ = _fit(picture.size, size[0] / size[1])
    scale = SUPERSAMPLING * size[0] / seen
    if scale >= 1:
        return picture
    width, height = (max(1, round(side * scale)) for side in picture.size)
    return _resize(picture, (width, height))


def _resize(picture: Image.Image, size: tuple[int, int], box: Box | None = None) -> Image.Image:
    return picture.resize(size, Image.Resampling.LANCZOS, box)  # pyright: ignore[reportUnknownMemberType] - names numpy, which we lack


def _encode(
    path: Path, picture: Image.Image, size: tuple[int, int], recipe: Recipe, report: Callable[[float], None]
) -> None:
    way = course(recipe.prompt, recipe.seed)
    count = recipe.seconds * FPS
    with av.open(path, "w", format="mp4", options={"movflags": "+faststart"}) as container:
        add = container.add_stream  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType] - its **kwargs have no type
        stream = add("libx264", FPS, {"preset": "veryfast", "crf": "19"})
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        stream.gop_size = 2 * FPS
        # Several renders share the machine with the bot, and memory is limited.
        stream.thread_count = 2
        context = stream.codec_context
        context.time_base = Fraction(1, FPS)
        context.colorspace = context.color_primaries = context.color_trc = Colorspace.ITU709
        context.color_range = ColorRange.MPEG
        for number in range(count):
            box = camera(way, number / (count - 1), picture.size, size[0] / size[1])
            image = _resize(picture, size, box)
            frame = av.VideoFrame.from_bytes(image.tobytes("raw", "RGBX"), *size)
            frame = frame.reformat(format="yuv420p", dst_colorspace=Colorspace.ITU709)
            frame.pts, frame.time_base = number, Fraction(1, FPS)
            container.mux(stream.encode(frame))
            report((number + 1) / count)
        container.mux(stream.encode())
