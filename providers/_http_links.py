"""Where a vendor's link may lead: public addresses, unless the operator trusts the host."""

import ipaddress
import socket
from collections.abc import Iterable

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from providers._http_trace import trace
from providers.errors import Unusable


class PublicResolver(AbstractResolver):
    """Resolves to public addresses only, so that no name leads inside, whenever it changes its mind."""

    def __init__(self, trusted_hosts: Iterable[str]) -> None:
        self._trusted = frozenset(trusted_hosts)
        self._inner = aiohttp.ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await self._inner.resolve(host, port, family)
        if host in self._trusted:
            return found
        public = [entry for entry in found if may_be_public(entry["host"])]
        if not public:
            raise OSError(f"{host} has no public address")
        return public

    async def close(self) -> None:
        await self._inner.close()


def open_session(trusted_hosts: Iterable[str]) -> aiohttp.ClientSession:
    """A session for every provider. Only the named hosts may have private addresses."""
    connector = aiohttp.TCPConnector(resolver=PublicResolver(trusted_hosts))
    return aiohttp.ClientSession(
        connector=connector, cookie_jar=aiohttp.DummyCookieJar(), trace_configs=[trace()]
    )


def may_be_public(host: str) -> bool:
    """Whether a host is a name (the resolver will tell) or a public address."""
    try:
        return ipaddress.ip_address(host).is_global
    except ValueError:
        return bool(host) and host != "localhost"


def meant_by(link: str, *, seen_from: URL | None = None) -> URL:
    """The URL that a vendor's link means, without a name and password: those would be a key to send along."""
    try:
        return (URL(link) if seen_from is None else seen_from.join(URL(link))).with_user(None)
    except ValueError as error:
        raise Unusable(f"the vendor names a link that is none: {error}") from error
