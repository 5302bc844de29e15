"""A job whose row this version cannot read is left alone, and the others go on."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from bot.jobs import Failure, Job, JobState
from bot.store import Store
from bot.store.jobs import Jobs
from bot.store.queue import Caps
from bot.store.rows import Unreadable

BROKEN = {"a state of later": "state = 'dreaming'", "broken JSON": "request = '{'"}
"""What a row may say that nobody here understands."""


@pytest.fixture
def spoil(store: Store) -> Callable[..., Awaitable[None]]:
    async def spoiled(what: str, job_id: int = 1) -> None:
        sql = f"UPDATE job SET {what} WHERE id = :id RETURNING id"  # noqa: S608 - the test's own
        await store._database.write(lambda on: on.rows(sql, id=job_id))

    return spoiled


async def raw(store: Store) -> Any:
    return await store._database.read("SELECT * FROM job WHERE id = 1")


@pytest.mark.parametrize("what", BROKEN.values(), ids=BROKEN)
async def test_a_queued_row_that_cannot_be_read_keeps_nobody_from_being_promoted(
    store: Store, book: Any, spoil: Any, caplog: pytest.LogCaptureFixture, what: str
) -> None:
    for number in (1, 2):
        await book(number)
    await spoil(what)
    before = await raw(store)
    assert [job.id for job in await store.jobs.queue()] == [2]
    promoted = await store.jobs.promote(Caps(9, 9, {"eigenai": None}))
    assert (promoted and promoted.id) == 2
    assert [job.id for job in await store.jobs.open()] == [2]
    assert [job.id for job in await store.jobs.recent(10, 30, 9)] == [2]
    assert await raw(store) == before
    [entry] = caplog.records
    assert entry.getMessage().startswith("job 1 cannot be read, and is left alone: ")
    assert "a slow pan" not in entry.getMessage()


@pytest.mark.parametrize("what", BROKEN.values(), ids=BROKEN)
@pytest.mark.parametrize("read", [Jobs.unshown, Jobs.held], ids=["unshown", "held"])
async def test_an_ended_row_that_cannot_be_read_does_not_hide_the_others(
    store: Store, book: Any, spoil: Any, read: Callable[[Jobs], Awaitable[list[Job]]], what: str
) -> None:
    for number in (1, 2):
        await book(number, JobState.FAILED, failure=Failure.TIMED_OUT)
        await spoil("held_until = created_at", number)
    await spoil(what)
    assert [job.id for job in await read(store.jobs)] == [2]


async def test_who_asks_for_that_very_job_hears_of_it(store: Store, book: Any, spoil: Any) -> None:
    await book(1)
    await spoil("operation = 'no JSON'")
    with pytest.raises(Unreadable, match="job 1"):
        await store.jobs.get(1)
