"""What holds for every provider's calls, whoever writes them."""

import traceback
from collections.abc import Awaitable, Callable
from functools import wraps
from pathlib import Path
from typing import ParamSpec, TypeVar

from providers.errors import ProviderError, Uncertain

P = ParamSpec("P")
T = TypeVar("T")

CALLS = ("models", "verify", "submit", "poll", "download", "quote", "cancel", "cleanup")
_NOT_OURS = {"download": OSError}
"""What passes, by call: a full disk below the sink is for its owner."""


def never_escapes(call: Callable[P, Awaitable[T]], name: str) -> Callable[P, Awaitable[T]]:
    """Where reading an answer fails, the call is in doubt: its caller knows that, and nothing else."""

    @wraps(call)
    async def guarded(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return await call(*args, **kwargs)
        except (ProviderError, _NOT_OURS.get(name, ProviderError)):
            raise
        except Exception as error:
            # Its words may quote an answer, and with it a link or a key; its place is enough to find a bug.
            frame = traceback.extract_tb(error.__traceback__)[-1]
            place = f"{Path(frame.filename).name}:{frame.lineno}"
            raise Uncertain(f"no answer that can be read: {type(error).__name__} at {place}") from error

    return guarded
