"""The one place where everything is wired together."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from datetime import datetime, timedelta
from functools import partial
from itertools import count

from bot.alerts import Watch
from bot.booking import Booking, HouseRules
from bot.catalogue import Catalogue
from bot.client import RESERVE, Stillmotion
from bot.clock import Clock
from bot.data_folder import secure
from bot.delivery import Delivery
from bot.delivery.admission import Admission
from bot.delivery.brake import Brake
from bot.delivery.open_replies import OpenReplies
from bot.delivery.owner import Owner
from bot.delivery.resend import Resend
from bot.engine.context import JobContext
from bot.engine.download import A_DAY
from bot.engine.engine import Engine
from bot.engine.runner import Local
from bot.health import Health
from bot.intake import DECODED_AT_ONCE
from bot.jobs import KEPT, Job
from bot.log_format import set_up_logging
from bot.login import DiscordAway, keep_token, translated
from bot.media.job_files import JobFiles, free_bytes
from bot.moderation import Moderation
from bot.overview import Overviews
from bot.ownership import Ownership
from bot.saved_models import SavedModels
from bot.settings import Settings
from bot.store import Store, connect
from bot.store.db import StoreError
from bot.store.queue import Caps
from bot.store.rows import Unreadable
from bot.tasks import Tasks
from bot.usage import CHARTS_AT_ONCE, Reports
from providers import create
from providers.base import Resources
from providers.child import Children
from providers.http import open_session

log = logging.getLogger(__name__)

MEGABYTE = 1024 * 1024
LEAST_FREE = 500 * MEGABYTE
"""Of the disk; with less, the operator is told."""
SWEEP_EVERY = 3600.0
LONGEST_LOGIN_PAUSE = 60.0
"""Seconds."""


def build(settings: Settings, clock: Clock | None = None) -> Stillmotion:
    """The unstarted client; no I/O. Its `setup_hook` starts everything, its `close` stops it again."""
    app = _App(settings, clock or Clock())
    return Stillmotion(app.start, app.stop, app.brake)


async def serve(settings: Settings, token: str, stop: asyncio.Event, clock: Clock | None = None) -> None:
    """Run the bot until `stop` is set. Raises CannotStart, AlreadyRunning or StoreError."""
    set_up_logging(settings.log_level)
    clock = clock or Clock()
    for failures in count(1):
        try:
            await _live(build(settings), token, stop)
        except DiscordAway as error:
            wait = min(LONGEST_LOGIN_PAUSE, 2.0**failures) * random.uniform(0.5, 1.0)  # noqa: S311 - guards nothing
            log.warning("%s The start is tried again in %.0f s.", error, wait)
            if await clock.wait(stop, wait):
                return
        else:
            return


async def _live(client: Stillmotion, token: str, stop: asyncio.Event) -> None:
    """One life of the bot: from its login until it is stopped or cannot go on."""
    running = asyncio.ensure_future(client.start(token))
    signs = [asyncio.ensure_future(sign.wait()) for sign in (stop, client.failed)]
    try:
        await asyncio.wait({running, *signs}, return_when=asyncio.FIRST_COMPLETED)
        if stop.is_set():
            log.info("stopping: calls under way get a few seconds, the rest goes on at the next start")
    finally:
        for sign in signs:
            sign.cancel()
        await client.close()
        is_told = stop.is_set() or client.failure is not None
        if is_told:
            # Stopped in the middle of its start, discord.py complains of its closed connection.
            running.cancel()
            await asyncio.wait([running], timeout=client.time_left())
            log.debug("ended with %r", running)
        else:
            with translated():
                await running
    if client.failure is not None:
        raise client.failure


async def sync_commands(token: str) -> int:
    """Tell Discord about the commands, whatever it knows; how many there are. Raises CannotStart."""

    async def nothing(*_: object) -> None: ...

    async with Stillmotion(nothing, nothing, Brake(Clock())) as client:
        with translated():
            await client.login(token)
        return await client.sync_commands(always=True)


async def _sweep(files: JobFiles, store: Store, clock: Clock) -> None:
    """Now and every hour: remove what jobs have left behind."""
    never = asyncio.Event()
    while True:
        with suppress(StoreError, OSError):
            for job_id, touched in (await files.touched()).items():
                if touched + files.kept_for <= clock.now():
                    with suppress(Unreadable):
                        await _remove_old(files, job_id, await store.jobs.get(job_id), touched, clock.now())
        await clock.wait(never, SWEEP_EVERY)


async def _remove_old(
    files: JobFiles, job_id: int, job: Job | None, touched: datetime, now: datetime
) -> None:
    """Remove what has been kept for long enough since the job's end; without a row, since it was touched."""
    if job is not None and job.state.is_open:
        return
    age = now - (job.state_at if job else touched)
    if age >= max(files.kept_for, A_DAY):
        await files.discard(job_id)
    elif job is not None and job.failure not in KEPT and age >= files.kept_for:
        await files.clear(job_id)


class _App:
    """Everything that runs while the client does; what starts first stops last."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self.brake = Brake(clock)
        self._running = AsyncExitStack()

    async def start(self, client: Stillmotion) -> None:
        self._client = client
        try:
            await self._start(client)
        except BaseException:
            await self._running.aclose()
            raise

    async def stop(self) -> None:
        await self._running.aclose()

    def _at_end(self, end: Callable[[], Awaitable[None]], what: str) -> None:
        """To be called at the end, which it must not hold up."""
        self._running.push_async_callback(self._bounded, end, what)

    async def _bounded(self, end: Callable[[], Awaitable[None]], what: str) -> None:
        try:
            async with asyncio.timeout(self._client.time_left(keep=RESERVE / 2)):
                await end()
        except TimeoutError:
            log.warning("%s did not end in time", what)
        except Exception:
            log.exception("%s did not end well", what)

    async def _open(self, client: Stillmotion) -> Store:
        """The store, once data folder and database are ours."""
        settings, clock = self._settings, self._clock
        database = connect(settings.database)
        ownership = Ownership(settings.data_dir, database, clock, client.fail)
        await ownership.acquire(settings.takeover_seconds)
        self._at_end(ownership.release, "the lock")
        store = Store(database, clock, settings.limits)
        await store.open()
        self._running.push_async_callback(lambda: store.close(client.time_left(keep=RESERVE / 4)))
        await ownership.claim(store.notes)
        self._at_end(ownership.disclaim, "the ownership")
        client.owns = lambda: ownership.is_held
        return store

    async def _start(self, client: Stillmotion) -> None:
        settings, clock, running = self._settings, self._clock, self._running
        await asyncio.to_thread(secure, settings.data_dir, settings.database)

        store = await self._open(client)

        children = Children()
        self._at_end(children.close, "a child")

        # Beside the others: what members send in never keeps a finished video waiting.
        pictures = Children(DECODED_AT_ONCE)
        self._at_end(pictures.close, "a picture")

        drawers = Children(CHARTS_AT_ONCE)
        self._at_end(drawers.close, "a chart")

        encoders = Children(settings.encode_jobs)
        self._at_end(encoders.close, "an encoder")

        copiers = Children(1)
        self._at_end(copiers.close, "a copier")

        for name in settings.exposed:
            log.warning(
                "%s_API_KEY travels without encryption: %s_BASE_URL is plain http", *[name.upper()] * 2
            )
        session = await running.enter_async_context(open_session(settings.hosts))
        resources = Resources(
            session=session,
            folder=settings.data_dir / "providers",
            trusted_hosts=frozenset(settings.trusted_hosts),
            max_video_bytes=settings.max_video_mb * MEGABYTE,
        )
        providers = create(settings.providers, resources)
        for provider in providers.values():
            self._at_end(provider.close, "a provider")
        catalogue = Catalogue(providers, settings.default_provider, SavedModels(store.notes))
        await catalogue.recall()
        tasks = Tasks()
        self._at_end(tasks.close, "the background")
        tasks.spawn(catalogue.keep_fresh(clock), "catalogue")
        await catalogue.first_answers()

        files = JobFiles(settings.data_dir / "jobs", timedelta(days=settings.keep_days))
        delivery = Delivery(
            client,
            store,
            files,
            clock,
            brake=self.brake,
            card_seconds=settings.card_seconds,
            upload_limit=settings.upload_limit_mb * MEGABYTE,
        )
        await delivery.start()
        self._at_end(delivery.close, "the delivery")

        engine = Engine(
            JobContext(store, catalogue, delivery.posters, files, children, encoders, clock, settings.limits)
        )
        caps = Caps(
            member=settings.member_jobs,
            server=settings.server_jobs,
            servers=settings.limits.servers,
            providers={name: settings.providers[name].max_jobs for name in providers},
        )
        runner = Local(engine, store, caps, settings.allowance, clock)
        rules = HouseRules(
            allowance=settings.allowance,
            max_file_bytes=settings.max_image_mb * MEGABYTE,
            blocked_words=settings.blocked_words,
            fallback=settings.fallback,
            limits=settings.limits,
        )

        client.booking = Booking(store, catalogue, engine, files, pictures, clock, rules, runner.wake)
        client.moderation = Moderation(store, catalogue, clock, settings.allowance, settings.limits)
        client.logs = delivery.logs
        await self._serve_operator(client, store, catalogue, delivery, tasks)
        client.reports = Reports(store, catalogue, drawers, clock)
        client.resend = Resend(store, files, delivery.videos, copiers, clock, settings.allowance)
        client.open_replies = OpenReplies(client, store, clock)
        left = await client.open_replies.left()
        tasks.spawn(client.open_replies.settle(left), "replies of the process before this one")
        await client.offer(catalogue.unavailable_options)
        tasks.spawn(client.keep_syncing(clock), "commands")
        health = Health(settings.data_dir, client.report)
        await health.start()
        self._at_end(health.close, "the health report")
        client.stop_intake = client.booking.close
        self._at_end(lambda: runner.stop(client.time_left(keep=RESERVE)), "the runner")
        await runner.start()
        tasks.spawn(_sweep(files, store, clock), "sweep")

    async def _serve_operator(
        self, client: Stillmotion, store: Store, catalogue: Catalogue, delivery: Delivery, tasks: Tasks
    ) -> None:
        """What keeps to the operator's limits and tells of them."""
        settings, clock = self._settings, self._clock
        limits = settings.limits
        tasks.spawn(keep_token(client, self.brake.token_refused, clock, client.fail), "token")
        client.overviews = Overviews(store, catalogue, limits, settings.allowance, clock)
        client.admission = Admission(client, delivery.rest, store.notes, clock, limits)
        tasks.spawn(client.admission.keep(), "servers")
        least = max(LEAST_FREE, 2 * settings.max_video_mb * MEGABYTE)
        tell, free = Owner(client, delivery.rest).tell, partial(free_bytes, settings.data_dir)
        watch = Watch(store, catalogue, limits, clock, tell, free, least)
        await watch.start()
        tasks.spawn(watch.keep(), "alerts")
