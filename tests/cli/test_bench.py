"""`janus-sim bench` through the installed command: nccl-tests' columns, and a log to compare with."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


def janus(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "janus_sim", *words], capture_output=True, text=True, check=False
    )


def rows(text: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines() if not line.startswith("#")]


def test_all_to_all_of_two_gpus_takes_its_bytes_over_the_nic_and_the_start() -> None:
    """16 KiB a rank: half of it crosses at 10 GB/s after 100 us."""
    done = janus("bench", "all_to_all", "--topology", "two_gpus", "-b", "8K", "-e", "16K", "-f", "2")
    assert done.returncode == 0, done.stderr
    assert [row[0] for row in rows(done.stdout)] == ["8192", "16384"]
    assert float(rows(done.stdout)[1][5]) == pytest.approx(100 + 8192 / 10e9 * 1e6, rel=1e-3)
    assert "# Avg bus bandwidth" in done.stdout


def test_a_log_is_compared_by_size(tmp_path: Path) -> None:
    log = tmp_path / "log.txt"
    log.write_text(
        "# nThread 1 nGpus 1\n#       size         count\n"
        "       16384        2048     float    none      -1   50.41   0.33   0.16   0   50.0  0.33  0.16  0\n"
        "      999424        2048     float    none      -1   50.41   0.33   0.16   0   50.0  0.33  0.16  0\n"
    )
    done = janus("bench", "all_to_all", "--topology", "two_gpus", "--against", str(log), "-e", "16K")
    assert done.returncode == 0, done.stderr
    (row,) = rows(done.stdout)
    assert row[-2:] == ["50.41", "+100.0%"]
    assert "# Error of the time    : 100.0% on average, +100.0% at worst" in done.stdout


def test_the_algorithm_and_the_type_may_be_named() -> None:
    words = ("--topology", "a100_2x8", "-b", "64M", "-e", "64M", "-d", "half")
    times = {
        name: float(rows(janus("bench", "all_reduce", *words, "--algorithm", name).stdout)[0][5])
        for name in ("ring", "hierarchical")
    }
    assert times["ring"] > times["hierarchical"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["-b", "0"], "write as 8, 64K"),
        (["-b", "-1"], "write as 8, 64K"),
        (["-b", "9999999999G"], "write as 8, 64K"),
        (["-b", "9" * 5000], "write as 8, 64K"),
        (["-b", "4M", "-e", "1M"], "leave no size; they run from 4194304 bytes up to 1048576"),
        (["-b", "8G"], "up to 4294967296"),
        (["-e", "1K"], "from 1048576 bytes"),
        (["-d", "half", "-f", "4", "--against", "x.log"], "-d  is what the log of --against says"),
        (["-d", "quad"], "no type of nccl-tests"),
        (["--algorithm", "ring"], "has one algorithm"),
        (["--against", "nowhere.log"], "cannot be read"),
        (["--topology", "nowhere"], "nowhere"),
    ],
)
def test_bad_words_are_told(words: list[str], message: str) -> None:
    done = janus("bench", "all_to_all", *words)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_a_path_of_another_collective_is_refused() -> None:
    done = janus("bench", "all_reduce", "--path", "2dh")
    assert done.returncode == 2
    assert "--path  is how an All-to-All goes, not all_reduce" in done.stderr


def test_a_log_without_a_size_that_was_asked_for_is_told(tmp_path: Path) -> None:
    log = tmp_path / "log.txt"
    log.write_text(
        "       16384        2048     float    none      -1   50.41   0.33   0.16   0   50.0  0.33  0.16  0\n"
    )
    done = janus("bench", "all_to_all", "--topology", "two_gpus", "--against", str(log), "-b", "1M")
    assert (done.returncode, done.stdout) == (2, "")
    assert "the log has 16384 to 16384 bytes" in done.stderr


def test_an_unknown_algorithm_names_the_known() -> None:
    done = janus("bench", "all_reduce", "--topology", "two_gpus", "--algorithm", "rin")
    assert done.returncode == 2
    assert 'did you mean "ring"?' in done.stderr
