"""The lower envelope: small messages start early and move slowly, large ones wait for the links alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from janus_sim.topology import Topology
from janus_sim.topology.spec import LineSpec, RowsSpec
from janus_sim.topology.transfers import Envelope, Rows


def test_three_lines() -> None:
    # 1 s + s / 1, 3 s + s / 2, 7 s + s / 4: they cross at 4 and at 16 bytes
    lines = Envelope(
        [LineSpec(start=1.0, rate=1.0), LineSpec(start=3.0, rate=2.0), LineSpec(start=7.0, rate=4.0)]
    )
    starts, caps = lines(np.array([0.0, 3.0, 5.0, 15.0, 17.0]))
    assert starts.tolist() == [1.0, 1.0, 3.0, 3.0, 7.0]
    assert caps.tolist() == [1.0, 1.0, 2.0, 2.0, np.inf]


def test_rows_cost_more_than_their_bytes() -> None:
    """Eight rows of 10 bytes, of four tokens: 80 bytes, 80 for the rows, 80 for the tokens, by four SMs.

    The first row goes through in 2 s, in which no SM can be done.
    """
    costs = RowsSpec(extra="10 B", token=2.0, pace="5 B/s")  # type: ignore[arg-type]
    envelope, sizes = Envelope([LineSpec(start=1.0, sm_rate=1.0)], costs), np.array([80.0])
    starts, caps = envelope(sizes, sms=4, rows=Rows(10, (4,)))
    assert (starts.tolist(), (sizes / caps).round(9).tolist()) == ([3.0], [60.0])
    assert [part.tolist() for part in envelope(sizes, sms=4)] == [[1.0], [4.0]]


def test_one_line_is_a_start_alone() -> None:
    starts, caps = Envelope([LineSpec(start=50e-6)])(np.array([1.0, 1e12]))
    assert starts.tolist() == [50e-6, 50e-6]
    assert np.isinf(caps).all()


@given(
    st.lists(st.floats(0, 1e12), min_size=1),
    st.lists(st.tuples(st.floats(0, 1), st.floats(1e3, 1e12)), min_size=1),
)
def test_the_line_taken_is_the_least(sizes: list[float], lines: list[tuple[float, float]]) -> None:
    envelope = Envelope([LineSpec(start=start, rate=rate) for start, rate in lines])
    starts, caps = envelope(np.array(sizes))
    rates = np.where(np.isinf(caps), lines[-1][1], caps)
    least = np.min([[start + size / rate for start, rate in lines] for size in sizes], axis=1)
    assert starts + np.array(sizes) / rates == pytest.approx(least, rel=1e-12)


def seconds(topology: Topology, word: str, kind: str, sizes: np.ndarray, rate: float) -> np.ndarray:
    """What a collective takes whose ranks send `sizes` over links that give each of them `rate`."""
    starts, caps = topology.start(word, kind, sizes)
    return starts + sizes / np.minimum(caps, rate)


def error(model: np.ndarray, measured: pd.Series) -> float:
    return float(np.sqrt(np.mean(np.log(model / measured.to_numpy()) ** 2)))


@pytest.mark.parametrize(
    ("preset", "gpu", "bound"), [("a100_4x8", "A100-SXM4", 0.07), ("h100_4x8", "H100", 0.065)]
)
def test_all_to_all_inside_a_machine(data: Path, preset: str, gpu: str, bound: float) -> None:
    table = pd.read_csv(data / "comm" / "aiconfigurator_nccl.csv.gz")
    chosen = table[table.gpu.str.contains(gpu) & (table.op == "alltoall") & (table.gpus == 8)]
    measured = chosen.groupby("bytes").time_us.median() * 1e-6
    topology = Topology.load(preset)
    port = topology.capacity[topology.route(0, 1)[0]]
    model = seconds(topology, "all_to_all", "nvlink", measured.index.to_numpy() * 7 / 8, port)
    assert error(model, measured) < bound
    large = measured.index >= 2**24
    assert np.abs(model[large] / measured[large] - 1).max() < 0.045


def test_all_to_all_between_machines(data: Path) -> None:
    table = pd.read_csv(data / "comm" / "nccl_tests.csv")
    sophia = table.source.str.contains("alcf") & (table.op == "alltoall") & (table.nodes == 2)
    chosen = table[sophia & (table.bytes >= 4096) & ~table.notes.fillna("").str.contains("NCCL_ALGO")]
    measured = chosen.groupby("bytes").time_us.median() * 1e-6
    model = seconds(Topology.load("a100_4x8"), "all_to_all", "rdma", measured.index.to_numpy() / 2, 21.2e9)
    assert error(model, measured) < 0.06
    assert np.abs(model / measured - 1)[measured.index >= 2**25].max() < 0.03


def test_rings_and_the_switch_take_the_lines_of_all_reduce_unless_they_have_their_own() -> None:
    size = np.array([1e9])
    plain, own = Topology.load("two_gpus"), Topology.load({"base": "a100", "machines": 2})
    assert plain.start("ring", "rdma", size) == plain.start("all_reduce", "rdma", size)
    assert own.start("ring", "rdma", size)[0].tolist() == [80e-6]
    assert own.start("in_switch", "nvlink", size) == own.start("all_reduce", "nvlink", size)
