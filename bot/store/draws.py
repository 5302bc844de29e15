"""What jobs have taken of grants. A draw counts as long as its job is charged."""

from collections import Counter
from collections.abc import Sequence

from bot.jobs import OPEN, JobState
from bot.store.db import Rows
from bot.store.rows import among

_PAGE = 100
_IDS = ", ".join(f":grant{place}" for place in range(_PAGE))
_DRAWN = f"""
    SELECT draw.grant_id, SUM(draw.credits) AS drawn FROM draw JOIN job ON job.id = draw.job_id
    WHERE draw.grant_id IN ({_IDS}) AND job.charged > 0
"""  # noqa: S608 - our own words


async def drawn_in(rows: Rows, grant_ids: Sequence[int], *, for_good: bool = False) -> Counter[int]:
    """Credits by grant; `for_good`, those alone that no job may give back; one that failed still may."""
    drawn: Counter[int] = Counter()
    over = f"AND job.state NOT IN {among(OPEN | {JobState.FAILED})}" if for_good else ""
    for first in range(0, len(grant_ids), _PAGE):
        page = grant_ids[first : first + _PAGE]
        # Always so many places: each text is prepared once.
        values = {f"grant{place}": page[place] if place < len(page) else None for place in range(_PAGE)}
        for row in await rows(f"{_DRAWN} {over} GROUP BY draw.grant_id", **values):
            drawn[int(row["grant_id"] or 0)] = int(row["drawn"] or 0)
    return drawn
