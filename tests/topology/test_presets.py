"""Every kind of route of every preset, spelled out, and the constants that were frozen."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from janus_sim.errors import InputError
from janus_sim.files import names as presets
from janus_sim.topology import Topology

CLUSTERS = ["a100_2x8", "a100_4x8", "h100_4x8", "h100_8x8", "two_gpus", "v100_2x8_pcie"]

ROUTES = {
    "a100_4x8": {
        (0, 1): "m0.gpu0.nvlink.out m0.gpu1.nvlink.in",
        (7, 2): "m0.gpu7.nvlink.out m0.gpu2.nvlink.in",
        (0, 8): "m0.gpu0.pcie.up m0.nic0.out m1.nic0.in m1.gpu0.pcie.down",
        (1, 31): "m0.gpu1.pcie.up m0.nic0.out m3.nic3.in m3.gpu7.pcie.down",
        (3, ("host", 0)): "m0.gpu3.pcie.up m0.switch1.uplink.up m0.socket0.memory.port",
        (("host", 0), 5): "m0.socket1.memory.port m0.switch2.uplink.down m0.gpu5.pcie.down",
        (3, ("host", 2)): (
            "m0.gpu3.pcie.up m0.nic1.out m2.nic1.in m2.switch1.uplink.up m2.socket0.memory.port"
        ),
        (("host", 2), 7): (
            "m2.socket1.memory.port m2.switch3.uplink.down m2.nic3.out m0.nic3.in m0.gpu7.pcie.down"
        ),
    },
    "a100_2x8": {
        (8, 15): "m1.gpu0.nvlink.out m1.gpu7.nvlink.in",
        (15, 0): "m1.gpu7.pcie.up m1.nic3.out m0.nic0.in m0.gpu0.pcie.down",
        (15, ("host", 1)): "m1.gpu7.pcie.up m1.switch3.uplink.up m1.socket1.memory.port",
    },
    "h100_4x8": {
        (0, 7): "m0.gpu0.nvlink.out m0.gpu7.nvlink.in",
        (1, 15): "m0.gpu1.pcie.up m0.nic1.out m1.nic7.in m1.gpu7.pcie.down",
        (5, ("host", 3)): (
            "m0.gpu5.pcie.up m0.nic5.out m3.nic5.in m3.switch5.uplink.up m3.socket1.memory.port"
        ),
    },
    "v100_2x8_pcie": {
        (0, 3): "m0.gpu0.pcie.up m0.gpu3.pcie.down",
        (0, 4): (
            "m0.gpu0.pcie.up m0.switch0.uplink.up m0.socket0.socket1.out "
            "m0.switch1.uplink.down m0.gpu4.pcie.down"
        ),
        (5, 8): (
            "m0.gpu5.pcie.up m0.switch1.uplink.up m0.socket0.socket1.in m0.switch0.uplink.down m0.nic0.out "
            "m1.nic0.in m1.gpu0.pcie.down"
        ),
        (("host", 1), 5): (
            "m1.socket0.memory.port m1.switch0.uplink.down m1.nic0.out m0.nic0.in m0.switch0.uplink.up "
            "m0.socket0.socket1.out m0.switch1.uplink.down m0.gpu5.pcie.down"
        ),
    },
    "two_gpus": {
        (0, 1): "m0.gpu0.pcie.up m0.nic0.out m1.nic0.in m1.gpu0.pcie.down",
        (0, ("host", 1)): (
            "m0.gpu0.pcie.up m0.nic0.out m1.nic0.in m1.switch0.uplink.up m1.socket0.memory.write"
        ),
        (("host", 1), 1): "m1.socket0.memory.read m1.switch0.uplink.down m1.gpu0.pcie.down",
    },
}


@pytest.mark.parametrize("name", ROUTES)
def test_routes_are_as_drawn(name: str, names: Callable[..., list[str]]) -> None:
    topology = Topology.load(name)
    spelled = {pair: " ".join(names(topology, *pair)) for pair in ROUTES[name]}
    assert spelled == ROUTES[name]


def test_every_preset_is_named_here() -> None:
    assert set(presets("topologies")) == {*CLUSTERS, "a100", "h100"}


@pytest.mark.parametrize("name", CLUSTERS)
def test_every_preset_names_its_source_and_is_itself_again(name: str) -> None:
    topology = Topology.load(name)
    assert topology.source
    assert topology.name == name
    assert topology == Topology.load(name)
    assert hash(topology) == hash(Topology.load(name))
    assert len({link.name for link in topology.links}) == len(topology.links)
    assert [link.index for link in topology.links] == list(range(len(topology.links)))


@pytest.mark.parametrize("name", ["a100", "h100"])
def test_an_open_number_of_machines_says_what_to_write(name: str) -> None:
    with pytest.raises(InputError, match=rf"machines .*machines: N, as in {{base: {name}, machines: 4}}"):
        Topology.load(name)
    assert Topology.load({"base": name, "machines": 3}).world == 24


def test_the_frozen_constants_of_the_a100() -> None:
    topology = Topology.load("a100_4x8")
    capacity = {link.name: link.capacity for link in topology.links}
    assert capacity["m0.gpu0.nvlink.out"] == 200e9
    assert capacity["m3.gpu7.pcie.down"] == capacity["m3.switch3.uplink.up"] == 25e9
    assert capacity["m2.nic1.out"] == capacity["m2.nic1.in"] == 22.25e9
    host = topology.machines[0].host
    assert (host.launch, host.gap, host.sync, host.jitter) == (4e-6, 10e-6, 0.0, 0.0)
    talk = topology.communication
    assert (talk.sms, talk.all_reduce_efficiency) == ({"all_to_all": 16, "all_reduce": 8}, 0.80)
    assert (talk.channels, talk.overlap_loss) == (1.0, 0.0)
    for kind in ("nvlink", "pcie", "rdma"):
        starts, caps = topology.start("pull", kind, np.array([1.0, 1e9]))
        assert starts.tolist() == [50e-6, 50e-6]
        assert np.isinf(caps).all()
    starts, caps = topology.start("all_to_all", "rdma", np.array([100e6]))
    assert (starts[0], caps[0]) == (150e-6, np.inf)


def test_the_frozen_constants_of_the_h100() -> None:
    topology = Topology.load("h100_4x8")
    assert {link.capacity for link in topology.links if link.kind == "nic"} == {49e9}
    assert topology.gpus[9].kind.name == "h100-sxm5-80gb"


def test_two_gpus_share_a_nic_on_the_a100() -> None:
    topology = Topology.load("a100_4x8")
    assert [gpu.nic for gpu in topology.gpus[:8]] == [0, 0, 1, 1, 2, 2, 3, 3]
    assert topology.machines[1].switches == ((8, 9), (10, 11), (12, 13), (14, 15))
    assert topology.machines[1].nics == 4
    assert topology.machines[1].host_memory == 2e12
    shared = set(topology.route(0, 8)) & set(topology.route(1, 24))
    assert [topology.links[link].name for link in shared] == ["m0.nic0.out"]


def test_another_number_of_machines_or_nics_is_one_line() -> None:
    few = Topology.load({"base": "a100_4x8", "machines": 2, "machine": {"nics": {"count": 2}}})
    assert [gpu.nic for gpu in few.gpus[:8]] == [0, 0, 0, 0, 1, 1, 1, 1]
    many = Topology.load({"base": "a100", "machines": 1, "machine": {"nics": {"count": 8}}})
    assert [gpu.nic for gpu in many.gpus] == list(range(8))


def test_a_large_cluster_is_laid_out_by_kinds_of_machines() -> None:
    topology = Topology.load({"base": "h100", "machines": 64})
    sources, targets = np.array([0, 511, 256]), np.array([511, 0, 257])
    routes = topology.routes(sources, targets)
    for row, source, target in zip(routes, sources, targets, strict=True):
        assert tuple(row[row >= 0]) == topology.route(int(source), int(target))


def test_on_h100_all_reduce_runs_in_the_switch_and_on_a100_in_rings() -> None:
    found = {name: Topology.load(name).spec.communication.algorithms.all_reduce for name in CLUSTERS}
    assert {name for name, algorithm in found.items() if algorithm == "in_switch"} == {"h100_4x8", "h100_8x8"}
    assert found["a100_4x8"] == "hierarchical"  # as frozen
