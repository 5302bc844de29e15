"""Pauses of the bot, as waits that end late show them."""

import logging
from datetime import timedelta

import pytest

from bot.engine.uptime import LATE, Uptime
from tests.clock import NOON


def test_one_pause_is_noticed_once_however_many_waits_it_has_kept(caplog: pytest.LogCaptureFixture) -> None:
    uptime = Uptime(NOON)
    woken = NOON + timedelta(minutes=20)
    with caplog.at_level(logging.WARNING):
        first = uptime.awake_since(woken, due=NOON)
        again = uptime.awake_since(woken + timedelta(seconds=1), due=NOON)
    assert (first, again) == (woken, woken)
    assert len(caplog.records) == 1


def test_a_second_pause_is_another_one() -> None:
    uptime = Uptime(NOON)
    woken = NOON + timedelta(minutes=20)
    uptime.awake_since(woken, due=NOON)
    later = woken + LATE + timedelta(seconds=1)
    assert uptime.awake_since(later, due=NOON) == later


def test_a_pause_right_after_another_is_noticed_by_a_call_that_was_in_flight() -> None:
    uptime = Uptime(NOON)
    uptime.expect(NOON + timedelta(seconds=15))
    woken, again = NOON + timedelta(minutes=20), NOON + timedelta(minutes=40)
    assert uptime.awake_since(woken) == woken
    assert uptime.awake_since(again) == again
