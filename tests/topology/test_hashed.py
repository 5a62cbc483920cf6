"""Leaves that hash pairs of devices to spines: real uplinks, collisions included, and spines that degrade."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

from janus_sim.errors import InputError
from janus_sim.network import finish_times
from janus_sim.topology import Device, LinkChange, Topology
from janus_sim.topology.hashing import spines

#: Four machines on two leaves; a leaf's four NICs of 10 GB/s have as much above them, on two spines.
HASHED: dict[str, Any] = {
    "machines": 4,
    "fabric": {"type": "leaf_spine", "machines_per_leaf": 2, "paths": "hash", "spines": 2},
}


def hashed(**fabric: object) -> Mapping[str, Any]:
    return {**HASHED, "fabric": {**HASHED["fabric"], **fabric}}


def spine_of(topology: Topology, source: Device, target: Device) -> str:
    """Say which spine a route takes, and that it comes down from the same."""
    fabric = [topology.links[link].name for link in topology.route(source, target)]
    up, down = (name.split(".") for name in fabric if name.startswith("leaf"))
    assert (up[1], up[2], down[2]) == (down[1], "up", "down")
    return up[1]


def test_a_leaf_has_an_uplink_to_each_spine_and_the_same_rate_in_all(small: Callable[..., Topology]) -> None:
    topology = small(hashed(oversubscription=4.0, latency="2 us", spines=5))
    fabric = {link.name: link for link in topology.links if link.kind == "fabric"}
    ways = [
        f"leaf{leaf}.spine{spine}.{way}" for leaf in (0, 1) for way in ("up", "down") for spine in range(5)
    ]
    assert list(fabric) == ways
    assert {link.capacity for link in fabric.values()} == {2e9}  # 4 NICs of 10 GB/s, by 4, by 5
    assert topology.latency[list(topology.route(0, 8))].sum() == 2e-6


def test_below_one_leaf_nothing_is_hashed(
    small: Callable[..., Topology], names: Callable[..., list[str]]
) -> None:
    topology = small(hashed())
    assert names(topology, 0, 4) == ["m0.gpu0.pcie.up", "m0.nic0.out", "m1.nic0.in", "m1.gpu0.pcie.down"]


def test_two_flows_that_collide_take_twice_as_long(small: Callable[..., Topology]) -> None:
    """Four GPUs on NICs of 10 GB/s send to four others, 20 GB each; an uplink is as fast as a NIC."""
    sources, targets = np.array([0, 2, 4, 6]), np.array([8, 10, 12, 14])
    for seed in range(20):
        topology = small(hashed(spines=4, seed=seed))
        taken = [spine_of(topology, int(a), int(b)) for a, b in zip(sources, targets, strict=True)]
        crowd = [taken.count(spine) for spine in taken]
        routes = topology.routes(sources, targets)
        times = finish_times(topology.capacity, routes, np.full(4, 20e9))
        assert times.tolist() == pytest.approx([2.0 * most for most in crowd])
    sprayed = small({**HASHED, "fabric": {"type": "leaf_spine", "machines_per_leaf": 2}})
    times = finish_times(sprayed.capacity, sprayed.routes(sources, targets), np.full(4, 20e9))
    assert times.tolist() == [2.0] * 4


def test_pulls_from_and_to_host_memory_are_hashed_too(small: Callable[..., Topology]) -> None:
    topology = small(hashed(spines=4))
    pulls: list[tuple[Device, Device]] = [(("host", 0), rank) for rank in range(8, 16)]
    back = [(target, source) for source, target in pulls]
    for pairs in (pulls, back):
        assert len({spine_of(topology, *pair) for pair in pairs}) > 1
    names = [topology.links[link].name for link in topology.route(("host", 0), 8)]
    spine = spine_of(topology, ("host", 0), 8)
    assert names[-4:] == [f"leaf0.{spine}.up", f"leaf1.{spine}.down", "m2.nic0.in", "m2.gpu0.pcie.down"]


def test_the_seed_deals_anew_and_no_spine_is_favoured(small: Callable[..., Topology]) -> None:
    pairs = [(source, target) for source in range(8) for target in range(8, 16)]
    dealt = [[spine_of(small(hashed(seed=seed)), *pair) for pair in pairs] for seed in (0, 1)]
    assert dealt[0] != dealt[1]
    ranks = np.arange(1024)
    for seed in range(4):  # each pair falls to any of 8 spines alike: 131,072 of 1,048,576 each, within 1 %
        chosen = spines(seed, np.repeat(ranks, 1024), np.tile(ranks, 1024), 8)
        assert np.bincount(chosen) == pytest.approx(np.full(8, 131_072), rel=0.01)


@pytest.mark.parametrize("hash_seed", ["0", "77"])
def test_the_spine_is_the_same_in_every_process(hash_seed: str) -> None:
    text = (
        "from janus_sim.topology.hashing import spine\n"
        "print([spine(7, source, ('host', 2), 16) for source in range(12)])"
    )
    env = {**os.environ, "PYTHONHASHSEED": hash_seed}
    run = [sys.executable, "-c", text]
    done = subprocess.run(run, env=env, capture_output=True, text=True, check=True)
    expected = [mix(mix(mix(7) ^ source) ^ (WORD - 3)) % 16 for source in range(12)]
    assert done.stdout.strip() == str(expected) == "[10, 9, 4, 9, 3, 7, 0, 8, 4, 14, 6, 3]"


WORD = 2**64


def mix(state: int) -> int:
    """Give the next number of splitmix64 in plain integers."""
    mixed = (state + 0x9E3779B97F4A7C15) % WORD
    mixed = (mixed ^ mixed >> 30) * 0xBF58476D1CE4E5B9 % WORD
    mixed = (mixed ^ mixed >> 27) * 0x94D049BB133111EB % WORD
    return mixed ^ mixed >> 31


def test_the_mixing_is_that_of_splitmix64() -> None:
    assert mix(0) == 0xE220A8397B1DCDAF  # the first number of seed 0, as of the authors' splitmix64.c


def test_a_spine_may_degrade_later(small: Callable[..., Topology]) -> None:
    override = {"links": "leaf*.spine1.*", "scale": 0.25, "at": "5 ms"}
    topology = small({**hashed(), "overrides": [override]})
    assert [
        (change.time, change.capacity) for change in topology.changes if isinstance(change, LinkChange)
    ] == [(0.005, 5e9)] * 4
    named = {
        topology.links[change.link].name for change in topology.changes if isinstance(change, LinkChange)
    }
    assert named == {f"leaf{leaf}.spine1.{way}" for leaf in (0, 1) for way in ("up", "down")}
    assert (topology.capacity[[link.kind == "fabric" for link in topology.links]] == 20e9).all()


@pytest.mark.parametrize(
    ("fabric", "message"),
    [
        ({"type": "leaf_spine", "machines_per_leaf": 1, "paths": "hash"}, "paths: hash needs spines"),
        ({"type": "switch", "paths": "hash", "spines": 2}, "type switch has no leaves"),
        ({"type": "rails", "spines": 2}, "type rails has no leaves"),
        ({"type": "leaf_spine", "machines_per_leaf": 1, "pxn": False}, "type leaf_spine has no rails"),
        ({"type": "switch", "cross_nic": True}, "type switch has no rails"),
        ({"type": "leaf_spine", "machines_per_leaf": 1, "paths": "spray", "spines": 0}, "fabric.spines"),
    ],
)
def test_fabrics_that_contradict_themselves(
    small: Callable[..., Topology], fabric: Mapping[str, object], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        small({"fabric": fabric})
