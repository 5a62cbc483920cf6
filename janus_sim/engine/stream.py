"""The compute stream of a GPU: kernels one after another, slowed by what takes SMs away."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from janus_sim.engine.time import Activity, Timeline

if TYPE_CHECKING:
    from janus_sim.engine.kernel_time import KernelClock
    from janus_sim.engine.place import Place
    from janus_sim.record import SpanLog
    from janus_sim.workload.kernel import Kernel


class _Launch(Activity):
    """One call of `gpu.compute`: kernels that run back to back."""

    __slots__ = ("begin", "gap", "issued", "kernels", "label", "place", "useful")


class ComputeStream:
    """First in, first out.

    A kernel's why is the end of the kernel before it, or what issued it if the stream was idle.

    Parameters
    ----------
    sms : int
        SMs of the GPU.
    speed : float
        1.0; a slow GPU has less.
    """

    def __init__(
        self, timeline: Timeline, log: SpanLog, clock: KernelClock, *, rank: int, machine: int, sms: int, speed: float
    ) -> None:
        self.timeline, self.log, self.clock = timeline, log, clock
        self.rank, self.machine, self.sms, self.speed = rank, machine, sms, speed
        self.taken = 0  # SMs that communication kernels hold
        self._queue: deque[_Launch] = deque()
        self._running: _Launch | None = None
        self._left = 0.0  # part of the running launch that is still to do, as of `_since`
        self._since = 0.0
        self._length = 0.0  # seconds of the whole launch at the speed of now
        self._timer = 0  # only the newest timer counts
        self._facts: dict[tuple[Kernel, ...], tuple[float, float, float]] = {}

    def compute(self, kernels: tuple[Kernel, ...], label: str, place: Place, *, gap: float, useful: float) -> Activity:
        """Queue kernels; `gap` seconds of host time come before, `useful` is the part of the FLOPs that is not padding."""
        launch = _Launch(self.timeline, "compute", label, "on rank", self.rank)
        launch.kernels, launch.label, launch.place, launch.gap, launch.useful = kernels, label, place, gap, useful
        launch.issued = self.timeline.why
        if self._running is None:
            self._begin(launch, launch.issued)
        else:
            self._queue.append(launch)
        return launch

    def take(self, sms: int) -> None:
        """Let a communication kernel take (or, negative, give back) SMs."""
        self.taken += sms
        self._retime()

    def set_speed(self, speed: float) -> None:
        """Run at another speed from now on."""
        self.speed = speed
        self._retime()

    def _seconds(self, launch: _Launch) -> float:
        share = max(1.0 - self.taken / self.sms, 1.0 / self.sms)
        return launch.gap + self.clock.seconds(launch.kernels, share, self.speed)

    def _begin(self, launch: _Launch, why: int) -> None:
        launch.begin, launch.issued = self.timeline.now, why
        self._running, self._left, self._since = launch, 1.0, launch.begin
        self._length = self._seconds(launch)
        self._arm()

    def _retime(self) -> None:
        launch, now = self._running, self.timeline.now
        if launch is None:
            return
        length = self._seconds(launch)
        if length == self._length:
            return
        if self._length > 0.0:
            self._left = max(self._left - (now - self._since) / self._length, 0.0)
        self._since, self._length = now, length
        self._arm()

    def _arm(self) -> None:
        self._timer += 1
        timer = self._timer

        def ring(_: Any) -> None:
            if timer == self._timer:
                self._end()

        self.timeline.after(self._left * self._length, ring)

    def _end(self) -> None:
        launch = self._running
        assert launch is not None
        place = launch.place
        flops, starting, ideal = self._facts_of(launch.kernels)
        span = self.log.add(
            place.step, place.micro_batch, place.layer, place.phase, self.rank, self.machine, "compute", "compute",
            launch.label, place.lane, launch.begin, launch.begin, self.timeline.now, launch.issued, "gpu", 0,
            flops * launch.useful, flops, starting + launch.gap, ideal * launch.useful,
        )  # fmt: skip
        self._running = None
        if self._queue:
            self._begin(self._queue.popleft(), span)
        launch.finish(span)

    def _facts_of(self, kernels: tuple[Kernel, ...]) -> tuple[float, float, float]:
        """Return FLOPs, seconds of launches and seconds at the peak, worked out once for each tuple of kernels."""
        facts = self._facts.get(kernels)
        if facts is None:
            flops = float(sum(kernel.flops for kernel in kernels))
            facts = flops, self.clock.launch_seconds(kernels), self.clock.ideal_seconds(kernels)
            self._facts[kernels] = facts
        return facts
