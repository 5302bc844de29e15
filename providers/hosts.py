"""Where providers' APIs are, as far as that is for the whole application to know."""

from collections.abc import Collection

from yarl import URL

from providers._http_links import authority, is_inside, is_named, named_host
from providers.base import ProviderConfig, RemoteConfig

__all__ = ["hosts_of", "is_exposed", "named_host"]


def hosts_of(config: ProviderConfig) -> frozenset[str]:
    """Where a provider's API is, as `host:port`."""
    found = authority(getattr(config, "base_url", ""))
    return frozenset() if found is None else frozenset({found})


def is_exposed(config: ProviderConfig, trusted_hosts: Collection[str]) -> bool:
    """Whether a key leaves for a host outside without encryption, for everybody on the way to read."""
    if (
        not isinstance(config, RemoteConfig)
        or config.api_key is None
        or not config.api_key.get_secret_value()
    ):
        return False
    url = URL(getattr(config, "base_url", ""))
    host = url.raw_host or ""
    return url.scheme == "http" and not is_inside(host) and not is_named(host, url.port, trusted_hosts)
