"""Rails, leaves and spines, direct pairs, half duplex, and machines of several kinds."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from janus_sim.errors import UnreachableError
from janus_sim.topology import Topology

RAILS = {"fabric": {"type": "rails"}}


def test_over_rails_a_gpu_sends_through_its_mate_on_the_targets_rail(
    small: Callable[..., Topology], names: Callable[..., list[str]]
) -> None:
    topology = small(RAILS)
    assert names(topology, 0, 4) == ["m0.gpu0.pcie.up", "m0.nic0.out", "m1.nic0.in", "m1.gpu0.pcie.down"]
    pxn = "m0.gpu0.nvlink.out m0.gpu2.nvlink.in m0.gpu2.pcie.up m0.nic1.out m1.nic1.in m1.gpu3.pcie.down"
    assert names(topology, 0, 7) == pxn.split()
    assert names(topology, 1, 7)[1] == "m0.gpu3.nvlink.in"  # mates take turns
    assert topology.path_kind(0, 7) == "rdma"


def test_over_rails_without_nvlink_a_gpu_goes_to_the_nic_by_pcie(
    small: Callable[..., Topology], names: Callable[..., list[str]]
) -> None:
    topology = small({**RAILS, "machine": {"nvlink": {"type": "none"}}})
    route = (
        "m0.gpu0.pcie.up m0.switch0.uplink.up m0.switch1.uplink.down m0.nic1.out m1.nic1.in m1.gpu3.pcie.down"
    )
    assert names(topology, 0, 7) == route.split()


def test_a_rail_that_the_source_lacks_is_changed_on_the_far_side(
    small: Callable[..., Topology], names: Callable[..., list[str]]
) -> None:
    one_nic = {"machines": 1, "machine": {"nics": {"count": 1}}}
    topology = small({**RAILS, "machines": None, "mixed": [one_nic, {"machines": 1}]})
    route = "m0.gpu3.pcie.up m0.switch1.uplink.up m0.switch0.uplink.down m0.nic0.out m1.nic0.in"
    far = "m1.gpu1.pcie.down m1.gpu1.nvlink.out m1.gpu3.nvlink.in"
    assert names(topology, 3, 7) == [*route.split(), *far.split()]


def test_without_pxn_a_gpu_goes_to_the_nic_by_pcie(
    small: Callable[..., Topology], names: Callable[..., list[str]]
) -> None:
    topology = small({"fabric": {"type": "rails", "pxn": False}})
    route = (
        "m0.gpu0.pcie.up m0.switch0.uplink.up m0.switch1.uplink.down m0.nic1.out m1.nic1.in m1.gpu3.pcie.down"
    )
    assert names(topology, 0, 7) == route.split()
    assert names(topology, 0, 4) == names(small(RAILS), 0, 4)


def test_rails_that_are_joined_are_crossed_where_pxn_does_not_lead(
    small: Callable[..., Topology], names: Callable[..., list[str]]
) -> None:
    crossed = ["m0.gpu0.pcie.up", "m0.nic0.out", "m1.nic1.in", "m1.gpu3.pcie.down"]
    fabric = {"type": "rails", "cross_nic": True}
    assert names(small({"fabric": {**fabric, "pxn": False}}), 0, 7) == crossed
    assert names(small({"fabric": fabric, "machine": {"nvlink": {"type": "none"}}}), 0, 7) == crossed
    assert names(small({"fabric": fabric}), 0, 7) == names(small(RAILS), 0, 7)  # PXN leads there


def test_a_rail_that_the_source_lacks_is_crossed_where_rails_are_joined(
    small: Callable[..., Topology], names: Callable[..., list[str]]
) -> None:
    one_nic = {"machines": 1, "machine": {"nics": {"count": 1}}}
    fabric = {"type": "rails", "cross_nic": True}
    topology = small({"fabric": fabric, "machines": None, "mixed": [one_nic, {"machines": 1}]})
    route = (
        "m0.gpu3.pcie.up m0.switch1.uplink.up m0.switch0.uplink.down m0.nic0.out m1.nic1.in m1.gpu3.pcie.down"
    )
    assert names(topology, 3, 7) == route.split()


def test_leaves_are_narrower_by_the_oversubscription(
    small: Callable[..., Topology], names: Callable[..., list[str]]
) -> None:
    fabric = {"type": "leaf_spine", "machines_per_leaf": 2, "oversubscription": 4.0, "latency": "2 us"}
    topology = small({"machines": 4, "fabric": fabric})
    assert names(topology, 0, 4) == ["m0.gpu0.pcie.up", "m0.nic0.out", "m1.nic0.in", "m1.gpu0.pcie.down"]
    far = ["m0.gpu0.pcie.up", "m0.nic0.out", "leaf0.up", "leaf1.down", "m2.nic0.in", "m2.gpu0.pcie.down"]
    assert names(topology, 0, 8) == far
    leaf = topology.links[topology.route(0, 8)[2]]
    assert (leaf.capacity, leaf.kind, leaf.machine) == (10e9, "fabric", -1)  # 4 NICs of 10 GB/s, by 4
    assert topology.latency[list(topology.route(0, 8))].sum() == 2e-6


def test_direct_pairs_use_nvlink_and_others_pcie(
    small: Callable[..., Topology], names: Callable[..., list[str]]
) -> None:
    pairs = [{"gpus": [0, 1]}, {"gpus": [1, 2], "bandwidth": "50 GB/s"}]
    topology = small({"machine": {"nvlink": {"type": "pairs", "pairs": pairs}}})
    assert names(topology, 0, 1) == ["m0.gpu0.nvlink.gpu1.out"]
    assert names(topology, 1, 0) == ["m0.gpu0.nvlink.gpu1.in"]
    assert topology.links[topology.route(2, 1)[0]].capacity == 50e9
    assert topology.path_kind(0, 2) == "pcie"  # no GPU forwards for another
    assert names(topology, 2, 3) == ["m0.gpu2.pcie.up", "m0.gpu3.pcie.down"]


@pytest.mark.parametrize("part", ["nvlink", "pcie.lane", "pcie.uplink", "host"])
def test_half_duplex_is_one_link_for_both_ways(small: Callable[..., Topology], part: str) -> None:
    changes: dict[str, object] = {"duplex": "half"}
    for word in reversed(part.split(".")):
        changes = {word: changes}
    full, half = small({}), small({"machine": changes})
    assert len(half.links) < len(full.links)
    there, back = (0, 1) if part == "nvlink" else (0, ("host", 0)), (1, 0)
    kind = {"nvlink": "nvlink", "pcie.lane": "pcie", "pcie.uplink": "uplink", "host": "memory"}[part]
    back = (1, 0) if part == "nvlink" else (("host", 0), 0)
    out, into = (
        {link for link in half.route(*way) if half.links[link].kind == kind} for way in (there, back)
    )
    assert out == into
    assert {link.capacity for link in half.links if link.kind == kind} == {
        link.capacity for link in full.links if link.kind == kind
    }


def test_a_half_duplex_nic_still_counts_only_what_leaves(
    small: Callable[..., Topology], names: Callable[..., list[str]]
) -> None:
    topology = small({"machine": {"nics": {"duplex": "half"}}})
    assert names(topology, 0, 4) == [
        "m0.gpu0.pcie.up", "m0.nic0.port", "m0.nic0.out", "m1.nic0.port", "m1.gpu0.pcie.down",
    ]  # fmt: skip
    assert [link.name for link in topology.links if link.crosses and link.machine == 0] == [
        "m0.nic0.out", "m0.nic1.out",
    ]  # fmt: skip


def test_machines_of_several_kinds(names: Callable[..., list[str]]) -> None:
    slow = {"machines": 1, "machine": {"nics": {"bandwidth": "100 Gbit/s"}}}
    topology = Topology.load(
        {"base": "a100", "mixed": [{"machines": 1}, slow, {"base": "two_gpus", "machines": 2}]}
    )
    assert [len(machine.ranks) for machine in topology.machines] == [8, 8, 1, 1]
    nics = {link.machine: link.capacity for link in topology.links if link.crosses}
    assert nics == {0: 22.25e9, 1: 11.125e9, 2: 10e9, 3: 10e9}
    assert names(topology, 15, 17) == ["m1.gpu7.pcie.up", "m1.nic3.out", "m3.nic0.in", "m3.gpu0.pcie.down"]
    back = ["m3.gpu0.pcie.up", "m3.nic0.out", "m1.nic0.in", "m1.switch0.uplink.up", "m1.socket0.memory.port"]
    assert names(topology, 17, ("host", 1)) == back


def test_devices_that_do_not_reach_each_other_are_named() -> None:
    topology = Topology.load("two_gpus")
    with pytest.raises(
        UnreachableError, match="the host memory of machine 0 to the host memory of machine 1"
    ):
        topology.route(("host", 0), ("host", 1))
    assert topology.route(1, 1) == ()


def test_gpus_and_switches_may_be_attached_by_hand(
    small: Callable[..., Topology], names: Callable[..., list[str]]
) -> None:
    pcie = {"gpus": [1, 0, 1, 0], "sockets": [1, 0]}
    topology = small({"machine": {"pcie": pcie, "sockets": {"count": 2, "bandwidth": "40 GB/s"}}})
    assert topology.machines[0].switches == ((1, 3), (0, 2))
    assert [gpu.nic for gpu in topology.gpus[:4]] == [1, 0, 1, 0]
    assert names(topology, 1, ("host", 0)) == [
        "m0.gpu1.pcie.up",
        "m0.switch0.uplink.up",
        "m0.socket1.memory.write",
    ]
