"""What tests of pictures, sounds and videos share."""

from collections.abc import AsyncIterator

import pytest

from bot.media.child import Children


@pytest.fixture
async def children() -> AsyncIterator[Children]:
    made = Children()
    yield made
    await made.close()
