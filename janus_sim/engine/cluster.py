"""A topology brought to life: clock, links, GPUs and machines of one run."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING, TypeAlias

from janus_sim.engine.belt.belt import Belt
from janus_sim.engine.belt.log import BeltLog
from janus_sim.engine.belt.stream import BeltStream
from janus_sim.engine.belt.works import Works
from janus_sim.engine.collective import Collective, CommunicationStream
from janus_sim.engine.fabric import Fabric, Traffic
from janus_sim.engine.kernel_time import KernelClock
from janus_sim.engine.machine import Buffer, Machine
from janus_sim.engine.place import Place
from janus_sim.engine.stream import ComputeStream
from janus_sim.engine.time import Activity, Timeline
from janus_sim.errors import DeadlockError, PolicyError
from janus_sim.network import Flows
from janus_sim.record import SpanLog
from janus_sim.topology.place import LinkChange

if TYPE_CHECKING:
    from janus_sim.topology import Topology
    from janus_sim.topology.place import GpuChange

Compute: TypeAlias = ComputeStream | BeltStream


def beltable(topology: Topology) -> bool:
    """Return whether kernels take equally long on all GPUs, each rank is simulated, and a pull is one flow.

    Examples
    --------
    >>> from janus_sim.topology import Topology
    >>> beltable(Topology.load("a100_2x8"))
    True
    """
    kinds = {(gpu.kind.name, topology.machines[gpu.machine].host.launch) for gpu in topology.gpus}
    one = topology.alive == topology.world and topology.spec.fabric.queue_pairs == 1
    return one and len(kinds) == 1


def _belt(topology: Topology, flows: Flows, slowdown: float) -> Belt:
    kind, host = topology.gpus[0].kind, topology.machines[0].host
    return Belt(flows, topology.world, Works(KernelClock(kind, host.launch, slowdown), kind.sms))


class Cluster:
    """All that is alive in one run.

    Parameters
    ----------
    topology : Topology
    slowdown : float
        Factor on the time of each GEMM (`training_slowdown`).
    bins : int
        Bins of the series of bytes that each link keeps; 0 for none.
    tolerance : float
        Of the network (`janus_sim.network.Flows`).
    belt : bool
        Whether kernels run in compiled code, and with them what policies put on the belt.

    Attributes
    ----------
    timeline : Timeline
    log : SpanLog
    fabric : Fabric
        All links.
    flows : Flows
        What moves on them.
    belt : Belt or None
    computes : list of ComputeStream
        By rank.
    alive, images : int
        So many ranks are simulated, from the first on, and each stands for so many: one, unless the machines
        are alike (`janus_sim.topology.Alike`).
    machines : list of Machine
        Those that are simulated.
    machine_of, host, mates : list
        By rank: its machine, the settings of its host, the ranks under its PCIe switch.
    domain : int
        GPUs of the smallest machine.

    Examples
    --------
    >>> from janus_sim.topology import Topology
    >>> cluster = Cluster(Topology.load("two_gpus"))
    >>> len(cluster.computes), len(cluster.machines), cluster.timeline.now
    (2, 2, 0.0)
    """

    def __init__(
        self,
        topology: Topology,
        *,
        slowdown: float = 1.0,
        bins: int = 0,
        tolerance: float = 0.0,
        belt: bool = False,
    ) -> None:
        self.topology = topology
        self.flows = Flows(topology.capacity, bins=bins, tolerance=tolerance)
        self.belt = _belt(topology, self.flows, slowdown) if belt else None
        self.log = SpanLog() if self.belt is None else BeltLog(self.belt)
        self.timeline = Timeline(self.belt or self.flows)
        self.fabric = Fabric(topology, self.timeline, self.flows, self.log)
        if self.belt is not None:
            self.belt.timeline, self.belt.fabric = self.timeline, self.fabric
        self.alive, self.images = topology.alive, topology.world // topology.alive
        gpus = topology.gpus[: self.alive]
        places = topology.machines[: gpus[-1].machine + 1]
        self.machines = [Machine(self.timeline, place.index, place.ranks) for place in places]
        self.machine_of = [self.machines[gpu.machine] for gpu in gpus]
        self.domain = min(len(place.ranks) for place in topology.machines)
        self.host = [topology.machines[gpu.machine].host for gpu in gpus]
        self.mates = [topology.machines[gpu.machine].switches[gpu.switch] for gpu in gpus]
        self.computes = self._compute_streams(slowdown)
        self._buffers: dict[tuple[int, Hashable], Buffer] = {}
        self._streams: dict[Hashable, CommunicationStream] = {}
        for change in topology.changes:
            self.timeline.change(change.time, self._changer(change))

    def _compute_streams(self, slowdown: float) -> list[Compute]:
        if self.belt is not None:
            return [
                BeltStream(self.belt, rank=gpu.rank, machine=gpu.machine, sms=gpu.kind.sms, speed=gpu.speed)
                for gpu in self.topology.gpus
            ]
        clocks: dict[Hashable, KernelClock] = {}
        streams: list[Compute] = []
        for gpu, host in zip(self.topology.gpus[: self.alive], self.host, strict=True):
            key = (gpu.kind.name, host.launch)
            if key not in clocks:
                clocks[key] = KernelClock(gpu.kind, host.launch, slowdown)
            where = {"rank": gpu.rank, "machine": gpu.machine}
            stream = ComputeStream(
                self.timeline, self.log, clocks[key], **where, sms=gpu.kind.sms, speed=gpu.speed
            )
            streams.append(stream)
        return streams

    def collective(
        self,
        kind: type[Collective],
        load: object,
        place: Place,
        label: str,
        rank: int,
        members: tuple[int, ...],
        *,
        stream: Hashable,
        sms: int | None,
        traffic: Traffic,
    ) -> Activity:
        """Call a collective on one rank: that of this place, members, kind, label and number of such calls.

        Parameters
        ----------
        kind : AllToAll or AllReduce
        load : object
            What it moves: the first argument of `kind`.
        place, label
            Where and what for.
        rank : int
        members : tuple of int
            Ranks.
        stream : hashable
            Collectives of one communicator and lane run one after another, unless they name different
            streams.
        sms : int, optional
            SMs that the kernel holds; those of the topology by default.
        traffic : {"expert", "dense"}
            Under which heading links count the bytes.

        Returns
        -------
        Activity
            Over when the part of `rank` is.

        Raises
        ------
        PolicyError
            If `rank` is no member, or brings another load than the ranks before it.
        """
        key = (place.lane, members, stream)
        found = self._streams.get(key)
        if found is None:
            found = self._streams[key] = CommunicationStream(members)
        held = self.topology.communication.sms[kind.kind] if sms is None else sms

        def build() -> Collective:
            return kind(load, self.fabric, self.computes, place, label, members, held, traffic)

        one = found.find(rank, (place, kind, label), build)
        one.check(load, rank)
        return one.call(rank)

    def think(self, rank: int, seconds: float, label: str, place: Place) -> Activity:
        """Spend CPU time on the critical path of `rank`."""
        timeline = self.timeline
        activity = Activity(timeline, repr(label), "on the host of rank", rank)
        if not seconds:
            activity.finish(timeline.why)
            return activity
        if not 0.0 < seconds < float("inf"):
            raise PolicyError(f"{label!r} on rank {rank} takes {seconds!r} seconds; give 0 or more")
        begin, why, machine = timeline.now, timeline.why, self.machine_of[rank].index

        def over(_: object) -> None:
            span = self.log.add(
                place.step, place.micro_batch, place.layer, place.phase, rank, machine, "host", "think",
                label, place.lane, begin, begin, timeline.now, why, "host",
            )  # fmt: skip
            activity.finish(span)

        timeline.after(seconds, over)
        return activity

    def buffer(self, rank: int, name: Hashable, credits: int) -> Buffer:  # noqa: A002
        """Return the buffer of that name on `rank`; a number of credits may change while nothing is in it."""
        key = (rank, name)
        found = self._buffers.get(key)
        if found is None:
            found = self._buffers[key] = Buffer(self.timeline, credits, name, "of rank", rank)
        elif credits and credits != found.credits:
            found.make_room(credits)
        return found

    @property
    def buffers(self) -> list[Buffer]:
        """All buffers of all ranks."""
        return list(self._buffers.values())

    def end_step(self) -> None:
        """Drop what holds for one step only.

        Raises
        ------
        DeadlockError
            If a collective that somebody called was never over.
        """
        left = [line for stream in self._streams.values() for line in stream.unfinished()]
        if left:
            raise DeadlockError(left)
        for machine in self.machines:
            machine.clear()
        for buffer in self._buffers.values():
            buffer.clear()
        self._streams.clear()
        if self.belt is not None:
            self.belt.clear()

    def _changer(self, change: LinkChange | GpuChange) -> Callable[[], None]:
        """Return what happens to a link or a GPU at the time of a change."""
        if isinstance(change, LinkChange):
            link, capacity = change.link, change.capacity
            return lambda: self.fabric.set_capacity(link, capacity)
        stream, speed = self.computes[change.rank], change.speed
        return lambda: stream.set_speed(speed)
