from collections.abc import AsyncIterator, Callable
from datetime import date, timedelta

import pytest
from pydantic import SecretStr

from providers._venice_warnings import Warnings
from providers.base import Resources
from providers.specs import VideoRequest
from providers.venice import Venice, VeniceConfig
from tests.vendors.venice import I2V, VeniceServer

DEPRECATED = {
    "x-venice-model-deprecation-warning": "Use wan-4 instead.",
    "x-venice-model-deprecation-date": "2026-12-01",
}


@pytest.fixture
async def vendor() -> AsyncIterator[VeniceServer]:
    async with VeniceServer() as server:
        yield server


@pytest.fixture
def venice(vendor: VeniceServer, resources: Resources) -> Venice:
    return Venice(VeniceConfig(api_key=SecretStr(vendor.KEY), base_url=vendor.url), resources)


class Day:
    def __init__(self) -> None:
        self.date = date(2026, 11, 21)

    def __call__(self) -> date:
        return self.date


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "providers._venice_warnings"]


async def test_what_venice_says_beside_its_answers_reaches_the_log_once(
    venice: Venice,
    vendor: VeniceServer,
    ask_for: Callable[..., VideoRequest],
    caplog: pytest.LogCaptureFixture,
) -> None:
    vendor.headers = {"x-venice-balance-usd": "1.5", "x-venice-balance-diem": "0", **DEPRECATED}
    operation = await venice.submit(ask_for(I2V, duration=5, resolution="720p"))
    await venice.poll(operation)
    assert told(caplog) == [
        "Venice: the balance is low (1.50 in USD and DIEM); without any, Venice is paused",
        f"Venice retires {I2V}: 2026-12-01 Use wan-4 instead.",
    ]


def test_a_low_balance_is_told_again_after_it_was_not(caplog: pytest.LogCaptureFixture) -> None:
    warnings = Warnings(5.0)
    for amount in ("6", "4.9", "4", "0", "nan", "", "20", "1"):
        warnings.read({"x-venice-balance-usd": amount}, {})
    assert len(told(caplog)) == 2


def test_either_balance_pays(caplog: pytest.LogCaptureFixture) -> None:
    warnings = Warnings(5.0)
    warnings.read({"x-venice-balance-usd": "0", "x-venice-balance-diem": "9"}, {})
    warnings.read({"x-venice-balance-diem": "5"}, {})
    assert told(caplog) == []


def test_a_models_end_is_told_once_a_day(caplog: pytest.LogCaptureFixture) -> None:
    day = Day()
    warnings = Warnings(5.0, day)
    for model in ("wan", "wan", "kling"):
        warnings.read(DEPRECATED, {"model": model})
    assert len(told(caplog)) == 2
    day.date += timedelta(days=1)
    warnings.read(DEPRECATED, {"model": "wan"})
    assert len(told(caplog)) == 3


def test_a_vendors_words_stay_one_line_of_the_log(caplog: pytest.LogCaptureFixture) -> None:
    Warnings(5.0).read({"x-venice-model-deprecation-warning": "a\tb" + "c" * 999}, {"model": "x\ny"})
    [line] = told(caplog)
    assert line.startswith("Venice retires x y: a bccc")
    assert len(line) < 300
