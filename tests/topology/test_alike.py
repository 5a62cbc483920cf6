"""Alike machines: which clusters they are, and the links of the one that stands for all."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from janus_sim.files import merge
from janus_sim.topology import Alike, Topology, unlike

A100 = {"base": "a100", "machines": 4}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({}, ""),
        ({"base": "h100"}, ""),
        ({"overrides": [{"links": "m*.nic0.*", "scale": 0.5}]}, ""),
        ({"fabric": {"type": "rails"}}, ""),
        (
            {"overrides": [{"links": "m2.nic0.out", "scale": 0.5}]},
            "link m2.nic0.out is not what m0.nic0.out is",
        ),
        ({"overrides": [{"gpus": [9], "speed": 0.5}]}, "GPU 9 is not what GPU 1 is"),
        ({"overrides": [{"links": "m*.nic0.*", "scale": 0.5, "at": "1 ms"}]}, "something changes at 0.001 s"),
        ({"machine": {"host": {"jitter": "1 us"}}}, "ranks start with a jitter of their own"),
        (
            {"fabric": {"type": "leaf_spine", "machines_per_leaf": 2, "oversubscription": 1}},
            "machines under one leaf are nearer to each other than others (leaf0.up)",
        ),
    ],
)  # fmt: skip
def test_which_clusters_are_alike(change: dict[str, Any], reason: str) -> None:
    assert unlike(Topology.load(merge(A100, change))) == reason


def test_mixed_machines_are_not_alike() -> None:
    many = {"host": {"memory": "1 TB"}}
    mixed = {
        "base": "a100",
        "mixed": [{"base": "a100", "machines": 1}, {"base": "a100", "machines": 1, "machine": many}],
    }
    assert unlike(Topology.load(mixed)) == "machine 1 is not what machine 0 is"


@pytest.mark.parametrize("fabric", ["switch", "rails"])
def test_a_route_is_that_of_the_whole_cluster_over_the_links_of_the_first_machine(fabric: str) -> None:
    whole = Topology.load(merge(A100, {"fabric": {"type": fabric}}))
    alike = Alike.of(whole)
    sources, targets = (ends.ravel() for ends in np.meshgrid(np.arange(8), np.arange(32)))
    routes, found = whole.routes(sources, targets), alike.routes(sources, targets)
    folded = np.where(routes >= 0, routes % len(alike.links), -1)
    hops = found.shape[1]
    assert (folded[:, :hops] == found).all()
    assert (folded[:, hops:] == -1).all()
    one = alike.route(("host", 3), 2)
    assert one == tuple(link % len(alike.links) for link in whole.route(("host", 3), 2))
    assert alike.path_kind(3, 9) == "rdma"


def test_a_link_of_half_duplex_is_used_twice() -> None:
    alike = Alike.of(Topology.load({"base": "two_gpus", "machine": {"pcie": {"lane": {"duplex": "half"}}}}))
    assert [alike.links[link].name for link in alike.route(0, 1)].count("m0.gpu0.pcie.port") == 2
