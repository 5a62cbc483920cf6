"""Degraded links and slow GPUs, from the start or from a time on."""

from __future__ import annotations

from collections.abc import Callable

from janus_sim.topology import GpuChange, LinkChange, Topology


def index(topology: Topology, name: str) -> int:
    return next(link.index for link in topology.links if link.name == name)


def test_a_degraded_nic_and_a_slow_gpu_from_the_start(small: Callable[..., Topology]) -> None:
    overrides = [{"links": "m1.nic0.*", "bandwidth": "8 Gbit/s"}, {"gpus": [5], "speed": 0.8}]
    topology = small({"overrides": overrides})
    assert topology.capacity[index(topology, "m1.nic0.out")] == 1e9
    assert topology.links[index(topology, "m1.nic0.in")].capacity == 1e9
    assert topology.capacity[index(topology, "m0.nic0.out")] == 10e9
    assert [gpu.speed for gpu in topology.gpus] == [1, 1, 1, 1, 1, 0.8, 1, 1]
    assert topology.changes == ()


def test_a_link_that_degrades_after_10_ms_and_recovers_after_20(small: Callable[..., Topology]) -> None:
    overrides = [
        {"links": "m0.nic1.out", "scale": 1.0, "at": "20 ms"},
        {"links": "m0.nic1.out", "scale": 0.5, "at": "10 ms"},
        {"gpus": [0, 7], "speed": 0.5, "at": "10 ms"},
    ]
    topology = small({"overrides": overrides})
    link = index(topology, "m0.nic1.out")
    assert topology.capacity[link] == 10e9
    assert topology.changes == (
        LinkChange(0.01, link, 5e9),
        GpuChange(0.01, 0, 0.5),
        GpuChange(0.01, 7, 0.5),
        LinkChange(0.02, link, 10e9),
    )


def test_the_later_line_wins_and_scale_is_of_the_undisturbed_link(small: Callable[..., Topology]) -> None:
    overrides = [{"links": "*.nic?.out", "bandwidth": "4 GB/s"}, {"links": "m0.nic0.out", "scale": 0.5}]
    topology = small({"overrides": overrides})
    assert topology.capacity[index(topology, "m0.nic0.out")] == 5e9
    assert topology.capacity[index(topology, "m1.nic1.out")] == 4e9
