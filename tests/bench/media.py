"""What fitting a video costs and gives, beside a plain two-pass encode to the same size.

    make bench-media

Each step runs in a process of its own, so that its memory is its own. Everything is local. It takes some five
minutes on two idle cores, and ends after eight whatever the machine does.
"""
# ruff: noqa: PLC0415 - the process that measures a child must be small itself: a child's peak begins with it

import asyncio
import json
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parents[2]
CLIPS = {"5 s 1080p": (5, 1920, 1080), "10 s 720p": (10, 1280, 720), "30 s 1080p": (30, 1920, 1080)}
LIMITS = (10 * 2**20, 20 * 2**20)
GIVEN = 2 * LIMITS[-1]
"""Bytes of each clip: what no limit admits, and no more than vendors send."""
RATE = 24
PRESET = "medium"
"""x264's own choice, for the reference."""
STEP_SECONDS, ALL_SECONDS, STARTING = 150, 480, 5
SAMPLES = 120
"""So many pictures of a clip are compared, evenly spread."""

Numbers = dict[str, float]


def make(path: str, seconds: str, width: str, height: str) -> Numbers:
    """A texture under a camera that turns and drifts, in light that changes."""
    import av

    from bot.media._streams import chain

    graph = chain(
        av.filter.Graph(),
        f"gradients=size=480x270:rate={RATE}:duration={seconds}:speed=0.03:seed=7:nb_colors=6",
        # What follows would take the transparent channel for noise too, and make all of it white.
        "format=yuv420p",
        f"scale={int(width) * 6 // 5}:{int(height) * 6 // 5}",
        "noise=alls=70:allf=u:all_seed=7",
        "avgblur=2",
        "scroll=horizontal=0.002:vertical=0.001",
        "rotate=0.1*sin(n/30):bilinear=1",
        f"crop={width}:{height}",
        # What a camera adds, which no encoder can foresee.
        "noise=alls=3:allf=t:all_seed=8",
        "buffersink",
    )
    part = Path(path).with_suffix(".part")
    with av.open(str(part), "w", format="mp4") as made:
        stream = made.add_stream("libx264", RATE, {"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = int(width), int(height), "yuv420p"
        stream.codec_context.bit_rate = int(GIVEN * 8 / float(seconds))
        for number in range(int(seconds) * RATE):
            frame = graph.vpull()
            frame.pts, frame.time_base = number, Fraction(1, RATE)
            made.mux(stream.encode(frame))
        made.mux(stream.encode(None))
    # What was made in part is no clip.
    part.replace(path)
    return {}


def fit(source: str, target: str, limit: str, seconds: str) -> Numbers:
    """In no more than so many seconds: nobody else would end its child."""
    numbers = asyncio.run(_fit(Path(source), Path(target), int(limit), float(seconds)))
    return numbers | {"size": Path(target).stat().st_size}


async def _fit(source: Path, target: Path, limit: int, within: float) -> Numbers:
    from bot.media import transcode
    from bot.media.videos import verify
    from providers.child import Children

    children = Children(1)
    # As in the bot, which has looked at the file before: nothing is imported or started for the first time.
    await verify(children, source)
    before, started = settled(), time.perf_counter()
    await transcode.transcode(children, source, target, limit, lambda _: None, seconds=within)
    seconds = time.perf_counter() - started
    grown = status("VmHWM") - before
    return {"seconds": seconds, "grown": grown, "child": peak(resource.RUSAGE_CHILDREN)}


def reference(source: str, target: str, size: str, seconds: str) -> Numbers:
    from av.codec.context import Flags

    started, bits = time.perf_counter(), int(int(size) * 8 / float(seconds))
    for flag in (Flags.pass1, Flags.pass2):
        encode(source, target, flag, bits)
    spent = time.perf_counter() - started
    return {"seconds": spent, "own": peak(resource.RUSAGE_SELF), "size": Path(target).stat().st_size}


def encode(source: str, target: str, flag: int, bits: int) -> None:
    """One pass; the encoder writes its statistics when the function's end takes it away."""
    import av

    with av.open(source) as given, av.open(target, "w", options={"movflags": "+faststart"}) as made:
        stream = made.add_stream("libx264", RATE, {"preset": PRESET, "stats": f"{target}.stats"})
        template = given.streams.video[0].codec_context
        stream.width, stream.height, stream.pix_fmt = template.width, template.height, "yuv420p"
        stream.thread_count = 2
        stream.codec_context.flags |= flag
        stream.codec_context.bit_rate = bits
        for frame in given.decode(video=0):
            frame.pict_type = 0
            made.mux(stream.encode(frame))
        made.mux(stream.encode(None))


def ssim(first: str, second: str) -> Numbers:
    """Both as large as the original: what a player shows."""
    import av

    with TemporaryDirectory() as folder, av.open(first) as one, av.open(second) as two:
        video = one.streams.video[0]
        width, height, every = video.width, video.height, max(1, video.frames // SAMPLES)
        log, graph = Path(folder, "ssim"), av.filter.Graph()
        both = graph.add("ssim", f"stats_file={log}:shortest=1")
        ends = []
        for number, given in enumerate((one, two)):
            video = given.streams.video[0]
            video.thread_type = "AUTO"
            end = graph.add(
                "buffer", f"width={video.width}:height={video.height}:pix_fmt=yuv420p:time_base=1/{RATE}"
            )
            scale = graph.add("scale", f"{width}:{height}:flags=bicubic")
            end.link_to(scale)
            scale.link_to(both, 0, number)
            ends.append(end)
        sink = graph.add("buffersink")
        both.link_to(sink)
        graph.configure()
        for number, pair in enumerate(zip(one.decode(video=0), two.decode(video=0), strict=False)):
            for end, frame in zip(ends, pair if number % every == 0 else (), strict=False):
                frame.pts, frame.time_base = number, Fraction(1, RATE)
                end.push(frame)
            drain(sink)
        for end in ends:
            end.push(None)
        drain(sink)
        del graph, both, sink, ends, end, scale
        values = [float(line.split("All:")[1].split()[0]) for line in log.read_text().splitlines()]
        return {"ssim": sum(values) / len(values), "width": two.streams.video[0].width}


def drain(sink: object) -> None:
    try:
        while True:
            sink.pull()
    except (BlockingIOError, EOFError):
        return


def settled() -> float:
    """What this process holds now, in MiB; its peak begins here, where the system can forget the last one."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    return status("VmRSS")


def status(field: str) -> float:
    """Of this process, in MiB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(f"{field}:"))


def peak(who: int) -> float:
    """In MiB."""
    return resource.getrusage(who).ru_maxrss / 1024


def left(ends: float) -> float:
    """Seconds that a step may take."""
    return max(0.0, min(STEP_SECONDS, ends - time.monotonic()))


def step(ends: float, name: str, *arguments: object) -> Numbers:
    command = [sys.executable, __file__, name, *map(str, arguments)]
    seconds = left(ends)
    ran = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True, timeout=seconds)
    return json.loads(ran.stdout)


def rows(folder: Path, ends: float) -> Iterator[str]:
    for name, (seconds, width, height) in CLIPS.items():
        source = folder / f"{name}.mp4"
        for limit in LIMITS:
            try:
                if not source.exists():
                    step(ends, "make", source, seconds, width, height)
                yield f"{name:<11} {limit >> 20:>5} {row(source, ends, seconds, limit)}"
            except subprocess.SubprocessError as error:
                why = "failed" if isinstance(error, subprocess.CalledProcessError) else "took too long"
                yield f"{name:<11} {limit >> 20:>5}  not measured: {error.cmd[2]} {why}"


def row(source: Path, ends: float, seconds: int, limit: int) -> str:
    ours, theirs = source.with_name("ours.mp4"), source.with_name("theirs.mp4")
    a = step(ends, "fit", source, ours, limit, left(ends) - STARTING) | step(ends, "ssim", source, ours)
    b = step(ends, "reference", source, theirs, a["size"], seconds) | step(ends, "ssim", source, theirs)
    return (
        f"{source.stat().st_size / 2**20:>6.1f} {a['size'] / 2**20:>6.2f} {a['width']:>6.0f} "
        f"{a['seconds']:>6.1f} {a['seconds'] / b['seconds']:>5.2f} {a['grown']:>5.1f} {a['child']:>6.0f} "
        f"{a['child'] / b['own']:>5.2f} {a['ssim']:>7.4f} {a['ssim'] / b['ssim']:>7.4f} "
        f"{a['size'] / b['size']:>6.3f}"
    )


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> None:
    if len(sys.argv) > 1:
        steps = {"make": make, "fit": fit, "reference": reference, "ssim": ssim}
        say(json.dumps(steps[sys.argv[1]](*sys.argv[2:])))
        return
    started = time.monotonic()
    say(
        f"Sizes and memory in MiB; bot: what its process grows by meanwhile. /ref: to two passes of libx264\n"
        f"{PRESET} at the same size, in the same run. SSIM over some {SAMPLES} pictures of each clip.\n\n"
        "clip        limit  given   size  width      s  /ref   bot  child  /ref    SSIM    /ref   /ref\n"
        "                                                                                         size"
    )
    with TemporaryDirectory() as folder:
        for line in rows(Path(folder), started + ALL_SECONDS):
            say(line)
    say(f"\n{time.monotonic() - started:.0f} s in all")


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    main()
