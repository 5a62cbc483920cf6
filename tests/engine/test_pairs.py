"""The flows of a collective: start times and caps by message size, weights by crowd."""

from __future__ import annotations

import numpy as np
import pytest

from janus_sim.engine.pairs import PairFlows, Word
from tests.engine.lab import GB, Lab, topology

#: a slow line without start, then a fast one that starts late: 1 s and more pays 1 s
LINES = {
    kind: [{"start": "0 s", "rate": "0.5 GB/s"}, {"start": "1 s", "rate": "1 GB/s"}]
    for kind in ("nvlink", "rdma")
}


def pairs(
    where: object, ends: list[tuple[int, int]], gigabytes: list[float], word: Word = "all_to_all"
) -> PairFlows:
    fabric = Lab(where).cluster.fabric  # type: ignore[arg-type]
    source, target = np.array(ends, dtype=np.int64).reshape(-1, 2).T
    sizes = np.array([round(one * GB) for one in gigabytes], dtype=np.int64)
    return PairFlows(fabric, range(fabric.topology.world), source, target, sizes, word, word)


def test_a_rank_takes_the_line_of_what_it_sends_over_paths_of_one_kind() -> None:
    where = topology(2, 2, changes={"transfers": {"all_to_all": LINES}})
    flows = pairs(where, [(0, 1), (0, 2), (0, 3), (1, 2)], [0.8, 0.8, 0.8, 0.8])
    # 0 sends 1.6 GB to the other machine: it starts late and is not capped; 0.8 GB is quicker without a start
    assert flows.delays.tolist() == [0, 1, 1, 0]
    assert flows.caps.tolist() == [0.5 * GB, np.inf, np.inf, 0.5 * GB]


def test_a_cap_is_for_all_bytes_of_a_rank_together() -> None:
    where = topology(1, 3, changes={"transfers": {"all_to_all": LINES}})
    flows = pairs(where, [(0, 1), (0, 2)], [0.1, 0.3])
    assert flows.caps.tolist() == pytest.approx([0.125 * GB, 0.375 * GB])


def test_paths_of_a_machine_with_pairs_are_of_two_kinds() -> None:
    about = {"machine": {"nvlink": {"type": "pairs", "pairs": [{"gpus": [0, 1]}]}}}
    starts = {"all_to_all": {"pcie": [{"start": "2 s"}]}}
    flows = pairs(topology(1, 4, changes={**about, "transfers": starts}), [(0, 1), (0, 2)], [1, 1])
    assert flows.delays.tolist() == [0, 2]


def test_flows_of_one_collective_weigh_together_what_channels_says() -> None:
    ends = [(0, 2), (0, 3), (1, 2), (1, 3), (0, 1)]
    assert pairs(topology(2, 2), ends, [1] * 5).weights.tolist() == [0.25] * 4 + [1.0]
    double = topology(2, 2, changes={"communication": {"channels": 2.0}})
    assert pairs(double, ends, [1] * 5).weights.tolist() == [0.5] * 4 + [2.0]


def test_a_ring_between_machines_is_capped_and_one_inside_is_not() -> None:
    where = topology(2, 2, changes={"communication": {"all_reduce_efficiency": 0.5}})
    flows = pairs(where, [(0, 2), (1, 3), (0, 1)], [1, 1, 1], "all_reduce")
    assert flows.caps.tolist() == [0.25 * GB, 0.25 * GB, np.inf]  # two share a NIC


def test_what_members_send_is_counted_to_the_byte() -> None:
    flows = pairs(topology(2, 2), [(0, 1), (0, 2), (3, 2)], [1, 2, 4])
    assert (flows.sent, flows.far) == ([3 * GB, 0, 0, 4 * GB], [2 * GB, 0, 0, 0])


def test_no_flows_are_no_flows() -> None:
    flows = pairs(topology(1, 1), [], [], "all_reduce")
    assert (len(flows.routes), len(flows.delays), flows.sent) == (0, 0, [0])
