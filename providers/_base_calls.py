"""What holds for every provider's calls, whoever writes them."""

import traceback
from collections.abc import Awaitable, Callable, Sequence
from functools import wraps
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar, cast

from pydantic import BaseModel, SecretStr

from providers.errors import ProviderError, Uncertain

P = ParamSpec("P")
S = TypeVar("S")
T = TypeVar("T")

CALLS = ("models", "verify", "submit", "poll", "download", "quote", "cancel", "cleanup")
_NOT_OURS = {"download": OSError}
"""What passes, by call: a full disk below the sink is for its owner."""


def never_escapes(
    call: Callable[Concatenate[S, P], Awaitable[T]],
    name: str,
    within: Callable[[object, Sequence[str]], object],
) -> Callable[Concatenate[S, P], Awaitable[T]]:
    """Where reading an answer fails, the call is in doubt: its caller knows that, and nothing else.

    What is returned goes through `within`, together with what must not be quoted.
    """

    @wraps(call)
    async def guarded(self: S, *args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return cast(
                "T", within(await call(self, *args, **kwargs), secrets_of(getattr(self, "config", None)))
            )
        except ProviderError as error:
            error.detail = without(secrets_of(getattr(self, "config", None)), error.detail)
            error.args = (error.detail,)
            raise
        except _NOT_OURS.get(name, ProviderError):
            raise
        except Exception as error:
            # Its words may quote an answer, and with it a link or a key; its place is enough to find a bug.
            frame = traceback.extract_tb(error.__traceback__)[-1]
            place = f"{Path(frame.filename).name}:{frame.lineno}"
            raise Uncertain(f"no answer that can be read: {type(error).__name__} at {place}") from error

    return guarded


def secrets_of(config: object) -> Sequence[str]:
    """What is secret in a provider's settings."""
    if not isinstance(config, BaseModel):
        return []
    fields = (getattr(config, field) for field in type(config).model_fields)
    return [said for field in fields if isinstance(field, SecretStr) and (said := field.get_secret_value())]


def without(secrets: Sequence[str], said: str) -> str:
    for secret in secrets:
        said = said.replace(secret, "[key]")
    return said
