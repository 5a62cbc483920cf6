"""Words to SI floats and back."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from janus_sim import units

Parse = Callable[[object], float]


@pytest.mark.parametrize(
    "words",
    ["200 Gbit/s", "200Gb/s", "200Gbps", "25 GB/s", "25GB/s", " 25 GB/s ", "2.5e10 B/s", "25 GByte/s"],
)
def test_one_bandwidth_in_many_forms(words: str) -> None:
    assert units.parse_bandwidth(words) == 25e9


@pytest.mark.parametrize(
    ("parse", "words", "value"),
    [
        (units.parse_time, "50us", 50e-6),
        (units.parse_time, "50 µs", 50e-6),
        (units.parse_time, "0 s", 0.0),
        (units.parse_time, "2 min", 120.0),
        (units.parse_bytes, "80 GB", 80e9),
        (units.parse_bytes, "2 GiB", 2.0**31),
        (units.parse_bytes, "0 B", 0.0),
        (units.parse_bandwidth, "1 GiB/s", 2.0**30),
        (units.parse_rate, "312 TFLOP/s", 312e12),
        (units.parse_rate, "312 TFLOPS", 312e12),
    ],
)
def test_words_are_read_to_the_nearest_float(parse: Parse, words: str, value: float) -> None:
    assert parse(words) == value


@pytest.mark.parametrize(
    "parse", [units.parse_bandwidth, units.parse_time, units.parse_bytes, units.parse_rate]
)
@pytest.mark.parametrize(
    "words",
    [
        200,
        200.0,
        True,
        None,
        "200",
        "",
        "NaN GB/s",
        math.nan,
        "nan s",
        "-1 s",
        "-1 GB",
        "-1 GB/s",
        "-1 TFLOP/s",
        "1e400 s",
        "9" * 200,
        "1 parsec",
    ],
)
def test_what_is_no_quantity_is_refused(parse: Parse, words: object) -> None:
    with pytest.raises(ValueError, match=r"write|range"):
        parse(words)


@pytest.mark.parametrize("words", ["0 GB/s", "0 Gbit/s"])
def test_a_bandwidth_of_zero_is_refused(words: str) -> None:
    with pytest.raises(ValueError, match="not above zero"):
        units.parse_bandwidth(words)


def test_the_refusal_says_what_to_write() -> None:
    with pytest.raises(ValueError, match='"200 Gbps/s" is not a bandwidth; write "200 Gbit/s"'):
        units.parse_bandwidth("200 Gbps/s")


@given(st.floats(min_value=1e-8, max_value=1e5))
def test_a_written_time_is_read_again(value: float) -> None:
    assert units.parse_time(units.format_time(value)) == pytest.approx(value, rel=1e-3)


@given(st.floats(min_value=1.0, max_value=1e15))
def test_written_sizes_and_rates_are_read_again(value: float) -> None:
    assert units.parse_bandwidth(units.format_bandwidth(value)) == pytest.approx(value, rel=1e-3)
    assert units.parse_bytes(units.format_bytes(value)) == pytest.approx(value, rel=1e-3)
    assert units.parse_rate(units.format_rate(value)) == pytest.approx(value, rel=1e-3)


def test_zero_is_written_plainly() -> None:
    assert units.format_time(0.0) == "0 s"
    assert units.format_bytes(0) == "0 B"
