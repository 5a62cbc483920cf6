"""Collectives alone: their bytes over their ports, counted as nccl-tests counts them."""

from __future__ import annotations

import pytest

from janus_sim.bench import KINDS, measure
from janus_sim.topology import Topology
from tests.engine.lab import GB, topology

SIXTEEN = {"all_to_all": 15 / 16, "all_reduce": 30 / 16, "all_gather": 15 / 16, "reduce_scatter": 15 / 16}


@pytest.mark.parametrize("collective", KINDS)
def test_bus_bandwidth_is_nccl_tests_definition(collective: str) -> None:
    row = measure(Topology.load("a100_2x8"), collective, 1 << 28)
    assert row.size == 1 << 28
    assert row.algorithm == pytest.approx(row.size / row.time)
    assert row.bus == pytest.approx(row.algorithm * SIXTEEN.get(collective, 1.0))


@pytest.mark.parametrize(
    "collective", ["all_to_all", "all_reduce", "all_gather", "reduce_scatter", "sendrecv"]
)
def test_in_one_uniform_machine_the_bus_bandwidth_is_that_of_a_port(collective: str) -> None:
    assert measure(topology(1, 8), collective, 8 * GB).bus == pytest.approx(GB, rel=1e-6)


def test_the_switch_gives_all_reduce_more_than_a_port() -> None:
    """NVLS: 2 (m-1)/(m+1) = 14/9 of a port, where all-gather reaches one."""
    place = topology(1, 8, changes={"communication": {"algorithms": {"all_reduce": "in_switch"}}})
    assert measure(place, "all_reduce", 8 * GB).bus == pytest.approx(14 / 9 * GB)
    assert measure(place, "all_gather", 8 * GB).bus == pytest.approx(GB)


def test_a_shared_buffer_is_cut_to_16_bytes_a_rank_and_its_count_is_that_of_a_part() -> None:
    row = measure(topology(1, 8), "all_gather", 1000)
    assert (row.size, row.count) == (896, 28)  # 7 x 16 bytes for each of 8 ranks
    row = measure(topology(1, 8), "all_reduce", 1003, "double")
    assert (row.size, row.count, row.type) == (1000, 125, "double")


def test_too_small_a_buffer_is_nothing_as_there() -> None:
    row = measure(topology(1, 8), "all_to_all", 100)
    assert (row.size, row.count, row.time, row.bus) == (0, 0, 0.0, 0.0)


def test_a_link_that_changes_long_after_does_not_count() -> None:
    later = {"overrides": [{"links": "*", "scale": 0.5, "at": "9 s"}]}
    assert measure(topology(1, 2, changes=later), "all_reduce", GB).time == 1


def test_an_all_to_all_may_go_by_two_hops() -> None:
    place = topology(2, 4, nics=4)
    flat, hops = (measure(place, "all_to_all", 8 * GB, path=path) for path in ("flat", "2dh"))  # type: ignore[arg-type]
    assert flat.time == pytest.approx(4)
    assert hops.time > 6 + 4  # 3/4 and 1/2 of 8 GB, and copies


def test_a_ring_over_leaves_without_oversubscription_is_one_over_a_switch() -> None:
    """Its cap follows its share of the narrowest link of its route, however crowded the others are."""
    times = []
    for fabric in ({"type": "switch"}, {"type": "leaf_spine", "machines_per_leaf": 1, "oversubscription": 1}):
        cluster = Topology.load({"base": "a100_2x8", "fabric": fabric})
        times.append(measure(cluster, "all_reduce", 1 << 26).time)
    assert times[0] == pytest.approx(times[1], rel=1e-9)
