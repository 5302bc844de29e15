"""Which links of a vendor's are followed: its own, the operator's, and public ones that are nobody else's."""

from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

import providers
from providers._http_links import is_inside, may_be_public, meant_by, named_host
from providers.base import ProviderConfig, RemoteConfig, Resources
from providers.ecohash import EcoHashConfig
from providers.errors import Unusable
from providers.hosts import is_exposed
from providers.http import Api
from providers.openai_videos import OpenAIVideosConfig
from tests.providers.conftest import FileHost, Received

KEY = SecretStr("a-key")
NO_LINKS = {
    "an empty label": "https://a..b/v",
    "a long label": f"https://{'a' * 64}.com/v",
    "a long name": f"https://{'a.' * 130}com/v",
    "punycode of nothing": "https://xn--/v",
    "punycode of what is no letter": "https://xn--a.com/v",
    "a leading dot": "https://.example.com/v",
    "a space": "https://a b/v",
    "an escape": "https://a%2eb.com/v",
    "digits as escapes": "https://%31%32%37.0.0.1/v",
    "a mapped address with a mark": "https://[::ffff:127.0.0.1%25]/v",
    "an address with a mark": "https://[::1%25]/v",
    "an interface": "https://[fe80::1%25eth0]/v",
    "a port too far": "https://example.com:99999/v",
    "nobody": "https:///v",
    "half an address": "https://[::1/v",
}


def api(resources: Resources, url: str = "https://vendor.example") -> Api:
    return Api(resources, RemoteConfig(api_key=KEY), url, {"Authorization": "Bearer a-key"})


@pytest.mark.parametrize("link", NO_LINKS.values(), ids=NO_LINKS)
async def test_what_is_no_link_is_unusable(resources: Resources, sink: Received, link: str) -> None:
    with pytest.raises(Unusable, match="a link that is none"):
        await api(resources).download(link, sink)
    with pytest.raises(Unusable):
        await api(resources).delete(link)
    if not link.startswith("https:///"):  # beside another, that is a link to the same host
        with pytest.raises(Unusable):
            meant_by(link, seen_from=meant_by("https://vendor.example/file"))


@pytest.mark.parametrize(
    "url", [link.removesuffix("/v") for link in NO_LINKS.values() if "%25eth" not in link]
)
def test_what_is_no_link_is_no_base_url(url: str) -> None:
    with pytest.raises(ValidationError):
        EcoHashConfig(base_url=url)


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1", "10.1.2.3", "169.254.169.254", "100.64.0.1", "0.0.0.1", "224.0.0.1", "240.0.0.1"),
        *("2130706433", "0x7f.1", "0x7f000001", "0177.0.0.1", "127.1", "0", "127.0.0.1."),
        *(
            "::",
            "::1",
            "fe80::1",
            "fe80::1%eth0",
            "::1%",
            "::ffff:127.0.0.1%",
            "fd00::1",
            "fec0::1",
            "ff0e::1",
        ),
        *("::ffff:127.0.0.1", "::ffff:10.0.0.1", "::127.0.0.1", "::10.0.0.1", "64:ff9b::7f00:1"),
        *("64:ff9b::a00:1", "64:ff9b:1::808:808", "2002:7f00:1::", "2002:a00:1::1", "2001:0:0a00:1::1"),
        *("::g", "1::2::3", "a:b", "a%b", "localhost", "localhost.", "a.localhost", ""),
    ],
)
def test_what_leads_inside_is_not_public_however_it_is_written(host: str) -> None:
    assert not may_be_public(host)


@pytest.mark.parametrize(
    "host",
    ["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808", "example.com", "a_b.example.com"],
)
def test_what_may_lead_outside_is_followed(host: str) -> None:
    assert may_be_public(host)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("Files.LAN", "files.lan"),
        ("files.lan:9000", "files.lan:9000"),
        ("10.0.0.1:80", "10.0.0.1:80"),
        ("::1", "[::1]"),
        ("[::1]:9000", "[::1]:9000"),
    ],
)
def test_a_trusted_host_is_a_host_with_or_without_a_port(text: str, named: str) -> None:
    assert named_host(text) == named


@pytest.mark.parametrize(
    "text", ["http://files.lan", "files.lan/x", "a..b", "me@files.lan", "", "a b", "a:b"]
)
def test_what_is_no_host_is_not_trusted(text: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        named_host(text)


async def test_a_host_with_a_port_is_trusted_at_that_port_alone(resources: Resources, sink: Received) -> None:
    async with FileHost() as storage, FileHost() as other:
        named = frozenset({storage.url.removeprefix("http://")})
        trusting = api(replace(resources, trusted_hosts=named))
        await trusting.download(f"{storage.url}/file", sink)
        with pytest.raises(Unusable):
            await trusting.download(f"{other.url}/file", sink)
    assert (len(storage.requests), len(other.requests)) == (1, 0)


async def test_nothing_is_deleted_at_a_host_that_is_not_the_vendors_own(resources: Resources) -> None:
    for link in ("https://example.com/v1/everything", "https://vendor.example:8443/file"):
        with pytest.raises(Unusable, match="not the vendor's own"):
            await api(resources).delete(link)


GPU = OpenAIVideosConfig(base_url="https://gpu.example:8443/v1")
ECO = EcoHashConfig(api_key=KEY, base_url="https://eco.example")


def lent(resources: Resources, name: str, *trusted: str) -> Resources:
    configs: dict[str, ProviderConfig] = {"openai_videos": GPU, "ecohash": ECO}
    made = providers.create(configs, replace(resources, trusted_hosts=frozenset(trusted)))
    return made[name].resources


@pytest.mark.parametrize("link", ["https://gpu.example:8443/v1/videos/1", "https://storage.lan:9000/v"])
async def test_a_link_to_what_is_another_providers_is_not_followed(
    resources: Resources, sink: Received, link: str
) -> None:
    mine = lent(resources, "ecohash", "openai_videos@storage.lan:9000")
    with pytest.raises(Unusable, match="another provider's host"):
        await api(mine, ECO.base_url).download(link, sink)


def test_trust_may_be_for_one_provider(resources: Resources, tmp_path: Path) -> None:
    entries = ("openai_videos@storage.lan:9000", "files.lan")
    assert lent(resources, "openai_videos", *entries).trusted_hosts == {"storage.lan:9000", "files.lan"}
    assert lent(resources, "ecohash", *entries).trusted_hosts == {"files.lan"}
    assert "gpu.example:8443" not in lent(resources, "openai_videos").foreign_hosts


@pytest.mark.parametrize(
    ("url", "exposed"),
    [
        ("http://api.example.com", True),
        ("http://8.8.8.8", True),
        ("https://api.example.com", False),
        *((f"http://{host}:8091", False) for host in ("127.0.0.1", "10.0.0.8", "[::1]", "gpu", "gpu.lan")),
        ("http://trusted.example.com", False),
    ],
)
def test_a_key_over_plain_http_is_exposed_unless_it_stays_inside(url: str, exposed: bool) -> None:  # noqa: FBT001
    assert is_exposed(OpenAIVideosConfig(base_url=url, api_key=KEY), {"trusted.example.com"}) is exposed
    assert not is_exposed(OpenAIVideosConfig(base_url=url), ()), "there is no key to read"
    assert is_inside("localhost")
