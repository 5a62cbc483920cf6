"""The one file with SimPy: the clock, and threads that wait for activities."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator
from heapq import heappop
from typing import TYPE_CHECKING, Any, TypeAlias

import simpy

from janus_sim.engine.activity import Activity, All, First
from janus_sim.errors import DeadlockError, PolicyError

if TYPE_CHECKING:
    from janus_sim.engine.belt.belt import Belt
    from janus_sim.network import Flows

__all__ = ["Activity", "All", "First", "Steps", "Thread", "Timeline"]

#: What a policy's method is: a generator that yields the activities it waits for.
Steps: TypeAlias = Generator["Activity", None, None]


class Thread(Activity):
    """A generator that runs: it stops at each activity that it yields, and goes on when that is over.

    It remembers the why of what last resumed it, and all that it issues inherits that.
    """

    __slots__ = ("_send", "awaits")

    def __init__(self, timeline: Timeline, steps: Steps, *name: object) -> None:
        super().__init__(timeline, *name)
        if not hasattr(steps, "send"):
            raise PolicyError(f"{self}: got {steps!r} for its steps; a method of a policy has to yield")
        self._send = steps.send
        self.awaits: Activity | None = None
        timeline.threads[self] = None
        self.go(timeline.why)

    def go(self, why: int) -> None:
        """Run up to the next thing that is not over yet; all that is issued inherits `why`."""
        timeline, send = self.timeline, self._send
        before, timeline.why = timeline.why, why
        try:
            while True:
                awaited = send(None)
                if not isinstance(awaited, Activity):
                    raise PolicyError(_not_awaitable(self, awaited))
                if not awaited.done:
                    self.awaits = awaited
                    awaited.waiters.append(self._wake)
                    return
        except StopIteration:
            del timeline.threads[self]
            self.finish(timeline.why)
        finally:
            timeline.why = before

    def _wake(self, awaited: Activity) -> None:
        self.awaits = None
        self.timeline.ready.append((self, awaited.why))


def _not_awaitable(thread: Thread, found: object) -> str:
    return (
        f"{thread}: yielded {found!r}; yield what gpu.compute, gpu.pull, gpu.all_to_all, ... return, "
        "and use `yield from` for another generator"
    )


class _Clock(simpy.Environment):
    """A SimPy environment whose clock the network may move, and whose events may be called off."""

    def move(self, time: float) -> None:
        self._now = time

    def coming(self) -> float:
        """Return when the next event is due that was not called off; infinite if there is none."""
        queue = self._queue
        while queue and not queue[0][3].callbacks:
            heappop(queue)
        return float(queue[0][0]) if queue else float("inf")

    def take(self) -> None:
        """Go to the next event and call back: what `step` does, for events that cannot fail."""
        self._now, _, _, event = heappop(self._queue)
        calls = event.callbacks
        event.callbacks = None  # type: ignore[assignment]  # SimPy's mark of an event that is over
        for call in calls:
            call(event)


class Timeline:
    """Time: SimPy's heap of events beside the network's flows, whichever comes first.

    Parameters
    ----------
    flows : Flows, Belt or None
        The fluid state of the network, or the belt that drives it; it is told the time and stops where
        somebody waits.

    Examples
    --------
    >>> timeline = Timeline()
    >>> def two_naps():
    ...     yield timeline.sleep(1.0)
    ...     yield timeline.sleep(2.0)
    >>> thread = timeline.start(two_naps(), "sleeper")
    >>> timeline.run()
    >>> timeline.now
    3.0
    """

    def __init__(self, flows: Flows | Belt | None = None) -> None:
        self.flows = flows
        self.now = 0.0
        self.why = -1  #: the span whose end resumed the thread that runs now
        self.ready: deque[tuple[Thread, int]] = deque()
        self.threads: dict[Thread, None] = {}
        self._clock = _Clock()
        self._watch: dict[int, Callable[[], None]] = {}
        self._changes: deque[tuple[float, Callable[[], None]]] = deque()

    def start(self, steps: Steps, *name: object) -> Thread:
        """Run `steps` beside the caller, at once up to its first wait."""
        return Thread(self, steps, *name)

    def after(self, delay: float, call: Callable[[Any], None]) -> simpy.Timeout:
        """Call back `delay` seconds from now; returns what `call_off` takes."""
        timeout = simpy.Timeout(self._clock, delay)
        timeout.callbacks.append(call)
        return timeout

    def call_off(self, timeout: simpy.Timeout) -> None:
        """Let a call that is still to come not come; time does not run on for it."""
        timeout.callbacks.clear()

    def sleep(self, delay: float) -> Activity:
        """Return an activity of `delay` seconds that leaves no span (for tests of the clock)."""
        activity, why = Activity(self, "sleep"), self.why
        self.after(delay, lambda _: activity.finish(why))
        return activity

    def change(self, time: float, call: Callable[[], None]) -> None:
        """Call at `time` if anything still moves then; given in order of time. It keeps nothing alive."""
        self._changes.append((time, call))

    def watch(self, group: int, call: Callable[[], None]) -> None:
        """Call back when the network's flow group `group` runs empty, once."""
        self._watch[group] = call

    def run(self) -> None:
        """Run until nothing moves any more.

        Raises
        ------
        DeadlockError
            Threads are left that wait for something that can no longer come.
        """
        ready, clock = self.ready, self._clock
        coming, take = clock.coming, clock.take
        while True:
            while ready:
                thread, why = ready.popleft()
                thread.go(why)
            event = coming()
            change = self._changes[0][0] if self._changes else float("inf")
            if self._flow_until(min(event, change)):
                continue
            if change <= event and (
                event < float("inf") or (self.flows is not None and self.flows.in_flight)
            ):
                self._move(change)
                self._changes.popleft()[1]()
            elif event < float("inf"):
                self.now = event
                take()
            else:
                break
        if self.threads:
            raise DeadlockError(self._waiting())

    def _move(self, time: float) -> None:
        self.now = time
        self._clock.move(time)

    def _flow_until(self, horizon: float) -> bool:
        """Let the network run; True if it stopped at the end of something that is watched."""
        flows = self.flows
        if flows is None or not flows.in_flight:
            return False
        reached, ended = flows.advance(horizon)
        if not len(ended):
            return False
        self._move(reached)
        for group in ended.tolist():
            self._watch.pop(group)()
        return True

    def _waiting(self) -> list[str]:
        """Say who waits for what; threads that wait for nothing but other threads are left out."""
        waits = {thread: list(thread.awaits.open()) for thread in self.threads if thread.awaits is not None}
        leaves = [
            thread for thread, parts in waits.items() if not all(isinstance(part, Thread) for part in parts)
        ]
        return [f"{thread} waits for {thread.awaits}" for thread in leaves or waits]
