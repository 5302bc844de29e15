"""What a decoder that was taken over can still do: each attempt runs as a task in a real child."""

import os
from pathlib import Path

import pytest

from providers.child import ChildFailed, Children
from providers.sandbox import Guards

AS_ANSWER = "__import__('providers.child_wire', fromlist=['Answer']).Answer({{'did': str({})}})"
EACH = """
did = []
for attempt in {}:
    try:
        eval(attempt)
    except PermissionError:
        continue
    except Exception as error:
        did.append(f"{{attempt}}: {{error}}")
    else:
        did.append(attempt)
"""


@pytest.fixture
async def guards(children: Children) -> Guards:
    answer = await children.run("providers.sandbox:look", seconds=30, memory=400_000_000)
    return Guards(**{name: bool(value) for name, value in answer.facts.items()})


@pytest.fixture
def files(guards: Guards) -> None:
    if not guards.files:
        pytest.skip("`stillmotion check` says: this kernel has no Landlock")


@pytest.fixture
def calls(guards: Guards) -> None:
    if not guards.calls:
        pytest.skip("`stillmotion check` says: this kernel has no seccomp filters")


async def attempt(children: Children, expression: str, **paths: Path) -> str:
    """What the child got; raises ChildFailed with the error that stopped it."""
    code = AS_ANSWER.format(expression).encode()
    answer = await children.run("builtins:eval", code, seconds=30, memory=400_000_000, **paths)
    return str(answer.facts["did"])


async def not_refused(children: Children, *attempts: str, **paths: Path) -> str:
    """Those that the system let a child do; one child does all of them, for its start takes longest."""
    code = EACH.format(attempts)
    return await attempt(children, f"(lambda names: (exec({code!r}, names), names['did'])[1])({{}})", **paths)


@pytest.mark.usefixtures("files")
async def test_a_child_cannot_look_into_the_bot(children: Children) -> None:
    files = ("environ", "mem", "maps", "cmdline", "fd/0")
    looks = [f"open('/proc/{os.getpid()}/{file}', 'rb').read(100)" for file in files]
    assert await not_refused(children, *looks) == "[]"


@pytest.mark.usefixtures("files")
async def test_a_child_reads_what_it_is_to_work_on_and_nothing_else(
    children: Children, tmp_path: Path
) -> None:
    (tmp_path / "mine").write_text("mine")
    (tmp_path / "secret").write_text("secret")
    ours = tmp_path / "mine"
    assert await attempt(children, f"open({str(ours)!r}).read()", reads=ours) == "mine"
    others = (
        f"open({str(tmp_path / 'secret')!r}).read()",
        f"open({str(ours)!r}, 'w')",
        f"__import__('os').listdir({str(tmp_path)!r})",
        "open('/etc/passwd').read()",
        f"__import__('os').listdir({str(Path.cwd())!r})",
    )
    assert await not_refused(children, *others, reads=ours) == "[]"


@pytest.mark.usefixtures("files")
async def test_a_child_writes_into_its_own_folder_and_nowhere_else(
    children: Children, tmp_path: Path
) -> None:
    (own := tmp_path / "own").mkdir()
    other = tmp_path / "other"
    mine = (
        f"open({str(own / 'a')!r}, 'w').write('a')",
        f"__import__('os').rename({str(own / 'a')!r}, {str(own / 'b')!r})",
    )
    others = (
        f"open({str(other)!r}, 'w')",
        f"__import__('os').symlink('/etc', {str(own / 'link')!r})",
        f"__import__('os').mkdir({str(own / 'folder')!r})",
        f"open('/tmp/{tmp_path.name}', 'w')",
    )
    assert await not_refused(children, *mine, *others, writes=own) == str([*mine])
    assert (own / "b").read_text() == "a"


@pytest.mark.usefixtures("calls")
async def test_a_child_reaches_no_network_program_or_other_process(children: Children) -> None:
    attempts = (
        "__import__('socket').socket()",
        "__import__('socket').socket(__import__('socket').AF_UNIX)",
        "__import__('socket').socketpair()",
        "__import__('os').fork()",
        "__import__('os').execv('/bin/true', ['true'])",
        "__import__('os').posix_spawn('/bin/true', ['true'], {})",
        "__import__('os').kill(__import__('os').getppid(), 0)",
        "__import__('os').killpg(__import__('os').getppid(), 0)",
        "__import__('os').pidfd_open(__import__('os').getppid())",
        "__import__('os').setpriority(0, __import__('os').getppid(), 19)",
        "__import__('os').sched_setaffinity(__import__('os').getppid(), {0})",
        "__import__('resource').prlimit(__import__('os').getppid(), 7, (0, 0))",
        "__import__('os').chmod('/', 0o777)",
        "__import__('os').utime('/')",
        "__import__('os').truncate('/nothing', 0)",
    )
    assert await not_refused(children, *attempts) == "[]"


@pytest.mark.usefixtures("calls")
async def test_a_child_still_starts_threads(children: Children) -> None:
    code = "(t := __import__('threading').Thread(target=print), t.start(), t.join(), t.is_alive())[3]"
    assert await attempt(children, code) == "False"


async def test_what_a_child_gave_up_it_cannot_take_back(children: Children, guards: Guards) -> None:
    assert guards.is_hidden
    status = "__import__('ctypes').CDLL(None).prctl(39, 0, 0, 0, 0)"
    assert await attempt(children, status) == "1"  # PR_GET_NO_NEW_PRIVS


async def test_a_child_that_answers_without_end_is_stopped(children: Children) -> None:
    with pytest.raises(ChildFailed, match="SIGKILL"):
        await attempt(children, "[__import__('os').write(3, bytes(10**6)) for _ in range(1000)]")
