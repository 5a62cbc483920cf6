"""Bytes on links: single transfers, and whole collectives as arrays."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from janus_sim.engine.time import Activity, Timeline

if TYPE_CHECKING:
    from janus_sim.engine.place import Place
    from janus_sim.network import Flows
    from janus_sim.record import SpanLog
    from janus_sim.topology import Topology

#: A GPU by its rank, or the memory of a machine: ("host", machine).
Device: TypeAlias = int | tuple[Literal["host"], int]
Traffic: TypeAlias = Literal["expert", "dense"]


class Fabric:
    """All links of a cluster, alive.

    Parameters
    ----------
    topology : Topology
    timeline : Timeline
    flows : Flows
        The fluid state of the links.
    log : SpanLog
        Where finished transfers are written.
    """

    def __init__(self, topology: Topology, timeline: Timeline, flows: Flows, log: SpanLog) -> None:
        self.topology, self.timeline, self.flows, self.log = topology, timeline, flows, log
        links = len(topology.links)
        #: bytes that each link was given to carry, exact integers, by kind of traffic
        self.carried = {kind: np.zeros(links, dtype=np.int64) for kind in ("expert", "dense")}
        self._crosses = np.array([link.crosses for link in topology.links], dtype=bool)
        self._latency = np.append(topology.latency, 0.0)  # so that the padding, -1, adds nothing
        self._paths: dict[tuple[Device, Device, int], _Path] = {}
        self._capacity = topology.capacity.copy()  # as of now, before any loss
        self._nics = np.array([link.kind == "nic" for link in topology.links], dtype=bool)
        self._open = np.zeros(links, dtype=np.int64)  # collectives open on each NIC

    def path(self, source: Device, target: Device, size: int) -> _Path:
        """Return route, start time, rate cap and number of machines left, of one transfer (cached)."""
        path = self._paths.get((source, target, size))
        if path is None:
            route = np.array(self.topology.route(source, target), dtype=np.int32)
            kind = self.topology.path_kind(source, target)
            start, cap = self.topology.start("pull", kind, np.array([float(size)]))
            delay = float(start[0]) + float(self.topology.latency[route].sum())
            path = _Path(route, delay, float(cap[0]), int(self._crosses[route].sum()))
            self._paths[source, target, size] = path
        return path

    def transfer(
        self, source: Device, target: Device, size: int, place: Place, label: str, *,
        rank: int, machine: int, priority: int = 0, weight: float = 1.0, rate_cap: float = np.inf,
    ) -> Activity:  # fmt: skip
        """Move `size` bytes from device to device.

        Parameters
        ----------
        source, target : Device
        size : int
            Bytes.
        place, label, rank, machine
            What the span says.
        priority : int
            0 is served first; a larger number yields.
        weight : float
            Share under contention.
        rate_cap : float
            Bytes per second at most.
        """
        timeline, flows = self.timeline, self.flows
        activity = Activity(timeline, "transfer", label, "from", source, "to", target)
        begin, why = timeline.now, timeline.why
        path = self.path(source, target, size)
        self.carried["expert"][path.route] += size
        group = self._group()

        def over() -> None:
            link = flows.group_last(group)[1]
            timeline.unwatch(group)
            span = self.log.add(
                place.step, place.micro_batch, place.layer, place.phase, rank, machine, "copy", "transfer", label,
                place.lane, begin, begin, timeline.now, why, self.link_name(link), size, far_bytes=size * path.crossings,
            )  # fmt: skip
            activity.finish(span)

        timeline.watch(group, over)
        flows.add_one(
            path.route, float(size), timeline.now + path.delay, min(rate_cap, path.cap), weight, priority, group, -1
        )
        return activity

    def transfer_many(
        self, routes: NDArray[np.int32], sizes: NDArray[np.int64], *, starts: NDArray[np.float64],
        caps: NDArray[np.float64], weights: NDArray[np.float64], groups: NDArray[np.int64], traffic: Traffic,
    ) -> NDArray[np.int64]:  # fmt: skip
        """Put flows into the network as arrays, each in up to two watched groups; return their ids.

        Parameters
        ----------
        routes : (n, hops) int32
            Link indices, padded with -1.
        sizes : (n,) int64
            Bytes.
        starts : (n,) float64
            Absolute times in seconds, before the latency of the route.
        caps, weights : (n,) float64
            Bytes per second; share under contention.
        groups : (n, 2) int64
            Groups that wait for the flow, -1 for none.
        traffic : {"expert", "dense"}
            Under which heading the links count the bytes.
        """
        used = routes >= 0
        np.add.at(self.carried[traffic], routes[used], np.broadcast_to(sizes[:, None], routes.shape)[used])
        self.sync()
        return self.flows.add(
            routes, sizes.astype(np.float64), starts=starts + self._latency[routes].sum(axis=1),
            rate_cap=caps, weight=weights, groups=groups,
        )  # fmt: skip

    def far(self, routes: NDArray[np.int32]) -> NDArray[np.int64]:
        """Return how often each of the routes (n, hops) leaves a machine."""
        return np.where(routes >= 0, self._crosses[routes], False).sum(axis=1)

    def groups(self, count: int, over: Callable[[int], None]) -> int:
        """Reserve `count` watched groups; `over(i)` is called when the i-th runs empty."""
        first = self.flows.groups(count)
        for index in range(count):
            self.timeline.watch(first + index, lambda index=index: over(index))  # type: ignore[misc]
        return first

    def set_capacity(self, link: int, capacity: float) -> None:
        """Give a link another capacity, in bytes per second, from now on."""
        self._capacity[link] = capacity
        self._share_out(np.array([link]))

    def open(self, routes: NDArray[np.int32], change: int) -> None:
        """Count a collective on its NICs as open (1) or over (-1): those that overlap lose part of the rate."""
        if self.topology.communication.overlap_loss:
            used = np.unique(routes[routes >= 0])
            nics = used[self._nics[used]]
            self._open[nics] += change
            self._share_out(nics)

    def _share_out(self, links: NDArray[np.integer]) -> None:
        loss = self.topology.communication.overlap_loss
        self.sync()
        for link in links.tolist():
            kept = 1.0 - loss if self._open[link] > 1 else 1.0
            self.flows.set_capacity(link, float(self._capacity[link]) * kept)

    def sync(self) -> None:
        """Tell an idle network the time, so that what is added now starts now."""
        if self.flows.now < self.timeline.now:
            self.flows.advance(self.timeline.now)

    def link_name(self, link: int) -> str:
        """Return the name of the link that bound a flow, "" where its own cap or size did."""
        return self.topology.links[link].name if link >= 0 else ""

    def _group(self) -> int:
        self.sync()
        return self.flows.groups(1)


class _Path:
    """How one transfer goes."""

    __slots__ = ("cap", "crossings", "delay", "route")

    def __init__(self, route: NDArray[np.int32], delay: float, cap: float, crossings: int) -> None:
        self.route, self.delay, self.cap, self.crossings = route, delay, cap, crossings
