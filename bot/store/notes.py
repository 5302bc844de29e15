"""Single facts that the bot has to remember, each under its name."""

from bot.store.db import Database


class Notes:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, name: str) -> str | None:
        rows = await self._database.read("SELECT value FROM note WHERE name = :name", name=name)
        return str(rows[0]["value"]) if rows else None

    async def named(self, prefix: str) -> dict[str, str]:
        """Every note whose name begins so."""
        sql = "SELECT name, value FROM note WHERE substr(name, 1, :length) = :prefix ORDER BY name"
        rows = await self._database.read(sql, length=len(prefix), prefix=prefix)
        return {str(row["name"]): str(row["value"]) for row in rows}

    async def set(self, name: str, value: str) -> None:
        sql = """
            INSERT INTO note (name, value) VALUES (:name, :value)
            ON CONFLICT (name) DO UPDATE SET value = excluded.value
            RETURNING name
        """
        await self._database.write(lambda transaction: transaction.rows(sql, name=name, value=value))

    async def remove(self, name: str, value: str) -> None:
        """Forget the note, if that is what it says."""
        sql = "DELETE FROM note WHERE name = :name AND value = :value"
        await self._database.write(lambda transaction: transaction.rows(sql, name=name, value=value))
