"""Where a vendor's link may lead: public addresses, unless the operator trusts the host."""

import ipaddress
import re
import socket
from collections.abc import Collection, Iterable
from typing import TypeAlias

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from providers._http_trace import trace
from providers.errors import Unusable

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address

_NAME = re.compile(
    r"(?=.{1,253}$)(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.?"
)
_INSIDE = (".localhost", ".local", ".lan", ".internal", ".home.arpa")
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_NEVER = [ipaddress.IPv6Network(text) for text in ("::/96", "64:ff9b:1::/48", "fec0::/10")]
"""Addresses that hide others in ways of their own: IPv4-compatible, a network's own NAT64, site-local."""


class PublicResolver(AbstractResolver):
    """Resolves to public addresses only, so that no name leads inside, whenever it changes its mind.

    It cannot know who asks: what one provider trusts is refused to the others before it comes here.
    """

    def __init__(self, trusted_hosts: Iterable[str]) -> None:
        self._trusted = frozenset(trusted_hosts)
        self._inner = aiohttp.ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await self._inner.resolve(host, port, family)
        if is_named(host, port, self._trusted):
            return found
        public = [entry for entry in found if may_be_public(entry["host"])]
        if not public:
            raise OSError(f"{host} has no public address")
        return public

    async def close(self) -> None:
        await self._inner.close()


class Trust:
    """What one provider may name."""

    def __init__(self, base: URL, trusted_hosts: Collection[str], foreign_hosts: Collection[str]) -> None:
        self._base = base
        self._trusted = trusted_hosts
        self._foreign = foreign_hosts

    def is_own(self, url: URL) -> bool:
        return url.origin() == self._base.origin()

    def holds(self, url: URL) -> bool:
        """Whether a URL is the vendor's own, or the operator trusts its host."""
        return self.is_own(url) or is_named(url.raw_host or "", url.port, self._trusted)

    def judge(self, url: URL) -> None:
        """Raise Unusable for what may not be followed."""
        host = url.raw_host or ""
        if self.holds(url):
            return
        if is_named(host, url.port, self._foreign):
            raise Unusable(f"the vendor names a link to another provider's host: {host}")
        if url.scheme != "https":
            raise Unusable(f"the vendor names a link that is not https: {url.scheme}://{host}")
        if not may_be_public(host):
            raise Unusable(f"the vendor names a link to a private address: {host}")


def open_session(trusted_hosts: Iterable[str]) -> aiohttp.ClientSession:
    """A session for every provider. Only the named hosts (`named_host`) may have private addresses."""
    connector = aiohttp.TCPConnector(resolver=PublicResolver(trusted_hosts))
    return aiohttp.ClientSession(
        connector=connector, cookie_jar=aiohttp.DummyCookieJar(), trace_configs=[trace()]
    )


def named_host(text: str) -> str:
    """`host` or `host:port` as `is_named` compares it. Raises ValueError for what is neither."""
    if text.count(":") > 1 and not text.startswith("["):
        text = f"[{text}]"
    try:
        url = URL(f"http://{text}")
    except ValueError:  # of a name or a port that cannot be read
        url = URL()
    if url.user or url.path != "/" or url.query_string or url.fragment or not is_host(url.raw_host or ""):
        raise ValueError("should be a host, or a host and a port")
    return _bracketed(url.raw_host or "") + ("" if url.explicit_port is None else f":{url.explicit_port}")


def is_named(host: str, port: int | None, names: Collection[str]) -> bool:
    """Whether a host is among `host` (with all its ports) and `host:port`."""
    own = _bracketed(host)
    return own in names or f"{own}:{port}" in names


def authority(base_url: str) -> str | None:
    """The host and port of a base URL, as `is_named` compares them."""
    url = URL(base_url)
    return f"{_bracketed(url.raw_host)}:{url.port}" if url.raw_host else None


def is_inside(host: str) -> bool:
    """Whether a host is surely of this machine or of its own network."""
    address = _address(host)
    if address is not None:
        return not _is_public(address)
    name = f".{host.rstrip('.').lower()}"
    return name.count(".") == 1 or name.endswith(_INSIDE)


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host.lower()


def may_be_public(host: str) -> bool:
    """Whether a host is a name (the resolver will tell) or a public address."""
    address = _address(host)
    if address is not None:
        return _is_public(address)
    bare = host.rstrip(".")
    return ":" not in host and "%" not in host and bool(bare) and not f".{bare}".endswith(".localhost")


def _address(host: str) -> Address | None:
    """The address that a host is, also in the forms that only the C library reads, such as 0x7f.1."""
    host = host.rstrip(".")
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        pass
    try:
        return ipaddress.IPv4Address(socket.inet_aton(host)) if host.isascii() else None
    except (OSError, ValueError):
        return None


def _is_public(address: Address) -> bool:
    if isinstance(address, ipaddress.IPv6Address):
        if address.scope_id is not None or any(address in network for network in _NEVER):
            return False
        if address.ipv4_mapped is not None:
            return _is_public(address.ipv4_mapped)
        if address in _NAT64:
            return _is_public(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
        inside = [*(address.teredo or ()), *([address.sixtofour] if address.sixtofour else [])]
        if not all(map(_is_public, inside)):
            return False
    return address.is_global and not address.is_multicast and not address.is_reserved


def meant_by(link: str, *, seen_from: URL | None = None) -> URL:
    """The URL that a vendor's link means, without a name and password: those would be a key to send along.

    Raises Unusable for what is none. It is not quoted, for it may be a key.
    """
    try:
        url = (URL(link) if seen_from is None else seen_from.join(URL(link))).with_user(None)
        is_one = is_host(url.raw_host or "")
    except ValueError:  # UnicodeError, too: names are decoded
        is_one, url = False, URL()
    if not is_one:
        raise Unusable("the vendor names a link that is none")
    return url


def is_host(host: str) -> bool:
    """Whether a host is an address or a name that can be looked up."""
    if ":" in host:
        return "%" not in host and _address(host) is not None
    try:
        host.encode().decode("idna")  # as aiohttp does it for its messages
    except UnicodeError:
        return False
    return _NAME.fullmatch(host) is not None
