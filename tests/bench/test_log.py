"""Logs of nccl-tests: all its versions, launchers that write between, and files that are none."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from janus_sim.bench import KINDS, Row, line, read_log
from janus_sim.bench.log import _parse
from janus_sim.errors import InputError

NEW = """\
# nccl-tests version 2.17.6 nccl-headers=22807 nccl-library=22807
# Collective test starting: all_reduce_perf
# nThread 1 nGpus 1 minBytes 1048576 maxBytes 2097152 step: 2(factor) warmup iters: 1 iters: 20 agg iters: 1
#
# Using devices
#  Rank  0 Group  0 Pid  11 on    machine0 device  0 [0000:07:00] some GPU
#  Rank  1 Group  0 Pid  12 on    machine0 device  1 [0000:0f:00] some GPU
#
#                                                              out-of-place                       in-place
#       size         count      type   redop    root     time   algbw   busbw  #wrong     time   algbw
#        (B)    (elements)                               (us)  (GB/s)  (GB/s)             (us)  (GB/s)
     1048576        262144     float     sum      -1    50.00   20.97   20.97       0    49.00   21.40
     2097152        524288     float     sum      -1   123456   20.97   20.97     N/A  1.2e+07   21.40
# Out of bounds values : 0 OK
# Avg bus bandwidth    : 20.97
"""
#: Before 2020 each test had columns of its own.
OLD = """\
#                                              out-of-place                       in-place
#       size         count    type     time   algbw   busbw  error     time   algbw   busbw  error
#        (B)    (elements)             (us)  (GB/s)  (GB/s)            (us)  (GB/s)  (GB/s)
       1024            16   float    35.79    0.03    0.03  0e+00    36.00    0.03    0.03  0e+00
"""
BLANK = """\
#       size         count    type   redop     time   algbw   busbw  error     time   algbw   busbw  error
       1024            16   float            58.27    0.02    0.02  0e+00    57.00    0.02    0.02    N/A
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "log.txt"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_log_of_today(tmp_path: Path) -> None:
    log = read_log(write(tmp_path, NEW), "all_reduce", 2)
    assert (log.ranks, log.program, log.sizes()) == (2, "all_reduce_perf", [1 << 20, 1 << 21])
    assert log.rows[0] == Row(1 << 20, 1 << 18, "float", pytest.approx(50e-6), 20.97e9, 20.97e9)
    assert log.time(1 << 21) == pytest.approx(0.123456)
    assert log.time(5) is None


@pytest.mark.parametrize(("text", "seconds"), [(OLD, 35.79e-6), (BLANK, 58.27e-6)])
def test_logs_of_old(tmp_path: Path, text: str, seconds: float) -> None:
    (row,) = read_log(write(tmp_path, text)).rows
    assert row.time == pytest.approx(seconds)


@pytest.mark.parametrize("before", ["[1,0]<stdout>:", "worker-0: ", "2026-01-28T14:50:17 [node3] "])
def test_what_a_launcher_writes_before_each_line_is_skipped(tmp_path: Path, before: str) -> None:
    text = "".join(before + one for one in NEW.splitlines(keepends=True))
    log = read_log(write(tmp_path, text), "all_reduce", 2)
    assert len(log.rows) == 2
    assert log.ranks == 2


def test_several_runs_in_one_log_give_the_median(tmp_path: Path) -> None:
    rows = [NEW.replace("50.00", time) for time in ("40.00", "90.00", "60.00")]
    assert read_log(write(tmp_path, "".join(rows)), "all_reduce", 2).time(1 << 20) == pytest.approx(60e-6)


def test_what_is_printed_is_read_again(tmp_path: Path) -> None:
    row = Row(1 << 20, 1 << 18, "float", 93.25e-6, 11.24e9, 21.08e9)
    (again,) = read_log(write(tmp_path, line(row, KINDS["all_reduce"]))).rows
    assert again == Row(1 << 20, 1 << 18, "float", pytest.approx(93.25e-6), 11.24e9, 21.08e9)


@pytest.mark.parametrize(
    ("collective", "world", "message"),
    [
        ("all_gather", 2, "is a log of all_reduce_perf, not of all_gather_perf"),
        ("all_reduce", 16, "has 2 ranks; the topology has 16 GPUs"),
    ],
)
def test_a_log_of_something_else_is_told(tmp_path: Path, collective: str, world: int, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_log(write(tmp_path, NEW), collective, world)


def test_rates_tell_another_number_of_gpus(tmp_path: Path) -> None:
    """Nothing but lines: all_reduce of 2 ranks has a factor of 1, of 16 one of 1.875."""
    bare = "".join(one for one in NEW.splitlines(keepends=True) if not one.startswith("#"))
    assert len(read_log(write(tmp_path, bare), "all_reduce", 2).rows) == 2
    with pytest.raises(InputError, match=r"1\.000 times algbw; of all_reduce among 16 GPUs it is 1\.875"):
        read_log(write(tmp_path, bare), "all_reduce", 16)


BAD = [
    "",
    "hello",
    "\x00\xff" * 1000,
    "1 2 float sum -1 nan nan nan 0",
    "1 2 float sum -1 inf 1 1 0",
    "1 2 float sum -1 -5 1 1 0",
    "-1 2 float sum -1 5 1 1 0",
    "9" * 5000 + " 2 float sum -1 5 1 1 0",
    "9" * 30 + " 2 float sum -1 5 1 1 0",
    "1 2 float",
    "float float float",
]


@pytest.mark.parametrize("text", BAD)
def test_garbage_is_no_log(tmp_path: Path, text: str) -> None:
    with pytest.raises(InputError, match="holds no line of nccl-tests"):
        read_log(write(tmp_path, text))


def test_a_file_too_large_or_with_too_many_sizes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="larger than 16000000 bytes"):
        read_log(write(tmp_path, "#" * 16_000_001))
    many = "".join(f"{size} 1 float sum -1 5.00 1 1 0\n" for size in range(1, 1002))
    with pytest.raises(InputError, match="holds 1001 sizes; at most 1000"):
        read_log(write(tmp_path, many))


def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe"):
        with pytest.raises(InputError, match="is no file"):
            read_log(path)
    with pytest.raises(InputError, match="No such file"):
        read_log(tmp_path / "nowhere")


@settings(max_examples=200)
@given(st.text(alphabet="# -+.0123456789efloatsumnone\t\n", max_size=300))
def test_nothing_read_is_unsound(text: str) -> None:
    for row in _parse(text.splitlines()).rows:
        assert row.size >= 0
        assert 0 < row.time < float("inf")
