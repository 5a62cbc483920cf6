"""Flows told to the network one by one, as the engine tells them: `pytest benchmarks/bench_online.py`.

13,000 flows, each at its own time, about 1,000 in flight, over 400 links of 16 machines, 3 to 6 links each.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from benchmarks.network_cases import drawn_pairs, gpu_network, gpu_routes
from janus_sim.network import Flows

MACHINES, GPUS, COUNT = 16, 8, 13_000


def cluster(chance: np.random.Generator) -> tuple[np.ndarray[Any, Any], list[np.ndarray[Any, Any]]]:
    """Return capacities and random routes: a NIC and an uplink for each half of a machine."""
    kinds = [200e9] * (2 * GPUS) + [25e9] * 4 + [22e9] * 4 + [150e9]  # ports, uplinks, NICs (out, in), memory
    routes = []
    for _ in range(COUNT):
        (a, b), (x, y) = chance.integers(0, MACHINES, 2) * len(kinds), chance.integers(0, GPUS, 2)
        out, into = a + x, b + GPUS + y
        up, down, leave, enter = a + 16 + x // 4, b + 18 + y // 4, a + 20 + x // 4, b + 22 + y // 4
        if a == b:
            route = [out, into, a + 24]
        elif chance.random() < 0.5:
            route = [out, leave, enter, into]
        else:
            route = [out, up, leave, enter, down, into]
        routes.append(np.array(route, dtype=np.int32))
    return np.array(kinds * MACHINES), routes


@pytest.mark.parametrize("priorities", [1, 8])
def test_one_by_one(benchmark: BenchmarkFixture, priorities: int) -> None:
    chance = np.random.default_rng(1)
    capacity, routes = cluster(chance)
    sizes, starts = chance.exponential(4e6, COUNT).tolist(), np.cumsum(chance.exponential(1 / 190e3, COUNT))
    priority = chance.integers(0, priorities, COUNT).tolist()

    def run() -> int:
        flows = Flows(capacity)
        group = flows.groups(COUNT)
        for flow, start in enumerate([*starts.tolist(), float("inf")]):
            while len(flows.advance(start)[1]):
                pass
            if flow < COUNT:
                flows.add_one(routes[flow], sizes[flow], start, priority=priority[flow], group_a=group + flow)
        return flows.in_flight

    assert benchmark.pedantic(run, rounds=5, warmup_rounds=1) == 0


@pytest.mark.parametrize(("world", "moving"), [(256, 512), (1024, 4096)])
def test_a_flow_at_each_end(benchmark: BenchmarkFixture, world: int, moving: int) -> None:
    """Python adds a flow at each of 20,000 ends, on the gpu network of `network_cases`."""
    chance, ends = np.random.default_rng(7), 20_000
    routes = gpu_routes(*drawn_pairs(world, moving + ends, chance))
    sizes = chance.exponential(1e6, moving + ends).tolist()

    def run() -> None:
        flows = Flows(gpu_network(world))
        group = flows.groups(moving + ends)
        for flow in range(moving):
            flows.add_one(routes[flow], sizes[flow], group_a=group + flow)
        added = moving
        while added < moving + ends:
            for _ in range(min(len(flows.advance(np.inf)[1]), moving + ends - added)):
                flows.add_one(routes[added], sizes[added], group_a=group + added)
                added += 1

    benchmark.pedantic(run, rounds=3, warmup_rounds=1)
