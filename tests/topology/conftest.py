"""A small cluster with whole numbers, to be changed by each story."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from janus_sim.files import merge
from janus_sim.topology import Topology

#: Two machines of four GPUs on two switches with a NIC each.
SMALL: dict[str, Any] = {
    "name": "small",
    "machines": 2,
    "machine": {
        "gpus": {"kind": "a100-sxm4-80gb", "count": 4},
        "nvlink": {"type": "switch", "bandwidth": "100 GB/s"},
        "pcie": {"switches": 2, "lane": {"bandwidth": "20 GB/s"}, "uplink": {"bandwidth": "20 GB/s"}},
        "host": {"memory": "1 TB", "bandwidth": "80 GB/s"},
        "nics": {"count": 2, "bandwidth": "80 Gbit/s"},
    },
    "transfers": {
        word: {kind: [{"start": "10 us"}] for kind in ("nvlink", "pcie", "rdma")}
        for word in ("all_to_all", "all_reduce", "pull")
    },
}

Build = Callable[[Mapping[str, Any]], Topology]


@pytest.fixture
def small() -> Build:
    """Load the small cluster with changes laid over."""
    return lambda changes: Topology.load(merge(SMALL, changes), where="cluster.yaml:")


@pytest.fixture
def names() -> Callable[..., list[str]]:
    """Spell a route by the names of its links."""
    return lambda topology, source, target: [topology.links[i].name for i in topology.route(source, target)]
