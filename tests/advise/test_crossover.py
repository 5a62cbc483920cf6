"""Bisection, links made slower, and the draws behind "too close to call"."""

from __future__ import annotations

import pytest

from janus_sim import Scenario
from janus_sim.advise.crossover import Axis, axes_of, crossover, with_links
from janus_sim.advise.interval import DRAWS, draws_of
from janus_sim.advise.origins import constants_of
from janus_sim.advise.runner import OTHERS
from janus_sim.scenario import policy_from


def test_the_policies_told_beside_an_advice_are_policies() -> None:
    assert [type(policy_from(knobs)).__name__ for knobs in OTHERS.values()]


def axis(low: float, nominal: float, high: float, whole: bool = False) -> Axis:
    return Axis("x", "", low, nominal, high, whole, lambda scenario, _: scenario)


def test_a_flip_is_found_within_five_per_cent() -> None:
    found = crossover(axis(1, 8, 64), lambda value: lambda: value / 3.0)
    assert len(found.at) == 1
    assert found.at[0] == pytest.approx(3.0, rel=0.05)
    assert found.ratios == (1 / 3, 8 / 3, 64 / 3)


def test_whole_numbers_end_at_the_first_beyond_the_flip() -> None:
    assert crossover(axis(1, 8, 64, True), lambda value: lambda: 10.5 / value).at == (11.0,)


def test_two_flips_are_told_nearest_first_and_none_is_none() -> None:
    found = crossover(axis(1, 8, 64), lambda value: lambda: 2.0 if 4 < value < 9 else 0.5)
    assert found.at == (pytest.approx(9, rel=0.05), pytest.approx(4, rel=0.05))
    assert crossover(axis(1, 8, 64), lambda value: lambda: 2.0).at == ()


def scenario(topology: object = "two_gpus") -> Scenario:
    return Scenario(topology=topology, workload="moe_bert", policy="expert_centric")


def test_axes_are_searched_around_what_stands() -> None:
    base = scenario()
    topology = base.build_topology()
    axes = {one.name: one for one in axes_of(base, topology, base.build_workload(topology))}
    assert (axes["micro_batch_size"].low, axes["micro_batch_size"].high) == (32.0, 512.0)
    assert "routing max/mean" not in axes  # two experts, two choices: no skew is possible
    slower = axes["NIC bandwidth"].put(base, 5e9).build_topology()
    rates = {link.name: link.capacity for link in slower.links}
    assert (rates["m0.nic0.out"], rates["m0.gpu0.nvlink.out"]) == (5e9, 200e9)
    assert axes["micro_batch_size"].put(base, 33.0).workload_spec().micro_batch_size == 33


def test_links_are_scaled_over_what_the_file_scales() -> None:
    base = scenario({"base": "two_gpus", "overrides": ({"links": "*.nic0.out", "scale": 0.5},)})
    changed = with_links(base, {"*.uplink*": 0.5}).build_topology()
    rates = {link.name: link.capacity for link in changed.links}
    assert (rates["m0.nic0.out"], rates["m0.switch0.uplink.up"]) == (5e9, 10e9)


@pytest.mark.parametrize("topology", ["a100_4x8", "h100_4x8", "v100_2x8_pcie"])
def test_every_shipped_cluster_can_be_drawn_and_names_its_constants(topology: str) -> None:
    base = Scenario(topology=topology, workload="moe_bert", policy="expert_centric")
    built = base.build_topology()
    draws = draws_of(base, built)
    assert len(draws) == DRAWS
    launches = {draw.build_topology().machines[0].host.launch for draw in draws}
    assert len(launches) == DRAWS
    assert all(3e-6 <= launch <= 8e-6 for launch in launches)
    origins = {constant.origin for constant in constants_of(base.change(workload="moe_bert"), built)}
    assert {"data sheet", "reasoned [R]"} <= origins
    assert ("calibrated" in origins) == (not topology.startswith("v100"))
