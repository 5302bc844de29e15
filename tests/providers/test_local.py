import asyncio
import os
import signal
import sys
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from errno import ENOSPC
from io import BytesIO
from pathlib import Path

import av
import pytest
from PIL import Image, ImageDraw
from pydantic import ValidationError

import providers.local
from providers._local_recipe import VIDEO, Recipe
from providers.base import Failed, Pending, Resources, Succeeded
from providers.child_wire import Answer, pack_answer
from providers.errors import InvalidRequest, NotFound, Unreachable, Unusable
from providers.local import CHUNK, Local, LocalConfig, _forget_old
from providers.options import SourceImage
from providers.specs import OptionRefused, VideoRequest
from tests.helpers import eventually
from tests.providers.conftest import Received, no_more_files

UNKNOWN = {"id": "11111111-2222-3333-4444-555555555555"}


def drawn(width: int, height: int) -> SourceImage:
    picture = Image.linear_gradient("L").resize((width, height)).convert("RGB")
    ImageDraw.Draw(picture).ellipse((width // 3, height // 3, width // 2, height // 2), fill="red")
    file = BytesIO()
    picture.save(file, "PNG")
    return SourceImage(data=file.getvalue(), media_type="image/png", width=width, height=height)


SMALL = VideoRequest(
    model="pan-and-zoom", prompt="zoom in", image=drawn(128, 72), duration=2, resolution="288p"
)
LARGE = VideoRequest(
    model="pan-and-zoom", prompt="zoom in", image=drawn(640, 360), duration=8, resolution="720p"
)
STALLS = "for folder in {renders}/*; do echo 0.25 > $folder/progress; done; exec cat > /dev/null"
"""What a child does that a test finds in the middle: it has said how far it is and ends with its parent."""
ANSWERS = "cat {answer}"


@pytest.fixture
def own(resources: Resources) -> Resources:
    """A folder that does not exist yet."""
    return replace(resources, folder=resources.folder / "renders" / "local")


@pytest.fixture
def child_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, own: Resources) -> Callable[[str], None]:
    """Put a line of shell in place of the renderer: what is not about videos need not make any."""
    if sys.platform == "win32":
        pytest.skip("there is no such shell")

    (answer := tmp_path / "answer").write_bytes(pack_answer(Answer({})))

    def put(line: str) -> None:
        script = tmp_path / "child"
        script.write_text(f"#!/bin/sh\n{line.format(renders=own.folder, answer=answer)}\n")
        script.chmod(0o700)
        monkeypatch.setattr(sys, "executable", str(script))

    return put


@pytest.fixture
def stalled(child_is: Callable[[str], None]) -> None:
    child_is(STALLS)


@asynccontextmanager
async def opened(resources: Resources, config: LocalConfig | None = None) -> AsyncIterator[Local]:
    local = Local(config or LocalConfig(), resources)
    try:
        yield local
    finally:
        await local.close()


@pytest.fixture
async def local(own: Resources) -> AsyncIterator[Local]:
    async with opened(own) as local:
        yield local


async def over(local: Local, operation: dict[str, object]) -> Succeeded | Failed:
    async def verdict() -> Succeeded | Failed | None:
        found = await local.poll(operation)
        return None if isinstance(found, Pending) else found

    return await eventually(verdict)


async def failure_of(local: Local, operation: dict[str, object]) -> str:
    found = await over(local, operation)
    assert isinstance(found, Failed)
    return found.detail


async def under_way(local: Local, operation: dict[str, object]) -> float:
    async def progress() -> float | None:
        found = await local.poll(operation)
        assert isinstance(found, Pending)
        return found.progress

    return await eventually(progress)


def pids(local: Local) -> list[int]:
    return [process.pid for process in local._children._running]


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def environment_of(pid: int) -> bytes:
    return Path(f"/proc/{pid}/environ").read_bytes()


def status_of(pid: int) -> str:
    return Path(f"/proc/{pid}/status").read_text()


async def test_a_video_is_made(local: Local, own: Resources, sink: Received) -> None:
    operation = await local.submit(SMALL)
    assert await over(local, operation) == Succeeded()

    await local.download(operation, Succeeded(), sink)
    with av.open(BytesIO(sink.data)) as container:
        [stream] = container.streams
        assert (stream.codec_context.width, stream.codec_context.height) == (256, 144)
        assert container.duration == 2_000_000
    async with opened(own) as after_a_restart:
        assert await after_a_restart.poll(operation) == Succeeded()
        assert not after_a_restart._renders

    await local.cleanup(operation)
    assert not list(own.folder.iterdir())
    with pytest.raises(NotFound):
        await local.poll(operation)
    with pytest.raises(NotFound):
        await local.download(operation, Succeeded(), sink)


async def test_progress_is_what_the_child_says(local: Local, stalled: None) -> None:
    assert await under_way(local, await local.submit(LARGE)) == 0.25


async def test_a_render_lost_in_a_restart_is_made_again(
    own: Resources, child_is: Callable[[str], None]
) -> None:
    child_is(STALLS)
    async with opened(own) as before:
        operation = await before.submit(SMALL)
        await under_way(before, operation)
    child_is(ANSWERS)
    async with opened(own) as after:
        first, second = await asyncio.gather(after.poll(operation), after.poll(operation))
        assert first == second == Pending(progress=0)
        assert len(after._renders) == 1
        assert await over(after, operation) == Succeeded()


async def test_a_cancelled_render_leaves_nothing_behind(local: Local, own: Resources, stalled: None) -> None:
    operation = await local.submit(LARGE)
    await under_way(local, operation)
    [child] = pids(local)
    await local.cancel(operation)
    assert not is_alive(child)
    assert not list(own.folder.iterdir())
    with pytest.raises(NotFound):
        await local.poll(operation)
    await local.cancel(operation)
    await local.cleanup(operation)


async def test_a_render_may_be_cancelled_before_it_has_begun(
    local: Local, own: Resources, stalled: None
) -> None:
    await local.cancel(await local.submit(LARGE))
    assert not list(own.folder.iterdir())


async def test_closing_ends_every_child_and_is_no_verdict(own: Resources, stalled: None) -> None:
    local = Local(LocalConfig(), own)
    operations = [await local.submit(LARGE), await local.submit(LARGE)]
    for operation in operations:
        await under_way(local, operation)
    children = pids(local)
    assert len(children) == 2
    await local.close()
    assert not any(map(is_alive, children))
    with pytest.raises(Unreachable):
        await local.poll(operations[0])
    with pytest.raises(Unreachable):
        await local.submit(SMALL)
    assert len(list(own.folder.iterdir())) == 2
    await local.close()


async def test_a_killed_child_is_a_failure(local: Local, stalled: None) -> None:
    operation = await local.submit(LARGE)
    await under_way(local, operation)
    os.kill(*pids(local), signal.SIGKILL)
    assert "ended with SIGKILL" in await failure_of(local, operation)


async def test_a_failure_carries_the_last_words_of_the_child(local: Local) -> None:
    broken = SourceImage(data=b"no picture", media_type="image/png", width=128, height=72)
    operation = await local.submit(SMALL.model_copy(update={"image": broken}))
    detail = await failure_of(local, operation)
    assert "PIL.UnidentifiedImageError: cannot identify image file" in detail
    assert await local.poll(operation) == Failed(detail=detail)


async def test_a_render_that_takes_too_long_is_a_failure(
    local: Local, stalled: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(providers.local, "TIME_LIMIT", 0.05)
    assert "took longer than 0.05 s" in await failure_of(local, await local.submit(LARGE))
    assert not pids(local)


async def test_a_child_that_does_not_start_is_a_failure(
    local: Local, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "no-python"))
    assert "could not start" in await failure_of(local, await local.submit(SMALL))


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="needs /proc")
async def test_the_child_is_given_no_keys(
    local: Local, stalled: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VENICE_API_KEY", "made-up")
    operation = await local.submit(LARGE)
    await under_way(local, operation)
    with suppress(PermissionError):  # the child is hidden even from its own user
        assert b"made-up" not in environment_of(*pids(local))


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")
async def test_the_child_can_reach_nothing_that_it_does_not_need(local: Local) -> None:
    operation = await local.submit(LARGE)
    await under_way(local, operation)
    status = status_of(*pids(local))
    assert "NoNewPrivs:\t1" in status
    assert "Seccomp:\t2" in status


async def test_a_submit_that_is_cancelled_leaves_nothing_behind(
    local: Local, own: Resources, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go_on = threading.Event(), threading.Event()
    save = providers.local._save

    def slow_save(folder: Path, recipe: Recipe, picture: bytes) -> None:
        begun.set()
        go_on.wait(10)
        save(folder, recipe, picture)

    monkeypatch.setattr(providers.local, "_save", slow_save)
    submitting = asyncio.create_task(local.submit(SMALL))
    await eventually(begun.is_set)
    submitting.cancel()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await submitting
    assert not list(own.folder.iterdir())
    assert not local._renders


async def test_a_full_disk_is_an_outage_that_bought_nothing(own: Resources) -> None:
    own.folder.parent.write_text("in the way")
    async with opened(own) as local:
        with pytest.raises(Unreachable):
            await local.submit(SMALL)
        assert not local._renders


async def test_without_a_file_to_open_nothing_was_bought(local: Local) -> None:
    with no_more_files(), pytest.raises(Unreachable):
        await local.submit(SMALL)
    assert not local._renders


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (OSError(ENOSPC, "No space left on device"), Unreachable),
        (RuntimeError("can't start new thread"), Unreachable),
        (MemoryError(), Unreachable),
        (UnicodeEncodeError("utf-8", "\ud83d", 0, 1, "surrogates not allowed"), InvalidRequest),
    ],
)
async def test_whatever_goes_wrong_here_nothing_was_bought(
    local: Local, monkeypatch: pytest.MonkeyPatch, error: Exception, kind: type[Exception]
) -> None:
    def fails(*_: object) -> None:
        raise error

    monkeypatch.setattr(providers.local, "_save", fails)
    with pytest.raises(kind):
        await local.submit(SMALL)
    assert not local._renders


async def test_a_child_that_cannot_start_just_now_is_started_by_a_later_look(
    local: Local, child_is: Callable[[str], None]
) -> None:
    child_is(ANSWERS)
    operation = await local.submit(SMALL)

    async def is_scarce() -> bool:
        try:
            return not isinstance(await local.poll(operation), Pending)
        except Unreachable:
            return True

    with no_more_files():
        await eventually(is_scarce)
    assert isinstance(await over(local, operation), Succeeded)


@pytest.mark.parametrize("operation", [{}, {"id": 7}, {"id": "../../etc"}, UNKNOWN])
async def test_an_operation_from_elsewhere_is_not_found(
    local: Local, operation: dict[str, object], sink: Received
) -> None:
    with pytest.raises(NotFound):
        await local.poll(operation)
    with pytest.raises(NotFound):
        await local.download(operation, Succeeded(), sink)
    await local.cancel(operation)
    await local.cleanup(operation)


async def test_a_download_up_to_the_size_limit_comes_as_a_whole_and_none_above_it(own: Resources) -> None:
    folder = own.folder / UNKNOWN["id"]
    folder.mkdir(parents=True)
    (folder / VIDEO).write_bytes(b"x" * (CHUNK + 1))
    sink = Received()
    async with opened(replace(own, max_video_bytes=CHUNK + 1)) as local:
        await local.download(UNKNOWN, Succeeded(), sink)
    assert sink.data == b"x" * (CHUNK + 1)
    async with opened(replace(own, max_video_bytes=CHUNK)) as local:
        with pytest.raises(Unusable):
            await local.download(UNKNOWN, Succeeded(), sink)


async def test_without_a_picture_there_is_nothing_to_animate(local: Local) -> None:
    with pytest.raises(InvalidRequest):
        await local.submit(SMALL.model_copy(update={"image": None}))


@pytest.fixture
def recipe_of(local: Local) -> Callable[..., Recipe]:
    def read(**options: object) -> Recipe:
        unset = {"duration": None, "resolution": None}
        return local._recipe(SMALL.model_copy(update=unset | options))

    return read


def test_what_a_person_leaves_out_is_filled_in(recipe_of: Callable[..., Recipe]) -> None:
    recipe = recipe_of()
    assert (recipe.prompt, recipe.seconds, recipe.short_side, recipe.ratio) == ("zoom in", 3, 480, None)
    assert len({recipe_of().seed for _ in range(20)}) > 1


def test_what_a_person_chooses_is_kept(recipe_of: Callable[..., Recipe]) -> None:
    recipe = recipe_of(duration=8, resolution="720p", aspect_ratio="9:16", seed=0)
    assert recipe == Recipe(prompt="zoom in", seconds=8, short_side=720, ratio=9 / 16, seed=0)


async def test_the_settings_decide_what_is_offered(own: Resources) -> None:
    async with opened(own, LocalConfig(resolutions=("288p",))) as local:
        [spec] = await local.models()
        assert spec.complete(SMALL.model_copy(update={"resolution": None})).resolution == "288p"
        with pytest.raises(OptionRefused):
            spec.check(LARGE)
        spec.check(SMALL)
    assert local.config.max_jobs == 2
    assert LocalConfig().enabled
    assert not LocalConfig(on=False).enabled
    with pytest.raises(ValidationError):
        LocalConfig.model_validate({"resolutions": ["4k"]})
    with pytest.raises(ValidationError):
        LocalConfig(resolutions=())


async def test_a_render_that_nobody_ever_asked_for_is_forgotten(tmp_path: Path) -> None:
    lost, young = tmp_path / "lost", tmp_path / "young"
    for folder in (lost, young):
        folder.mkdir()
    os.utime(lost, (0, 0))
    _forget_old(tmp_path)
    assert not lost.exists()
    assert young.exists()


def test_an_old_render_that_is_gone_already_holds_up_nobody(tmp_path: Path) -> None:
    (tmp_path / "gone").symlink_to(tmp_path / "nowhere")
    _forget_old(tmp_path)
