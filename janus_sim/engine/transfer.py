"""One transfer under way, and how transfers of its kind go."""

from __future__ import annotations

from typing import TYPE_CHECKING

from janus_sim.engine.time import Activity

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from janus_sim.engine.fabric import Device, Fabric
    from janus_sim.engine.place import Place


class Path:
    """How transfers of one size go from one device to another.

    Attributes
    ----------
    ways : list of ((hops,) int32, int)
        The route of each queue pair, and its part of the bytes.
    delay : float
        Seconds before the first byte moves: start time and latencies.
    cap : float
        Bytes per second at most.
    far : int
        Bytes that one such transfer adds to what leaves machines.
    times : int
        How many there were so far.
    """

    __slots__ = ("cap", "delay", "far", "times", "ways")

    def __init__(self, ways: list[tuple[NDArray[np.int32], int]], delay: float, cap: float, far: int) -> None:
        self.ways, self.delay, self.cap, self.far, self.times = ways, delay, cap, far, 0


class Transfer(Activity):
    """One transfer under way."""

    __slots__ = (
        "begin",
        "cause",
        "ends",
        "fabric",
        "group",
        "label",
        "machine",
        "path",
        "place",
        "rank",
        "size",
    )

    def __init__(
        self,
        fabric: Fabric,
        path: Path,
        ends: tuple[Device, Device],
        size: int,
        place: Place,
        label: str,
        rank: int,
        machine: int,
        group: int,
    ) -> None:
        timeline = fabric.timeline
        super().__init__(timeline)
        self.fabric, self.path, self.ends, self.size, self.place = fabric, path, ends, size, place
        self.label, self.rank, self.machine, self.group = label, rank, machine, group
        self.begin, self.cause = timeline.now, timeline.why

    def over(self) -> None:
        """Write the span: all bytes are there."""
        fabric, place = self.fabric, self.place
        span = fabric.log.add(
            place.step, place.micro_batch, place.layer, place.phase, self.rank, self.machine, "copy",
            "transfer", self.label, place.lane, self.begin, self.begin, self.timeline.now, self.cause,
            fabric.bound(self.group), self.size, far_bytes=self.path.far,
        )  # fmt: skip
        self.finish(span)

    def __str__(self) -> str:
        source, target = (self.fabric.topology.name_of(end) for end in self.ends)
        return f"the transfer of {self.label!r} from {source} to {target}"
