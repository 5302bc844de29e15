from datetime import UTC, datetime, timedelta

import pytest

from providers.http import instant, link_expiry

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.mark.parametrize(
    "query",
    [
        "X-Amz-Date=20261121T120000Z&X-Amz-Expires=86400&X-Amz-Signature=5f3c",
        "X-Goog-Date=20261121T120000Z&X-Goog-Expires=86400",
        f"Expires={int((NOW + DAY).timestamp())}&Signature=x",
        "se=2026-11-22T12:00:00Z&sig=x",
        "se=2026-11-22T12:00:00&sig=x",
        f"ex={int((NOW + DAY).timestamp()):x}&is=1&hm=2",
    ],
)
def test_a_signed_link_says_until_when_it_holds(query: str) -> None:
    assert link_expiry(f"https://files.example.com/v.mp4?{query}", NOW) == NOW + DAY


@pytest.mark.parametrize(
    "query",
    [
        "",
        "X-Amz-Expires=86400",
        "X-Amz-Date=yesterday&X-Amz-Expires=86400",
        "X-Amz-Date=20261121T120000Z&X-Amz-Expires=nan",
        "X-Amz-Date=20261121T120000Z&X-Amz-Expires=1e300",
        "X-Amz-Date=20261121T120000Z&X-Amz-Expires=2678400",
        "X-Amz-Date=20261119T120000Z&X-Amz-Expires=86400",
        "Expires=never",
        "Expires=inf",
        "se=0001-01-01T00:00:00",
        "ex=zz",
        "ex=ffffffffffffffffffffffff",
    ],
)
def test_a_link_that_says_nothing_believable_has_no_expiry(query: str) -> None:
    assert link_expiry(f"https://files.example.com/v.mp4?{query}", NOW) is None


def test_what_is_no_link_has_no_expiry() -> None:
    assert link_expiry("https://[::1/v.mp4?Expires=1", NOW) is None


def test_a_link_that_has_just_expired_says_so() -> None:
    past = NOW - timedelta(minutes=5)
    assert link_expiry(f"https://x.example/v?Expires={int(past.timestamp())}", NOW) == past


@pytest.mark.parametrize("said", [None, True, "1795262400", 0, -1, 1e300, float("nan"), {"a": 1}])
def test_only_a_believable_unix_time_is_an_instant(said: object) -> None:
    assert instant(said, NOW) is None  # pyright: ignore[reportArgumentType] - some are no JSON


def test_a_unix_time_is_an_instant() -> None:
    assert instant((NOW + DAY).timestamp(), NOW) == NOW + DAY
