"""The jobs: booking one, moving it, finding it again. `move` is the one place where a job changes."""

import json
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import TypeAlias, TypedDict, Unpack

from bot.clock import Clock
from bot.jobs import KEPT, MOVES, OPEN, RELEASED, UNDER_WAY, Failure, Job, JobState, Place
from bot.quota.limits import NO_LIMITS, Limits
from bot.store.db import Database, Transaction, Value, to_text
from bot.store.queue import Caps, next_in, queue_in
from bot.store.rows import Reader, Unreadable, among, job_of, time_of, to_value
from providers.base import Operation, Succeeded
from providers.errors import Advice
from providers.specs import VideoRequest


class Moved(Exception):
    """The job is no longer in the state it was read in: somebody moved it, and the loser does nothing."""


class Changes(TypedDict, total=False):
    """What may change together with the state, in the same commit."""

    operation: Operation
    video: Succeeded
    asked_at: datetime | None
    submitted_at: datetime
    ready_at: datetime
    overdue_at: datetime | None
    not_before: datetime
    message_id: int | None
    place: Place
    place_id: int | None
    announcing_at: datetime | None
    failure: Failure
    detail: str
    ended_by: int
    provider: str
    model: str
    request: VideoRequest
    fallback_from: str
    quoted_micros: int | None
    cost_micros: int
    held_until: datetime | None
    advice: Advice


_COST = "CASE WHEN asked_at IS NULL THEN 0 ELSE cost_micros END"
"""What was never sent costs nothing."""
_ASKED = {"held_until": "CASE WHEN asked_at IS NULL THEN NULL ELSE :held_until END"}
"""What is so only for what was sent."""

_OPEN = f"SELECT * FROM job WHERE state IN {among(OPEN)} ORDER BY created_at, id"  # noqa: S608 - our own words
_DRIVEN = f"SELECT id FROM job WHERE state IN {among(UNDER_WAY)}"  # noqa: S608 - as above
_UNSHOWN = f"SELECT * FROM job WHERE card_closed = 0 AND state NOT IN {among(OPEN)}"  # noqa: S608 - as above
_NEEDED = f"""
    SELECT id FROM job WHERE state IN {among(OPEN)}
        OR (state = 'failed' AND state_at > :since
            AND failure IN ({", ".join(f"'{failure}'" for failure in sorted(KEPT))}))
"""  # noqa: S608 - as above


Objection: TypeAlias = Callable[[Transaction, Job, datetime], Awaitable[Failure | None]]
"""Why a queued job may not be made any more, by the rules of now."""


async def _none(_: Transaction, __: Job, ___: datetime) -> None:
    pass


async def insert(transaction: Transaction, job: Job) -> Job:
    """Write a new job down. Whether it may be is decided before, in the same transaction."""
    rows = await transaction.rows(
        """
        INSERT INTO job (id, guild_id, channel_id, user_id, provider, model, request, state, price, charged,
            quoted_micros, cost_micros, may_fall_back, parent_id, is_public, role_ids, created_at, state_at,
            not_before, booked_at)
        VALUES (:id, :guild_id, :channel_id, :user_id, :provider, :model, :request, :state, :price, :price,
            :quoted_micros, :cost_micros, :may_fall_back, :parent_id, :is_public, :role_ids, :created_at,
            :created_at, :created_at, :created_at)
        RETURNING *
        """,
        id=job.id,
        guild_id=job.guild_id,
        channel_id=job.channel_id,
        user_id=job.user_id,
        provider=job.provider,
        model=job.request.model,
        request=job.request.model_dump_json(exclude_none=True),
        state=job.state,
        price=job.price,
        quoted_micros=job.quoted_micros,
        cost_micros=job.cost_micros,
        may_fall_back=int(job.may_fall_back),
        parent_id=job.parent_id,
        is_public=int(job.is_public),
        role_ids=json.dumps(job.role_ids),
        created_at=to_text(job.created_at),
    )
    return job_of(rows[0])


class Jobs:
    def __init__(self, database: Database, clock: Clock, limits: Limits = NO_LIMITS) -> None:
        self._database = database
        self._clock = clock
        self._limits = limits
        self._read = Reader()

    async def move(
        self,
        job: Job,
        state: JobState,
        *,
        at: datetime | None = None,
        again: bool = False,
        **changes: Unpack[Changes],
    ) -> Job:
        """Move the job on from the state it was read in, and return it as it then stands.

        Ending without a video gives the reservation back in the same commit. After a StoreError the move may
        be there all the same: made `again` with the same time `at`, it finds itself. Raises Moved if somebody
        else was faster, ValueError for a move that does not exist.
        """
        at = at or self._clock.now()
        return await self._database.write(
            lambda transaction: self._move(transaction, job, state, changes, at, again=again),
            # Who has bought a video writes it down, even while somebody else takes over.
            by_owner=state is not JobState.RUNNING,
        )

    async def ask(self, job: Job, *, at: datetime, again: bool = False) -> Job:
        """Take the one right to ask the vendor to start, right before that is done.

        After a StoreError it may be taken: taken `again` with the same time `at`, it is found. Raises Moved
        if the job is no longer to be sent, or if somebody else has the right.
        """

        async def take(transaction: Transaction) -> Job:
            rows = await transaction.rows(
                f"""
                UPDATE job SET asked_at = :mine WHERE id = :id AND state = '{JobState.SUBMITTING}'
                    AND (asked_at IS NULL OR (:again = 1 AND asked_at = :mine)) RETURNING *
                """,  # noqa: S608 - our own word
                id=job.id,
                mine=to_text(at),
                again=int(again),
            )
            if not rows:
                raise Moved(f"job {job.id} is not to be sent any more")
            return job_of(rows[0])

        return await self._database.write(take)

    async def promote(self, caps: Caps, objection: Objection = _none) -> Job | None:
        """Move the queued job whose turn it is to `submitting`; None while none may go.

        Fair: the member with the fewest jobs under way comes first, then such a server, then age. One to
        which there is an `objection` by now is moved to `failed` instead.
        """

        async def choose(transaction: Transaction) -> Job | None:
            await transaction.lock("promote")
            now = self._clock.now()
            job = next(self._read.each(await next_in(transaction, caps, self._limits, now)), None)
            if job is None:
                return None
            if (failure := await objection(transaction, job, now)) is not None:
                changes = Changes(failure=failure, detail="decided since it was booked")
                return await self._move(transaction, job, JobState.FAILED, changes, now, again=False)
            return await self._move(transaction, job, JobState.SUBMITTING, {}, now, again=False)

        return await self._database.write(choose)

    async def record_card(self, job_id: int, message_id: int) -> None:
        """Remember the message that shows the job. It is no part of the job's life, so any state will do."""
        await self._set("card_id = :message_id", job_id, message_id=message_id)

    async def show_once(self, job_id: int, *, taken: bool = True) -> bool:
        """Take the one right to show a job's video again to everybody, or give it back; False if it is so."""
        return await self._set("shown = :new", job_id, "shown <> :new", new=int(taken))

    async def get(self, job_id: int) -> Job | None:
        """Raises Unreadable; where several jobs are read, such a row is left out."""
        rows = await self._database.read("SELECT * FROM job WHERE id = :id", id=job_id)
        if not rows:
            return None
        if (job := next(self._read.each(rows), None)) is None:
            raise Unreadable(f"job {job_id} cannot be read")
        return job

    async def open(self) -> list[Job]:
        """Every job that is not over, oldest first."""
        return self._read.all(await self._database.read(_OPEN))

    async def under_way(self) -> set[int]:
        """The ids of the jobs that somebody has to drive."""
        return {int(row["id"] or 0) for row in await self._database.read(_DRIVEN)}

    async def queued_still(self) -> set[int]:
        """The ids of the jobs that are in the queue."""
        rows = await self._database.read("SELECT id FROM job WHERE state = 'queued'")
        return {int(row["id"] or 0) for row in rows}

    async def close_card(self, job_id: int) -> None:
        """Remember that the card shows the job's end, or never will."""
        await self._set("card_closed = 1", job_id)

    async def unshown(self) -> list[Job]:
        """Jobs that are over and whose cards may not say so yet."""
        return self._read.all(await self._database.read(_UNSHOWN))

    async def needed(self, since: datetime) -> set[int]:
        """The ids of jobs that are not over, or that ended since then with a video that no place took."""
        rows = await self._database.read(_NEEDED, since=to_text(since))
        return {int(row["id"] or 0) for row in rows}

    async def queue(self) -> list[Job]:
        """The queued jobs in the order in which they would be promoted now."""
        return self._read.all(await queue_in(self._database.read, self._clock.now()))

    async def held(self) -> list[Job]:
        """Jobs that are over and whose providers must be done with them by now."""
        sql = "SELECT * FROM job WHERE held_until <= :now"
        return self._read.all(await self._database.read(sql, now=to_text(self._clock.now())))

    async def hold(self, job: Job, until: datetime | None, cost_micros: int) -> None:
        """Write down what a job that is over costs, and until when its provider may still work on it."""
        await self._set(
            "held_until = :until, cost_micros = :cost",
            job.id,
            until=until and to_text(until),
            cost=cost_micros,
        )

    async def recent(self, guild_id: int, user_id: int, limit: int) -> list[Job]:
        """The member's latest jobs in this server, newest first."""
        rows = await self._database.read(
            """
            SELECT * FROM job WHERE guild_id = :guild_id AND user_id = :user_id
            ORDER BY created_at DESC, id DESC LIMIT :limit
            """,
            guild_id=guild_id,
            user_id=user_id,
            limit=limit,
        )
        return self._read.all(rows)

    async def durations(self, provider: str, model: str, limit: int = 20) -> list[float]:
        """Seconds from submit to finished of this model's latest videos, newest first."""
        rows = await self._database.read(
            """
            SELECT submitted_at, ready_at FROM job
            WHERE provider = :provider AND model = :model AND ready_at IS NOT NULL AND ready_at > submitted_at
            ORDER BY ready_at DESC LIMIT :limit
            """,
            provider=provider,
            model=model,
            limit=limit,
        )
        return [(time_of(row["ready_at"]) - time_of(row["submitted_at"])).total_seconds() for row in rows]

    async def _set(self, what: str, job_id: int, where: str = "1 = 1", **values: Value) -> bool:
        """Change what is no part of a job's life; whether there was such a row."""
        sql = f"UPDATE job SET {what} WHERE id = :id AND {where} RETURNING id"  # noqa: S608 - own words
        return bool(await self._database.write(lambda on: on.rows(sql, id=job_id, **values)))

    async def _move(
        self,
        transaction: Transaction,
        job: Job,
        state: JobState,
        changes: Changes,
        at: datetime,
        *,
        again: bool,
    ) -> Job:
        if state not in MOVES[job.state]:
            raise ValueError(f"a job cannot move from {job.state} to {state}")
        values: dict[str, Value] = {name: to_value(value) for name, value in changes.items()}
        values["state"] = state
        if state is not job.state:
            values["state_at"] = to_text(at)
        if state in RELEASED:
            values["charged"] = 0
        assignments = ", ".join(f"{name} = {_ASKED.get(name, ':' + name)}" for name in values)
        if state in RELEASED and "cost_micros" not in values:
            assignments += f", cost_micros = {_COST}"
        sql = f"UPDATE job SET {assignments} WHERE id = :id AND state = :old RETURNING *"  # noqa: S608 - own names
        rows = await transaction.rows(sql, id=job.id, old=job.state, **values)
        if not rows and again:
            rows = await transaction.rows("SELECT * FROM job WHERE id = :id", id=job.id)
            # All as it was to be: this very move was made before, and its answer did not arrive.
            mine = {name: value for name, value in values.items() if name not in _ASKED}
            rows = [row for row in rows if all(row[name] == value for name, value in mine.items())]
        if not rows:
            raise Moved(f"job {job.id} is no longer {job.state}")
        return job_of(rows[0])
