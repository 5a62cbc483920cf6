"""Bytes on links: single transfers, and whole collectives as arrays.

Copies between devices and reads by RDMA are flows that share links; none takes SMs. The copy engines of a GPU
set no limit of their own: how many copies run at a time is what the policy has in flight (`in_flight`), the
last of several over one port ends at the same time whether they run side by side or one by one, and an RDMA
read is the work of a NIC.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from operator import index
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from janus_sim.engine.rings import shares
from janus_sim.engine.transfer import Path, Transfer
from janus_sim.errors import PolicyError

if TYPE_CHECKING:
    from janus_sim.engine.place import Place
    from janus_sim.engine.time import Timeline
    from janus_sim.network import Flows
    from janus_sim.record import SpanLog
    from janus_sim.topology import Topology
    from janus_sim.topology.place import PathKind

#: A GPU by its rank, or the memory of a machine: ("host", machine).
Device: TypeAlias = int | tuple[Literal["host"], int]
Traffic: TypeAlias = Literal["expert", "dense"]

KINDS: Final = (
    "pcie",
    "nvlink",
    "rdma",
)  #: kinds of path; the largest that a link of the route says is the path's
_KIND: Final = {"nvlink": 1, "nic": 2}
BLOCK: Final = 256  #: groups of flows that are reserved at a time


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

    Attributes
    ----------
    capacity : (links,) float64
        Bytes per second of each link as of now, before any loss.
    """

    def __init__(self, topology: Topology, timeline: Timeline, flows: Flows, log: SpanLog) -> None:
        self.topology, self.timeline, self.flows, self.log = topology, timeline, flows, log
        links = len(topology.links)
        self.capacity = topology.capacity.copy()
        self._names = [*(link.name for link in topology.links), ""]  # so that -1, no link, has no name
        self._carried = {kind: np.zeros(links, dtype=np.int64) for kind in ("expert", "dense")}
        self._crosses = np.array([link.crosses for link in topology.links] + [False])
        self._latency = np.append(topology.latency, 0.0)  # so that the padding, -1, adds nothing
        self._nics = np.array([link.kind == "nic" for link in topology.links], dtype=bool)
        self._ranks = range(topology.world)
        self._hashed = np.array([link.kind == "fabric" for link in topology.links] + [False])
        self._kinds = np.array([_KIND.get(link.kind, 0) for link in topology.links] + [0])
        self._open = np.zeros(links, dtype=np.int64)  # collectives that move bytes over each NIC
        self._paths: dict[tuple[Device, Device, int], Path] = {}
        self._lines: dict[tuple[PathKind, int], tuple[float, float]] = {}
        self._spare: Iterator[int] = iter(())

    @property
    def carried(self) -> dict[str, NDArray[np.int64]]:
        """(links,) bytes that each link was given to carry, exact integers, by kind of traffic."""
        carried = {kind: moved.copy() for kind, moved in self._carried.items()}
        for path in self._paths.values():
            for route, part in path.ways:
                np.add.at(carried["expert"], route, path.times * part)
        return carried

    def path(self, source: Device, target: Device, size: int) -> Path:
        """Return how `size` bytes go from device to device (worked out once)."""
        path = self._paths.get((source, target, size))
        if path is None:
            path = self._paths[source, target, size] = self._path(source, target, size)
        return path

    def _path(self, source: Device, target: Device, size: int) -> Path:
        whole = self._check(source, target, size)
        routes = [np.array(route, dtype=np.int32) for route in self.topology.queue_pairs(source, target)]
        start, cap = self._pull_line(self.topology.path_kind(source, target), whole)
        delay = start + float(self._latency[routes[0]].sum())
        ways = list(zip(routes, shares(whole, len(routes)), strict=True))
        return Path(ways, delay, cap, whole * int(self._crosses[routes[0]].sum()))

    def _pull_line(self, kind: PathKind, size: int) -> tuple[float, float]:
        """Return the start time and the most bytes per second of a pull (worked out once)."""
        if (kind, size) not in self._lines:
            start, cap = self.topology.start("pull", kind, np.array([float(size)]))
            self._lines[kind, size] = float(start[0]), float(cap[0])
        return self._lines[kind, size]

    def _check(self, source: Device, target: Device, size: int) -> int:
        """Return the size as an int, if it is one, between devices that exist."""
        for device in (source, target):
            if not self._exists(device):
                known = f'a rank below {self.topology.world} or ("host", machine)'
                raise PolicyError(f"{device!r} is no device to copy from or to; name {known}")
        try:
            whole = index(size)
        except TypeError:
            whole = -1
        if whole < 0:
            raise PolicyError(f"{size!r} bytes from {source} to {target}; give a whole number, 0 or more")
        return whole

    def _exists(self, device: object) -> bool:
        if isinstance(device, tuple):
            machines = range(len(self.topology.machines))
            return len(device) == 2 and device[0] == "host" and device[1] in machines
        return device in self._ranks

    def transfer(
        self,
        source: Device,
        target: Device,
        size: int,
        place: Place,
        label: str,
        *,
        rank: int,
        machine: int,
        priority: int = 0,
    ) -> Transfer:
        """Move `size` bytes from device to device.

        Parameters
        ----------
        source, target : Device
            From a device to itself nothing moves, and it takes the start time.
        size : int
            Bytes; of 0 it is over after its start time.
        place, label, rank, machine
            What the span says.
        priority : int
            0 is served first; a larger number yields.

        Raises
        ------
        PolicyError
            If `size` is no number of bytes.
        UnreachableError
            If no route leads there.
        """
        path = self.path(source, target, size)
        transfer = Transfer(self, path, (source, target), size, place, label, rank, machine, self._group())
        path.times += 1
        self.timeline.watch(transfer.group, transfer.over)
        start = self.timeline.now + path.delay
        several = len(path.ways)
        for route, part in path.ways:
            self.flows.add_one(
                route, float(part), start, path.cap / several, 1.0 / several, priority, transfer.group, -1
            )
        return transfer

    def transfer_many(
        self,
        routes: NDArray[np.int32],
        sizes: NDArray[np.int64],
        *,
        starts: NDArray[np.float64],
        caps: NDArray[np.float64],
        weights: NDArray[np.float64],
        groups: NDArray[np.int64],
        traffic: Traffic,
    ) -> int:
        """Put flows into the network as arrays, each in up to two watched groups; return the id of the first.

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
        np.add.at(self._carried[traffic], routes[used], np.broadcast_to(sizes[:, None], routes.shape)[used])
        self._sync()
        starts = starts + self.latency(routes)
        ids = self.flows.add(
            routes, sizes.astype(np.float64), starts=starts, rate_cap=caps, weight=weights, groups=groups
        )
        return int(ids[0])

    def groups(self, sizes: Sequence[int], over: Callable[[int], None]) -> int:
        """Reserve watched groups of so many flows each; `over(i)` is called at the end of the i-th's last."""
        groups = [self.flows.groups(1, flows=size) for size in sizes]
        for place, group in enumerate(groups):
            self.timeline.watch(group, lambda place=place: over(place))  # type: ignore[misc]
        return groups[0]

    def kinds(self, routes: NDArray[np.int32]) -> NDArray[np.int64]:
        """Return the kind of path, an index of `KINDS`, of each of the routes (n, hops) between GPUs."""
        kinds: NDArray[np.int64] = self._kinds[routes].max(axis=1)
        return kinds

    def far(self, routes: NDArray[np.int32]) -> NDArray[np.int64]:
        """Return how often each of the routes (n, hops) leaves a machine."""
        far: NDArray[np.int64] = self._crosses[routes].sum(axis=1)
        return far

    def queue_pairs(self, routes: NDArray[np.int32]) -> NDArray[np.int64]:
        """Return how many queue pairs carry the bytes of each of the routes (n, hops) between GPUs."""
        several = self.topology.spec.fabric.queue_pairs
        return np.where(self._hashed[routes].any(axis=1), several, 1)

    def latency(self, routes: NDArray[np.int32]) -> NDArray[np.float64]:
        """Return the seconds (n,) that a byte takes along each of the routes (n, hops)."""
        seconds: NDArray[np.float64] = self._latency[routes].sum(axis=1)
        return seconds

    def set_capacity(self, link: int, capacity: float) -> None:
        """Give a link another capacity, in bytes per second, from now on."""
        self.capacity[link] = capacity
        self._share_out(np.array([link]))

    def open(self, routes: NDArray[np.int32], change: int) -> None:
        """Count a collective on its NICs as moving (1) or over (-1): where two overlap, rate is lost."""
        if self.topology.communication.overlap_loss:
            used = np.unique(routes[routes >= 0])
            nics = used[self._nics[used]]
            self._open[nics] += change
            self._share_out(nics)

    def _share_out(self, links: NDArray[np.integer]) -> None:
        loss = self.topology.communication.overlap_loss
        self._sync()
        for link in links.tolist():
            kept = 1.0 - loss if self._open[link] > 1 else 1.0
            self.flows.set_capacity(link, float(self.capacity[link]) * kept)

    def _sync(self) -> None:
        """Tell an idle network the time, so that what is added now starts now."""
        if self.flows.now < self.timeline.now:
            self.flows.advance(self.timeline.now)

    def bound(self, group: int) -> str:
        """Return the name of the link that bound the last flow of a group, "" for its own cap or start."""
        return self._names[self.flows.group_last(group)[1]]

    def _group(self) -> int:
        self._sync()
        group = next(self._spare, None)
        if group is None:
            first = self.flows.groups(BLOCK)
            self._spare = iter(range(first + 1, first + BLOCK))
            return first
        return group
