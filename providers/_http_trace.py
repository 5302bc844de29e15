"""Whether anything of a call may have left this machine: no answer means something else then."""

from types import SimpleNamespace

import aiohttp


class Sent:
    """One call on its way. `began` is set before the first byte is written, and never too late."""

    began = False


def trace() -> aiohttp.TraceConfig:
    """For a session: lets it tell each call's `Sent` when the request is about to be written."""
    config = aiohttp.TraceConfig()
    config.on_request_headers_sent.append(_begins)
    return config


def is_traced(session: aiohttp.ClientSession) -> bool:
    return any(_begins in config.on_request_headers_sent for config in session.trace_configs)


async def _begins(_: aiohttp.ClientSession, context: SimpleNamespace, __: object) -> None:
    if isinstance(sent := context.trace_request_ctx, Sent):
        sent.began = True
