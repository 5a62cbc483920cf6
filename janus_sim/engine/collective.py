"""Collectives: one kernel on each member, matched by place, in the order of its communicator's stream."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from janus_sim.engine.fabric import Fabric, Traffic
from janus_sim.engine.rings import ring_all_reduce
from janus_sim.engine.time import Activity
from janus_sim.errors import PolicyError

if TYPE_CHECKING:
    from janus_sim.engine.place import Place
    from janus_sim.engine.stream import ComputeStream

Pairs = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]


class CommunicationStream:
    """The collectives of one communicator in one lane: on each rank one after another, in the order of first calls."""

    def __init__(self, members: tuple[int, ...]) -> None:
        self.order: list[Collective] = []
        self.front = dict.fromkeys(members, 0)  # which of `order` each rank is at

    def add(self, collective: Collective) -> None:
        """Queue a collective that nobody called before."""
        collective.stream, collective.turn = self, len(self.order)
        self.order.append(collective)

    def leave(self, rank: int, span: int) -> None:
        """Let `rank` go on to its next collective, if it has called it."""
        self.front[rank] += 1
        turn = self.front[rank]
        if turn < len(self.order) and rank in self.order[turn].calls:
            self.order[turn].join(rank, span)


class Collective(ABC):
    """One collective among `members`.

    Parameters
    ----------
    fabric : Fabric
    computes : list of ComputeStream
        Of all ranks; a member's loses SMs from its join to its end, waiting included.
    place, kind, label
        Where, which and what for.
    members : tuple of int
        Ranks.
    sms : int
        SMs that the kernel holds on each member.
    traffic : {"expert", "dense"}
        Under which heading its bytes are counted.
    """

    stream: CommunicationStream
    turn: int
    flows: _Flows

    def __init__(
        self, fabric: Fabric, computes: list[ComputeStream], place: Place, kind: str, label: str,
        members: tuple[int, ...], sms: int, traffic: Traffic,
    ) -> None:  # fmt: skip
        self.fabric, self.computes, self.timeline = fabric, computes, fabric.timeline
        self.place, self.kind, self.label, self.members, self.sms, self.traffic = place, kind, label, members, sms, traffic
        self.calls: dict[int, Activity] = {}
        self.joined: dict[int, tuple[float, int]] = {}  # rank -> (when, why)
        self.index = {rank: index for index, rank in enumerate(members)}
        self.left = 0

    def call(self, rank: int) -> Activity:
        """Hand the kernel to the stream of `rank`."""
        activity = Activity(self.timeline, self, "on rank", rank)
        self.calls[rank] = activity
        if self.stream.front[rank] == self.turn:
            self.join(rank, self.timeline.why)
        return activity

    def join(self, rank: int, why: int) -> None:
        """The kernel starts on `rank`: it spins on its SMs until its own part is over."""
        if not self.joined:
            self.fabric.open(self.routes, 1)
        self.joined[rank] = (self.timeline.now, why)
        self.computes[rank].take(self.sms)
        self._join(rank)

    def leave(self, rank: int, begin: float, why: int, resource: str, size: int, far: int) -> None:
        """The kernel ends on `rank`; its last part began at `begin` because of `why`."""
        place = self.place
        span = self.fabric.log.add(
            place.step, place.micro_batch, place.layer, place.phase, rank, self.computes[rank].machine, "communication",
            self.kind, self.label, place.lane, self.joined[rank][0], begin, self.timeline.now, why, resource, size,
            far_bytes=far,
        )  # fmt: skip
        self.computes[rank].take(-self.sms)
        self.left += 1
        if self.left == len(self.members):
            self.fabric.open(self.routes, -1)
        self.stream.leave(rank, span)
        self.calls[rank].finish(span)

    @property
    def routes(self) -> NDArray[np.int32]:
        """The routes of all flows (n, hops)."""
        return self.flows.routes

    def __str__(self) -> str:
        missing = [rank for rank in self.members if rank not in self.joined]
        late = f", not joined by ranks {missing[:8]}{'...' if len(missing) > 8 else ''}" if missing else ""
        return f"{self.kind} {self.label!r} of {self.place}{late}"

    @abstractmethod
    def _join(self, rank: int) -> None: ...

    def _flows(self, pairs: Pairs) -> _Flows:
        return _Flows(self.fabric, self.members, pairs, self.kind)


class AllToAll(Collective):
    """Each member sends its row of `sizes`; a pair's flow starts when both have joined, and a rank leaves when its own
    sends and receives are over (as NCCL does it).

    Parameters
    ----------
    sizes : (n, n) int64
        Bytes from member (row) to member (column); the diagonal stays at home.
    """

    def __init__(self, sizes: NDArray[np.int64], **about: object) -> None:
        super().__init__(**about)  # type: ignore[arg-type]
        self.sizes = sizes
        source, target = np.nonzero(sizes)
        away = source != target
        source, target = source[away], target[away]
        self.flows = self._flows((source, target, sizes[source, target]))
        self.source, self.target = source, target
        count = len(self.members)
        #: flows of each member that wait for a partner
        self.missing = np.bincount(source, minlength=count) + np.bincount(target, minlength=count)
        self.started = np.zeros(len(source), dtype=bool)
        self.present = np.zeros(count, dtype=bool)
        self.of: dict[int, int] = {}  # id in the network -> index of the flow
        self.group = self.fabric.groups(count, self._empty)

    def check(self, sizes: NDArray[np.int64], rank: int) -> None:
        """Refuse a member that brings other sizes than those before it."""
        if sizes is not self.sizes and not np.array_equal(sizes, self.sizes):
            raise PolicyError(f"rank {rank} brings other sizes to {self} than the ranks before it")

    def _join(self, rank: int) -> None:
        me = self.index[rank]
        self.present[me] = True
        mine = (self.source == me) | (self.target == me)
        ready = np.flatnonzero(mine & self.present[self.source] & self.present[self.target] & ~self.started)
        if len(ready):
            self.started[ready] = True
            source, target = self.source[ready], self.target[ready]
            self.missing -= np.bincount(source, minlength=len(self.members))
            self.missing -= np.bincount(target, minlength=len(self.members))
            groups = np.stack([source, target], axis=1) + self.group
            ids = self.flows.start(ready, self.timeline.now, groups, self.traffic)
            self.of.update(zip(ids.tolist(), ready.tolist(), strict=True))
        elif not mine.any():
            self.leave(rank, *self.joined[rank], "", 0, 0)

    def _empty(self, me: int) -> None:
        if self.missing[me] or not self.present[me]:
            return
        rank = self.members[me]
        flow, link = self.fabric.flows.group_last(self.group + me)
        last = self.of[flow]
        ends = (self.members[self.source[last]], self.members[self.target[last]])
        begin, why = max((self.joined[end] for end in ends), key=lambda join: join[0])
        mine = self.source == me
        size, far = int(self.flows.sizes[mine].sum()), int(self.flows.far_bytes[mine].sum())
        self.leave(rank, begin, why, self.fabric.link_name(link), size, far)


class AllReduce(Collective):
    """Rings between machines over their members, hierarchical inside; all members start and end together.

    Parameters
    ----------
    size : int
        Bytes of the buffer on each member.
    """

    def __init__(self, size: int, **about: object) -> None:
        super().__init__(**about)  # type: ignore[arg-type]
        self.size = size
        machines = [self.computes[member].machine for member in self.members]
        self.flows = self._flows(ring_all_reduce(machines, size))
        self.group = self.fabric.groups(1, self._empty)

    def check(self, size: int, rank: int) -> None:
        """Refuse a member that brings another size than those before it."""
        if size != self.size:
            raise PolicyError(f"rank {rank} brings {size} bytes to {self}, the ranks before it {self.size}")

    def _join(self, rank: int) -> None:
        if len(self.joined) < len(self.members):
            return
        every = np.arange(len(self.flows.sizes))
        if len(every):
            groups = np.full((len(every), 2), -1, dtype=np.int64)
            groups[:, 0] = self.group
            self.flows.start(every, self.timeline.now, groups, self.traffic)
        else:
            self._leave_all("")

    def _empty(self, _: int) -> None:
        self._leave_all(self.fabric.link_name(self.fabric.flows.group_last(self.group)[1]))

    def _leave_all(self, resource: str) -> None:
        begin, why = max(self.joined.values(), key=lambda join: join[0])
        sent = np.bincount(self.flows.source, self.flows.sizes, minlength=len(self.members))
        far = np.bincount(self.flows.source, self.flows.far_bytes, minlength=len(self.members))
        for index, rank in enumerate(self.members):
            self.leave(rank, begin, why, resource, int(sent[index]), int(far[index]))


class _Flows:
    """The flows of one collective as arrays: routes, start times, rate caps and weights."""

    def __init__(self, fabric: Fabric, members: tuple[int, ...], pairs: Pairs, word: str) -> None:
        self.fabric = fabric
        self.source, target, self.sizes = pairs
        ranks = np.array(members, dtype=np.int64)
        topology, count = fabric.topology, len(self.sizes)
        self.routes = topology.routes(ranks[self.source], ranks[target])
        far = fabric.far(self.routes)
        self.far_bytes = self.sizes * far
        self.delays, self.caps, self.weights = np.zeros(count), np.full(count, np.inf), np.ones(count)
        if not count:
            return
        shared = self._flows_beside()
        self.weights = topology.communication.channels / shared
        self._message_size(word, ranks, target, far > 0)
        if word == "all_reduce":  # between machines a ring does not reach what its links carry at best
            slowest = np.where(self.routes >= 0, topology.capacity[self.routes], np.inf).min(axis=1)
            reached = topology.communication.all_reduce_efficiency * slowest / shared
            self.caps = np.where(far > 0, np.minimum(self.caps, reached), self.caps)

    def _flows_beside(self) -> NDArray[np.float64]:
        """Return with how many flows of this collective each shares its most crowded link, itself included."""
        used = self.routes >= 0
        crowd = np.bincount(self.routes[used], minlength=len(self.fabric.topology.links))
        beside: NDArray[np.float64] = np.where(used, crowd[self.routes], 1).max(axis=1).astype(np.float64)
        return beside

    def _message_size(
        self, word: str, ranks: NDArray[np.int64], target: NDArray[np.int64], far: NDArray[np.bool_]
    ) -> None:
        """Set start times and rate caps by what each source sends over each kind of path."""
        topology, source = self.fabric.topology, self.source
        keys = np.array([gpu.machine for gpu in topology.gpus], dtype=np.int64)[ranks[source]] * 2 + far
        for key in np.unique(keys):
            chosen = np.flatnonzero(keys == key)
            first = chosen[0]
            kind = topology.path_kind(int(ranks[source[first]]), int(ranks[target[first]]))
            sent = np.bincount(source[chosen], self.sizes[chosen], minlength=len(ranks))
            start, cap = topology.start(word, kind, sent)
            self.delays[chosen] = start[source[chosen]]
            capped = np.isfinite(cap[source[chosen]])
            part = self.sizes[chosen] / sent[source[chosen]]
            self.caps[chosen[capped]] = (cap[source[chosen]] * part)[capped]

    def start(
        self, which: NDArray[np.int64], now: float, groups: NDArray[np.int64], traffic: Traffic
    ) -> NDArray[np.int64]:
        """Put some of the flows into the network; return their ids."""
        return self.fabric.transfer_many(
            self.routes[which], self.sizes[which], starts=now + self.delays[which], caps=self.caps[which],
            weights=self.weights[which], groups=groups, traffic=traffic,
        )  # fmt: skip
