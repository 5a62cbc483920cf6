"""Simulated collectives against nccl-tests: no worse than docs/validation.md says.


Sources: argonne-lcf/alcf-nccl-tests 385be336, NVIDIA/nccl issue 1138, xxrjun/nccl-tests-cluster 455de4f8.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from janus_sim.bench import measure
from janus_sim.topology import Topology

SOPHIA = {"base": "a100_2x8", "machine": {"nics": {"count": 8, "efficiency": 0.85}}}


@pytest.fixture(scope="module")
def measured(data: Path) -> pd.DataFrame:
    return pd.read_csv(data / "comm" / "nccl_tests.csv")


def medians(rows: pd.DataFrame, least: int) -> pd.Series:
    """Median seconds by size, from some size on."""
    return rows[rows["bytes"] >= least].groupby("bytes")["time_us"].median() * 1e-6


@pytest.mark.parametrize(
    ("op", "ours", "bound"), [("alltoall", "all_to_all", 0.20), ("all_reduce", "all_reduce", 0.26)]
)
def test_two_machines_of_eight_a100(measured: pd.DataFrame, op: str, ours: str, bound: float) -> None:
    rows = measured[
        measured["source"].str.contains("sophia") & (measured["nodes"] == 2) & (measured["op"] == op)
    ]
    rows = rows[
        ~rows["notes"].str.contains("NCCL_ALGO=Ring") & ~rows["source"].str.contains("11-28-16/alltoall")
    ]
    topology = Topology.load(SOPHIA)
    times = medians(rows, 65_536)
    assert len(times) >= 8
    for size, expected in times.items():
        assert measure(topology, ours, int(str(size))).time == pytest.approx(expected, rel=bound), size


def test_a_shared_nic(measured: pd.DataFrame) -> None:
    """4 GiB on 2 x 8 A100, a NIC for two GPUs: 19.83 GB/s of bus bandwidth; used for no fit."""
    (expected,) = measured.loc[measured["source"].str.contains("issue #1138"), "busbw_GBps"]
    assert measure(Topology.load("a100_2x8"), "all_to_all", 1 << 32).bus / 1e9 == pytest.approx(
        expected, rel=0.06
    )


def test_all_to_all_of_eight_h100(measured: pd.DataFrame) -> None:
    h100 = measured["gpu"].str.contains("H100") & (measured["gpus"] == 8) & (measured["op"] == "alltoall")
    times = medians(measured[h100], 1 << 26)
    topology = Topology.load({"base": "h100", "machines": 1})
    assert len(times) >= 5
    for size, expected in times.items():
        assert measure(topology, "all_to_all", int(str(size))).time == pytest.approx(expected, rel=0.10), size
