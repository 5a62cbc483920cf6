"""The compute stream of a GPU: kernels one after another, slowed by what takes SMs away."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, NamedTuple

from janus_sim.engine.time import Activity, Timeline
from janus_sim.errors import PolicyError

if TYPE_CHECKING:
    from janus_sim.engine.kernel_time import KernelClock
    from janus_sim.engine.place import Place
    from janus_sim.record import SpanLog
    from janus_sim.workload.kernel import Kernel

Kernels = tuple["Kernel", ...]


class _Work(NamedTuple):
    """What some kernels are, worked out once: FLOPs, and seconds of launches, at the peak, undisturbed.

    `slowed`: the same seconds where some SMs are taken, by their number.
    """

    flops: float
    launches: float
    ideal: float
    seconds: float
    slowed: dict[int, float]


class _Launch(Activity):
    """One call of `gpu.compute`: kernels that run back to back."""

    __slots__ = ("begin", "cause", "gap", "kernels", "label", "place", "rank", "useful", "work")

    begin: float

    def __init__(
        self,
        timeline: Timeline,
        rank: int,
        kernels: Kernels,
        work: _Work,
        label: str,
        place: Place,
        gap: float,
        useful: float,
    ) -> None:
        super().__init__(timeline)
        self.rank, self.kernels, self.work, self.label, self.place = rank, kernels, work, label, place
        self.gap, self.useful = gap, useful
        self.cause = timeline.why

    def __str__(self) -> str:
        return f"{self.label!r} on the compute stream of rank {self.rank}"


class ComputeStream:
    """First in, first out.

    A launch's why is the end of the launch before it, or what issued it if the stream was idle. When SMs are
    taken or given back, or the GPU changes its speed, in the middle of a launch, the part of it that is left
    (host time and kernels alike) takes the time that it would take from the start under the new conditions.

    Parameters
    ----------
    timeline, log
        The clock, and where spans are written.
    clock : KernelClock
        Tells the seconds of kernels.
    rank, machine : int
    sms : int
        SMs of the GPU.
    speed : float
        1.0; a slow GPU has less.
    """

    def __init__(
        self,
        timeline: Timeline,
        log: SpanLog,
        clock: KernelClock,
        *,
        rank: int,
        machine: int,
        sms: int,
        speed: float,
    ) -> None:
        self.timeline, self.log, self.clock = timeline, log, clock
        self.rank, self.machine, self.sms, self.speed = rank, machine, sms, speed
        self.taken = 0  # SMs that communication kernels hold
        self._queue: deque[_Launch] = deque()
        self._running: _Launch | None = None
        self._left = 0.0  # part of the running launch that is still to do, as of `_since`
        self._since = 0.0
        self._length = 0.0  # seconds of the whole launch at the speed of now
        self._timer: Any = None  # rings when the running launch ends, if nothing changes
        self._works: dict[Kernels, _Work] = {}

    def compute(self, kernels: Kernels, label: str, place: Place, gap: float, useful: float) -> Activity:
        """Queue kernels, after `gap` seconds of host time; `useful` is the part of the FLOPs not padded."""
        try:
            work = self._works[kernels]
        except (KeyError, TypeError):
            work = self._look_at(kernels, label)
        launch = _Launch(self.timeline, self.rank, kernels, work, label, place, gap, useful)
        if self._running is None:
            self._begin(launch)
        else:
            self._queue.append(launch)
        return launch

    def take(self, sms: int) -> None:
        """Let a communication kernel take (or, negative, give back) SMs."""
        self.taken += sms
        if self._running is not None:
            self._retime(self._running)

    def set_speed(self, speed: float) -> None:
        """Run at another speed from now on."""
        self.speed = speed
        if self._running is not None:
            self._retime(self._running)

    def _look_at(self, kernels: Kernels, label: str) -> _Work:
        if not isinstance(kernels, tuple):
            raise PolicyError(
                f"{label!r} on rank {self.rank}: compute takes a tuple of kernels, not {kernels!r}"
            )
        clock = self.clock
        flops, seconds = float(sum(kernel.flops for kernel in kernels)), clock.seconds(kernels)
        work = _Work(flops, clock.launch_seconds(kernels), clock.ideal_seconds(kernels), seconds, {})
        self._works[kernels] = work
        return work

    def _seconds(self, launch: _Launch) -> float:
        if not self.taken:
            return launch.gap + launch.work.seconds / self.speed
        slowed = launch.work.slowed.get(self.taken)
        if slowed is None:
            share = max(1.0 - self.taken / self.sms, 1.0 / self.sms)
            slowed = launch.work.slowed[self.taken] = self.clock.seconds(launch.kernels, share)
        return launch.gap + slowed / self.speed

    def _begin(self, launch: _Launch) -> None:
        launch.begin = self._since = self.timeline.now
        self._running, self._left = launch, 1.0
        self._length = self._seconds(launch)
        self._timer = self.timeline.after(self._length, self._end)

    def _retime(self, launch: _Launch) -> None:
        length, now = self._seconds(launch), self.timeline.now
        if length == self._length:
            return
        if self._length > 0.0:
            self._left = max(self._left - (now - self._since) / self._length, 0.0)
        self._since, self._length = now, length
        self.timeline.call_off(self._timer)
        self._timer = self.timeline.after(self._left * length, self._end)

    def _end(self, _: object) -> None:
        launch = self._running
        if launch is None:
            return
        place, work, useful = launch.place, launch.work, launch.useful
        span = self.log.add(
            place.step, place.micro_batch, place.layer, place.phase, self.rank, self.machine, "compute",
            "compute", launch.label, place.lane, launch.begin, launch.begin, self.timeline.now, launch.cause,
            "gpu", 0, work.flops * useful, work.flops, work.launches + launch.gap, work.ideal * useful,
        )  # fmt: skip
        self._running = None
        if self._queue:
            following = self._queue.popleft()
            following.cause = span
            self._begin(following)
        launch.finish(span)
