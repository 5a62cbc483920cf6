"""A topology brought to life: clock, links, GPUs and machines of one run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING, TypeVar

from janus_sim.engine.collective import Collective, CommunicationStream
from janus_sim.engine.fabric import Fabric
from janus_sim.engine.kernel_time import KernelClock
from janus_sim.engine.machine import Buffer, Machine
from janus_sim.engine.place import Place
from janus_sim.engine.stream import ComputeStream
from janus_sim.engine.time import Activity, Timeline
from janus_sim.network import Flows
from janus_sim.record import SpanLog

if TYPE_CHECKING:
    from janus_sim.engine.gpu import Gpu
    from janus_sim.topology import Topology

C = TypeVar("C", bound=Collective)


class Cluster:
    """All that is alive in one run.

    Parameters
    ----------
    topology : Topology
    slowdown : float
        Factor on the time of each GEMM (`training_slowdown`).
    bins : int
        Bins of the series of bytes that each link keeps; 0 for none.
    """

    def __init__(self, topology: Topology, *, slowdown: float = 1.0, bins: int = 0) -> None:
        self.topology = topology
        self.log = SpanLog()
        self.flows = Flows(topology.capacity, bins=bins)
        self.timeline = Timeline(self.flows)
        self.fabric = Fabric(topology, self.timeline, self.flows, self.log)
        self.machines = [Machine(self.timeline, place.index, place.ranks) for place in topology.machines]
        self.machine_of = [self.machines[gpu.machine] for gpu in topology.gpus]
        self.host = [topology.machines[gpu.machine].host for gpu in topology.gpus]
        self.mates = [topology.machines[gpu.machine].switches[gpu.switch] for gpu in topology.gpus]
        clocks: dict[Hashable, KernelClock] = {}
        self.computes = []
        for gpu, host in zip(topology.gpus, self.host, strict=True):
            clock = clocks.setdefault((gpu.kind.name, host.launch), KernelClock(gpu.kind, host.launch, slowdown))
            stream = ComputeStream(
                self.timeline, self.log, clock, rank=gpu.rank, machine=gpu.machine, sms=gpu.kind.sms, speed=gpu.speed
            )
            self.computes.append(stream)
        self._buffers: dict[tuple[int, Hashable], Buffer] = {}
        self._streams: dict[Hashable, CommunicationStream] = {}
        self._collectives: dict[Hashable, Collective] = {}
        self._calls: Counter[Hashable] = Counter()
        for change in topology.changes:
            self.timeline.change(change.time, self._changer(change))

    def collective(
        self, gpu: Gpu, kind: str, label: str, members: tuple[int, ...], stream: Hashable, build: Callable[..., C]
    ) -> C:
        """Return the collective that this call belongs to: by place, members, kind, label and which such call it is."""
        place = gpu.place
        lane = (place.lane, members, stream)
        about = (lane, place, kind, label)
        self._calls[gpu.rank, about] += 1
        key = (about, self._calls[gpu.rank, about])
        found = self._collectives.get(key)
        if found is None:
            found = build(
                fabric=self.fabric, computes=self.computes, place=place, kind=kind, label=label, members=members
            )
            self._collectives[key] = found
            if lane not in self._streams:
                self._streams[lane] = CommunicationStream(members)
            self._streams[lane].add(found)
        return found  # type: ignore[return-value]

    def think(self, rank: int, seconds: float, label: str, place: Place) -> Activity:
        """Spend CPU time on the critical path of `rank`."""
        timeline = self.timeline
        activity = Activity(timeline, label, "on rank", rank)
        if not seconds:
            activity.finish(timeline.why)
            return activity
        begin, why, machine = timeline.now, timeline.why, self.machine_of[rank].index

        def over(_: object) -> None:
            span = self.log.add(
                place.step, place.micro_batch, place.layer, place.phase, rank, machine, "host", "think", label,
                place.lane, begin, begin, timeline.now, why, "host",
            )  # fmt: skip
            activity.finish(span)

        timeline.after(seconds, over)
        return activity

    def buffer(self, rank: int, name: Hashable, credits: int) -> Buffer:
        """Return the buffer of that name on `rank`."""
        key = (rank, name)
        if key not in self._buffers:
            self._buffers[key] = Buffer(self.timeline, credits, "rank", rank, name)
        return self._buffers[key]

    @property
    def buffers(self) -> list[Buffer]:
        """All buffers of all ranks."""
        return list(self._buffers.values())

    def end_step(self) -> None:
        """Drop what holds for one step only."""
        for machine in self.machines:
            machine.clear()
        for buffer in self._buffers.values():
            buffer.clear()
        self._streams.clear()
        self._collectives.clear()
        self._calls.clear()

    def _changer(self, change: object) -> Callable[[], None]:
        """Return what happens to a link or a GPU at the time of a change."""

        def happen() -> None:
            if hasattr(change, "capacity"):
                self.fabric.set_capacity(change.link, change.capacity)
            else:
                self.computes[change.rank].set_speed(change.speed)  # type: ignore[attr-defined]

        return happen
