"""Alike machines: one stands for all, and each link of another machine is that link of the first."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from janus_sim.topology.place import Device
from janus_sim.topology.routing import Route, Router
from janus_sim.topology.topology import Topology


def unlike(topology: Topology) -> str:
    """Say in which way the machines of a cluster are not alike; "" if they are.

    Examples
    --------
    >>> unlike(Topology.load("a100_2x8"))
    ''
    >>> unlike(Topology.load({"base": "a100", "machines": 2, "overrides": [{"gpus": [3], "speed": 0.5}]}))
    'GPU 11 is not what GPU 3 is'
    """
    machines, first = topology.machines, topology.machines[0]
    if topology.changes:
        return f"something changes at {topology.changes[0].time:g} s"
    for one in machines:
        if (len(one.ranks), one.nics, one.host, one.host_memory) != (
            len(first.ranks),
            first.nics,
            first.host,
            first.host_memory,
        ):
            return f"machine {one.index} is not what machine 0 is"
    if first.host.jitter:
        return "ranks start with a jitter of their own"
    width = len(first.ranks)
    for gpu in topology.gpus:
        like = topology.gpus[gpu.rank % width]
        if (gpu.kind, gpu.switch, gpu.nic, gpu.speed) != (like.kind, like.switch, like.nic, like.speed):
            return f"GPU {gpu.rank} is not what GPU {like.rank} is"
    return _links(topology)


def _links(topology: Topology) -> str:
    """Compare the links of the machines; those of a fabric belong to none."""
    if outside := [link.name for link in topology.links if link.machine < 0]:
        return f"machines under one leaf are nearer to each other than others ({outside[0]})"
    count = len(topology.links) // len(topology.machines)
    for link in topology.links:
        like = topology.links[link.index % count]
        if (link.kind, link.capacity, link.latency) != (like.kind, like.capacity, like.latency):
            return f"link {link.name} is not what {like.name} is"
    return ""


class _Folded(Router):
    """Routes over the links of the first machine alone: out of it, and into it as the image of another."""

    def __init__(self, router: Router, links: int) -> None:
        super().__init__(router.sites, router.gpus, router.fabric, router.leaves)
        self.links = links

    def route(self, source: Device, target: Device, number: int = 0) -> Route | None:
        """Give the links, each as that link of the first machine."""
        route = super().route(source, target, number)
        return None if route is None else tuple(link % self.links for link in route)


@dataclass(frozen=True, eq=False)
class Alike(Topology):
    """A cluster of alike machines of which the first is simulated, and its links are all there are.

    A flow from GPU i of the first machine to GPU j of another uses the way out of GPU i and, as the image of
    the flow that comes from elsewhere to GPU j of the first, the way into that GPU: one flow stands for one
    flow a machine. A link that both ends share is used twice.

    Examples
    --------
    >>> alike = Alike.of(Topology.load("a100_4x8"))
    >>> len(alike.machines), alike.alive, {link.machine for link in alike.links}
    (4, 8, {0})
    >>> [alike.links[link].name for link in alike.route(0, 25)]  # doctest: +NORMALIZE_WHITESPACE
    ['m0.gpu0.pcie.up', 'm0.nic0.out', 'm0.nic0.in', 'm0.gpu1.pcie.down']
    """

    @classmethod
    def of(cls, topology: Topology) -> Alike:
        """Fold a cluster whose machines are alike (see `unlike`)."""
        count = len(topology.links) // len(topology.machines)
        changed: dict[str, Any] = {
            "links": topology.links[:count],
            "capacity": topology.capacity[:count],
            "latency": topology.latency[:count],
            "_router": _Folded(topology._router, count),
            "_routes": {},
        }
        return cls(**{one.name: changed.get(one.name, getattr(topology, one.name)) for one in fields(cls)})

    @property
    def alive(self) -> int:
        """How many ranks are simulated: those of the first machine."""
        return len(self.machines[0].ranks)

    def routes(
        self,
        sources: NDArray[np.integer],
        targets: NDArray[np.integer],
        numbers: NDArray[np.integer] | int = 0,
    ) -> NDArray[np.int32]:
        """Give the links of many routes from GPU to GPU; see `Topology.routes`."""
        away = sources // self.alive * self.alive  # from the first rank, so that the source is in machine 0
        return super().routes(sources - away, (targets - away) % self.world, numbers)
