"""Two clocks, one of which never runs backwards."""

import pytest

from device_sim.clock import ManualClock, SystemClock, format_utc, parse_utc


def test_times_are_spelled_as_the_contract_does() -> None:
    assert format_utc(0) == "1970-01-01T00:00:00.000Z"
    assert format_utc(parse_utc("2026-11-23T21:50:19.123Z")) == "2026-11-23T21:50:19.123Z"
    assert format_utc(parse_utc("2026-11-23T22:50:19+01:00")) == "2026-11-23T21:50:19.000Z"
    with pytest.raises(ValueError, match="no time zone"):
        parse_utc("2026-11-23T21:50:19")


def test_a_manual_clock_moves_when_somebody_waits() -> None:
    clock = ManualClock.at("2026-11-23T21:50:19.123Z", mono_ms=500)
    clock.wait_until(2_500)
    clock.wait_until(100)
    clock.jump_utc(-60_000)
    assert (format_utc(clock.utc_ms()), clock.mono_ms()) == ("2026-11-23T21:49:21.123Z", 2_500)
    with pytest.raises(ValueError, match="backwards"):
        clock.advance(-1)


def test_the_machines_clock_goes_on_where_the_cameras_stood() -> None:
    clock = SystemClock(mono_ms=1_000_000)
    before = clock.mono_ms()
    assert before >= 1_000_000
    clock.wait_until(before + 5)
    assert clock.mono_ms() >= before + 5
    clock.wait_until(0)
    assert clock.utc_ms() > parse_utc("2020-01-01T00:00:00Z")
