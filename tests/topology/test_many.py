"""Clusters of thousands of GPUs: routes as arrays, without a table of all pairs."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

from janus_sim.topology import Topology

LEAVES = {"type": "leaf_spine", "machines_per_leaf": 3, "oversubscription": 2.0}
FABRICS: list[Mapping[str, Any]] = [
    {"type": "switch"},
    {"type": "rails"},
    {"type": "rails", "pxn": False},
    {"type": "rails", "cross_nic": True},
    LEAVES,
    {**LEAVES, "paths": "hash", "spines": 5, "seed": 3},
]


def check(topology: Topology, sources: np.ndarray, targets: np.ndarray) -> None:
    """Compare the routes of an array with those found one by one."""
    routes = topology.routes(sources, targets)
    assert routes.dtype == np.int32
    for row, source, target in zip(routes.tolist(), sources.tolist(), targets.tolist(), strict=True):
        route = topology.route(source, target)
        assert row == [*route, *[-1] * (len(row) - len(route))]


@pytest.mark.parametrize("name", ["a100_2x8", "a100_4x8", "h100_4x8", "two_gpus", "v100_2x8_pcie"])
def test_all_routes_of_every_preset(name: str) -> None:
    topology = Topology.load(name)
    ranks = np.arange(topology.world)
    check(topology, np.repeat(ranks, topology.world), np.tile(ranks, topology.world))


@pytest.mark.parametrize("fabric", FABRICS, ids=str)
def test_routes_of_many_machines(fabric: Mapping[str, Any]) -> None:
    """Among them the first and the last, neighbours, mates of a leaf, and pairs from anywhere."""
    topology = Topology.load({"base": "h100", "machines": 40, "fabric": fabric})
    drawn = np.random.default_rng(1).integers(0, topology.world, (2, 300))
    ends = np.array([[0, 319, 0, 1, 8, 319, 5], [319, 0, 7, 17, 31, 312, 5]])
    check(topology, *np.concatenate([drawn, ends], axis=1))


def test_16384_gpus_take_memory_for_the_routes_asked_for_and_no_more() -> None:
    topology = Topology.load({"base": "h100", "machines": 2048, "fabric": FABRICS[-1]})
    ranks = np.arange(topology.world)
    tracemalloc.start()
    for shift in (1, 8, 16, 8192):  # 16,384 routes each
        topology.routes(ranks, (ranks + shift) % topology.world)
    assert tracemalloc.get_traced_memory()[1] < 10e6  # a table of all pairs would have 6,442e6
    tracemalloc.stop()
    check(topology, np.array([0, 16383, 0, 1]), np.array([16383, 0, 24, 9]))


def test_routes_do_not_depend_on_what_was_asked_before(small: Callable[..., Topology]) -> None:
    """Longer routes asked for later leave those that were given alone, but for their padding."""
    mixed = [{"machines": 2}, {"machines": 2, "machine": {"nvlink": {"type": "none"}}}]
    changes = {"machines": None, "mixed": mixed, "fabric": {"type": "rails"}}
    near, far = (np.array([0, 4]), np.array([1, 5])), (np.array([0, 15, 9]), np.array([11, 2, 14]))
    first, second = small(changes), small(changes)
    before = first.routes(*near)
    check(first, *far)
    check(second, *far)
    assert (before == second.routes(*near)).all()
    assert before.shape == (2, 2)  # two NVLink ports, and no longer ones asked for
    assert first.routes(*(np.array([], dtype=np.int64),) * 2).shape[0] == 0
