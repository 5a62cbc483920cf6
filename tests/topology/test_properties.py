"""What holds for every cluster: routes are connected, never use a link twice, and leave a machine once."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from janus_sim.topology import Topology


@st.composite
def machines(draw: st.DrawFn) -> dict[str, Any]:
    count = draw(st.integers(1, 5))
    duplex = st.sampled_from(["full", "half"])
    rate = {"bandwidth": "10 GB/s"}
    nvlink: dict[str, Any] = {
        "type": draw(st.sampled_from(["switch", "none"])),
        **rate,
        "duplex": draw(duplex),
    }
    if count > 1 and draw(st.booleans()):
        nvlink |= {"type": "pairs", "pairs": [{"gpus": [gpu, gpu + 1]} for gpu in range(0, count - 1, 2)]}
    return {
        "gpus": {"kind": "a100-sxm4-80gb", "count": count},
        "nvlink": nvlink,
        "pcie": {
            "switches": draw(st.integers(1, 3)),
            "lane": {**rate, "duplex": draw(duplex)},
            "uplink": rate,
        },
        "sockets": {"count": draw(st.integers(1, 3)), **rate, "duplex": draw(duplex)},
        "host": {**rate, "memory": "1 GB", "duplex": draw(duplex)},
        "nics": {**rate, "count": draw(st.integers(1, 3)), "duplex": draw(duplex)},
    }


@st.composite
def clusters(draw: st.DrawFn) -> Topology:
    kinds = draw(st.lists(machines(), min_size=1, max_size=2))
    fabric: dict[str, Any] = {"type": draw(st.sampled_from(["switch", "rails", "leaf_spine"]))}
    if fabric["type"] == "leaf_spine":
        fabric |= {"machines_per_leaf": draw(st.integers(1, 2)), "oversubscription": 2.0}
        fabric |= draw(st.sampled_from([{}, {"paths": "hash", "spines": 3, "seed": 1}]))
    if fabric["type"] == "rails":
        fabric |= {"pxn": draw(st.booleans()), "cross_nic": draw(st.booleans())}
    lines = {kind: [{"start": "1 us"}] for kind in ("nvlink", "pcie", "rdma")}
    return Topology.load(
        {
            "mixed": [{"machines": draw(st.integers(1, 2)), "machine": machine} for machine in kinds],
            "fabric": fabric,
            "transfers": {"all_to_all": lines, "all_reduce": lines, "pull": lines},
        }
    )


@given(clusters())
def test_routes_between_all_devices(topology: Topology) -> None:
    hosts = [("host", machine.index) for machine in topology.machines]
    place = {gpu.rank: gpu.machine for gpu in topology.gpus} | {host: host[1] for host in hosts}
    for source in place:
        for target in place:
            if source in hosts and target in hosts:
                continue
            links = [topology.links[link] for link in topology.route(source, target)]
            assert len({link.index for link in links}) == len(links)
            leaving = place[source] != place[target]
            crossing = [link.machine for link in links if link.crosses]
            assert crossing == ([place[source]] if leaving else [])
            assert {link.machine for link in links} - {-1} <= {place[source], place[target]}
            assert (topology.path_kind(source, target) == "rdma") == leaving


@given(clusters())
def test_the_table_holds_the_same_routes(topology: Topology) -> None:
    ranks = np.arange(topology.world)
    sources, targets = np.repeat(ranks, topology.world), np.tile(ranks, topology.world)
    routes = topology.routes(sources, targets)
    assert routes.dtype == np.int32
    for row, source, target in zip(routes, sources, targets, strict=True):
        route = topology.route(int(source), int(target))
        assert tuple(row[: len(route)]) == route
        assert (row[len(route) :] == -1).all()
