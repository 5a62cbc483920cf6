"""Several queue pairs between two devices: each a flow of its own, hashed apart, collisions included."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from janus_sim.errors import InputError
from janus_sim.topology import Topology
from janus_sim.topology.hashing import spines
from janus_sim.workload.copies import Traffic
from tests.engine.lab import GB, Lab, topology

SPINES = 4


def hashed(queue_pairs: int, *, spines: int = SPINES, gpus: int = 1, seed: int = 0) -> Topology:
    """Two machines under a leaf each; NICs carry 1 GB/s, the uplinks of a leaf as much as its NICs."""
    fabric = {
        "type": "leaf_spine", "machines_per_leaf": 1, "paths": "hash", "spines": spines, "seed": seed,
        "queue_pairs": queue_pairs,
    }  # fmt: skip
    return topology(2, gpus, nics=gpus, changes={"fabric": fabric})


def crowd(queue_pairs: int, seed: int, source: int = 1, target: int = 0) -> list[int]:
    """How many of the queue pairs between two GPUs each spine has."""
    one = np.ones(queue_pairs, dtype=np.int64)
    taken = spines(seed, source * one, target * one, SPINES, np.arange(queue_pairs))
    return np.bincount(taken, minlength=SPINES).tolist()


@pytest.mark.parametrize("queue_pairs", [1, 2, 3, 8])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_pull_takes_as_long_as_its_most_crowded_spine(queue_pairs: int, seed: int) -> None:
    """A spine carries a quarter of 1 GB/s: all of 1 GB over one spine takes 4 s, spread evenly 1 s."""

    def story(gpu: Any) -> Any:
        yield gpu.pull(1, GB, "expert")

    lab = Lab(hashed(queue_pairs, seed=seed)).run([story])
    expected = max(crowd(queue_pairs, seed)) / queue_pairs * SPINES
    assert lab.span("expert")["end"] == pytest.approx(max(expected, 1.0))
    carried = lab.cluster.fabric.carried["expert"]
    links = {link.name: int(carried[link.index]) for link in lab.cluster.topology.links}
    assert links["m1.nic0.out"] == links["m0.nic0.in"] == GB
    up = [links[f"leaf1.spine{spine}.up"] for spine in range(SPINES)]
    assert sum(up) == GB
    assert np.array(up) == pytest.approx(np.array(crowd(queue_pairs, seed)) * GB / queue_pairs, abs=SPINES)


def exchange(where: Topology, sizes: Sequence[Sequence[int]]) -> Lab:
    table = Traffic(tuple(range(len(sizes))), np.array(sizes, dtype=np.int64))

    def story(gpu: Any) -> Any:
        yield gpu.all_to_all(table, "dispatch")

    return Lab(where).run([story] * len(sizes))


@pytest.mark.parametrize("queue_pairs", [1, 2, 5])
def test_an_exchange_cuts_what_goes_between_leaves_and_nothing_else(queue_pairs: int) -> None:
    lab = exchange(hashed(queue_pairs, gpus=2), [[0, 8, 8, 8]] * 4)
    kinds = [(link.name, int(moved)) for link, moved in
             zip(lab.cluster.topology.links, lab.cluster.fabric.carried["expert"], strict=True)]  # fmt: skip
    assert sum(moved for name, moved in kinds if "leaf0" in name and name.endswith("up")) == 4 * 8
    assert sum(moved for name, moved in kinds if name.startswith("m0.nic") and name.endswith("out")) == 4 * 8
    assert lab.span("dispatch", rank=0)["bytes"] == 3 * 8
    assert lab.cluster.flows.in_flight == 0


def test_one_spine_makes_no_difference() -> None:
    ends = [
        [span["end"] for span in exchange(hashed(pairs, spines=1, gpus=2), [[0, 1, 5, 3]] * 4).spans]
        for pairs in (1, 7)
    ]
    assert ends[0] == pytest.approx(ends[1])


def test_an_all_reduce_ends_when_all_its_parts_have() -> None:
    def story(gpu: Any) -> Any:
        yield gpu.all_reduce((0, 1), GB, "sum")

    lab = Lab(hashed(2)).run([story] * 2)
    ways = [max(crowd(2, 0, *pair)) / 2 * SPINES for pair in ((0, 1), (1, 0))]
    assert {round(span["end"], 9) for span in lab.spans} == {max(ways)}


def test_without_hashing_they_are_refused() -> None:
    with pytest.raises(InputError, match="queue_pairs are hashed apart; write paths: hash"):
        topology(2, changes={"fabric": {"type": "leaf_spine", "machines_per_leaf": 1, "queue_pairs": 2}})
