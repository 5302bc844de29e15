"""What tests of pictures, sounds and videos share."""

from collections.abc import AsyncIterator

import pytest

from providers.child import Children


@pytest.fixture
async def children() -> AsyncIterator[Children]:
    made = Children()
    yield made
    await made.close()
