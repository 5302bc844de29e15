"""What the operator has paused, written by the command line beside the running bot."""

from collections.abc import Callable

from bot.quota.limits import Pauses
from bot.store.db import Database, Rows, Transaction, clean

_NAME = "paused by the operator"
_READ = "SELECT value FROM note WHERE name = :name"
_WRITE = """
    INSERT INTO note (name, value) VALUES (:name, :value)
    ON CONFLICT (name) DO UPDATE SET value = excluded.value
    RETURNING name
"""


class OperatorPauses:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self) -> Pauses:
        return await pauses_in(self._database.read)

    async def pause(self, provider: str | None, reason: str) -> Pauses:
        """Stop a provider, or everything. Anybody may write it, who owns the database or not."""
        said = clean(reason)

        def change(now: Pauses) -> Pauses:
            if provider is None:
                return now.model_copy(update={"everything": said})
            return now.model_copy(update={"providers": {**now.providers, provider: said}})

        return await self._change(change)

    async def resume(self, provider: str | None) -> Pauses:
        """End the pause of a provider, or all pauses."""

        def change(now: Pauses) -> Pauses:
            if provider is None:
                return Pauses()
            others = {name: reason for name, reason in now.providers.items() if name != provider}
            return now.model_copy(update={"providers": others})

        return await self._change(change)

    async def _change(self, change: Callable[[Pauses], Pauses]) -> Pauses:
        async def write(transaction: Transaction) -> Pauses:
            await transaction.lock(_NAME)
            changed = change(await pauses_in(transaction.rows))
            await transaction.rows(_WRITE, name=_NAME, value=changed.model_dump_json())
            return changed

        return await self._database.write(write, by_owner=False)


async def pauses_in(rows: Rows) -> Pauses:
    found = await rows(_READ, name=_NAME)
    return Pauses.model_validate_json(str(found[0]["value"])) if found else Pauses()
