"""What fitting a video costs and gives, beside a plain two-pass encode to the same size.

    make bench-media

Each step runs in a process of its own, so that its memory is its own. Everything is local; it takes minutes.
"""
# ruff: noqa: PLC0415 - the process that measures a child must be small itself: a child's peak begins with it

import asyncio
import json
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parents[2]
CLIPS = {"5 s 1080p": (5, 1920, 1080), "10 s 720p": (10, 1280, 720), "30 s 1080p": (30, 1920, 1080)}
LIMITS = (10 * 2**20, 20 * 2**20)
RATE = 24
PRESET = "medium"
"""x264's own choice, for the reference."""


def make(path: str, seconds: str, width: str, height: str) -> dict[str, float]:
    """Moving gradients and noise, at a bitrate that no limit admits."""
    import av

    from bot.media._fit_streams import chain

    graph = chain(
        av.filter.Graph(),
        f"gradients=size={width}x{height}:rate={RATE}:duration={seconds}:speed=0.02:seed=7:nb_colors=6",
        "noise=alls=90:allf=u:all_seed=7",
        # Smoothed and moved along it is texture; then a camera's own noise, which no encoder can foresee.
        "gblur=sigma=1.5",
        "scroll=horizontal=0.002:vertical=0.001",
        "noise=alls=6:allf=t:all_seed=8",
        "format=yuv420p",
        "buffersink",
    )
    with av.open(path, "w") as made:
        stream = made.add_stream("libx264", RATE, {"preset": "ultrafast", "crf": "12"})
        stream.width, stream.height, stream.pix_fmt = int(width), int(height), "yuv420p"
        for number in range(int(seconds) * RATE):
            frame = graph.vpull()
            frame.pts, frame.time_base = number, Fraction(1, RATE)
            made.mux(stream.encode(frame))
        made.mux(stream.encode(None))
    return {"size": Path(path).stat().st_size}


def fit(source: str, target: str, limit: str) -> dict[str, float]:
    from bot.media import fitting
    from bot.media.child import Children

    started = time.perf_counter()
    asyncio.run(fitting.fit(Children(1), Path(source), Path(target), int(limit), lambda _: None))
    return cost(started) | {"size": Path(target).stat().st_size}


def reference(source: str, target: str, size: str, seconds: str) -> dict[str, float]:
    from av.codec.context import Flags

    started, bits = time.perf_counter(), int(int(size) * 8 / float(seconds))
    for flag in (Flags.pass1, Flags.pass2):
        encode(source, target, flag, bits)
    return cost(started) | {"size": Path(target).stat().st_size}


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


def ssim(first: str, second: str) -> dict[str, float]:
    """Both as large as the original: what a player shows."""
    import av

    with TemporaryDirectory() as folder, av.open(first) as one, av.open(second) as two:
        width, height = one.streams.video[0].width, one.streams.video[0].height
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
            for end, frame in zip(ends, pair, strict=True):
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


def cost(started: float) -> dict[str, float]:
    """Seconds, and peaks in MiB."""
    own, child = (
        resource.getrusage(who).ru_maxrss / 1024 for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    return {"seconds": time.perf_counter() - started, "own": own, "child": child}


def step(name: str, *arguments: object) -> dict[str, float]:
    command = [sys.executable, __file__, name, *map(str, arguments)]
    ran = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(ran.stdout)


def rows(folder: Path) -> Iterator[str]:
    for name, (seconds, width, height) in CLIPS.items():
        source, ours, theirs = (str(folder / file) for file in ("given.mp4", "ours.mp4", "theirs.mp4"))
        given = step("make", source, seconds, width, height)["size"] / 2**20
        for limit in LIMITS:
            a = step("fit", source, ours, limit) | step("ssim", source, ours)
            b = step("reference", source, theirs, a["size"], seconds) | step("ssim", source, theirs)
            yield (
                f"{name:<11} {given:>9.1f} {limit / 2**20:>5.0f} {a['size'] / 2**20:>6.2f} "
                f"{a['width']:>5.0f} {a['seconds']:>6.1f} {a['seconds'] / b['seconds']:>6.2f} "
                f"{a['own']:>5.0f} {a['child']:>6.0f} {a['child'] / b['own']:>6.2f} {a['ssim']:>7.4f} "
                f"{a['ssim'] / b['ssim']:>7.4f} {a['size'] / b['size']:>6.3f}"
            )


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> None:
    if len(sys.argv) > 1:
        steps = {"make": make, "fit": fit, "reference": reference, "ssim": ssim}
        say(json.dumps(steps[sys.argv[1]](*sys.argv[2:])))
        return
    say(
        f"ratios (/ref) are to two passes of libx264 {PRESET} at the same size, in the same run; sizes in MiB"
    )
    say(
        "clip        given MiB limit   size width     s   /ref   own  child   /ref    SSIM    /ref   /ref\n"
        "                                                        MiB    MiB                        size"
    )
    with TemporaryDirectory() as folder:
        for row in rows(Path(folder)):
            say(row)


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    main()
