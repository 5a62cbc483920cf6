"""Each column ends where nccl-tests ends it."""

from __future__ import annotations

import pytest

from janus_sim.bench import HEAD, KINDS, Row, foot, line
from janus_sim.bench.columns import number

#: The first half of a header and a line of nccl-tests 2.17.
THERE = (
    "#       size         count      type   redop    root     time   algbw   busbw  #wrong",
    "     8388608       2097152     float     sum      -1   151.55   55.35  103.78       0",
)


def test_the_header_and_the_lines_are_as_there() -> None:
    row = Row(8388608, 2097152, "float", 151.55e-6, 55.35e9, 103.78e9)
    assert HEAD.splitlines()[1] == THERE[0]
    assert line(row, KINDS["all_reduce"])[:-7] == THERE[1][:-7]
    assert len(line(row, KINDS["all_reduce"])) == len(THERE[1])


@pytest.mark.parametrize(
    ("value", "width", "text"),
    [
        (0.0, 7, "   0.00"),
        (9.999, 7, "  10.00"),
        (999.5, 7, " 999.50"),
        (99999.4, 7, "99999.4"),
        (1234567.8, 7, "1234568"),
        (12345678.0, 7, "1.2e+07"),
        (479.685, 6, "479.69"),
        (1234.5, 6, "1234.5"),
        (123456.7, 6, "123457"),
    ],
)
def test_numbers_keep_their_width(value: float, width: int, text: str) -> None:
    assert number(value, width) == text


def test_root_and_redop_are_those_of_each_test() -> None:
    row = Row(4, 1, "float", 1e-6, 1e9, 1e9)
    cells = {name: line(row, kind).split()[3:5] for name, kind in KINDS.items()}
    assert cells["broadcast"] == ["none", "0"]
    assert cells["reduce_scatter"] == cells["sendrecv"] == ["sum", "-1"]
    assert cells["all_to_all"] == cells["all_gather"] == ["none", "-1"]


def test_of_no_size_the_mean_is_nothing() -> None:
    assert foot([]) == "# Avg bus bandwidth    : 0"
