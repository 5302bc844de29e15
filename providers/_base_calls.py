"""What holds for every provider's calls, whoever writes them."""

from collections.abc import Awaitable, Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from providers.errors import Uncertain

P = ParamSpec("P")
T = TypeVar("T")

CALLS = ("models", "verify", "submit", "poll", "download", "quote", "cancel", "cleanup")
_UNREADABLE = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError)
"""What reading an answer raises that is not as it should be; pydantic's ValidationError is a ValueError."""


def unreadable_is_uncertain(call: Callable[P, Awaitable[T]]) -> Callable[P, Awaitable[T]]:
    """Where reading an answer fails, the call is in doubt: its caller knows that, and nothing else."""

    @wraps(call)
    async def guarded(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return await call(*args, **kwargs)
        except _UNREADABLE as error:
            # Its words may quote an answer, and with it a link or a key.
            raise Uncertain(f"an answer that cannot be read: {type(error).__name__}") from error

    return guarded
