"""The one file with SimPy: the clock, activities that can be waited on, and threads that wait."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from typing import TYPE_CHECKING, Any, TypeAlias

import simpy

from janus_sim.errors import DeadlockError, PolicyError

if TYPE_CHECKING:
    from janus_sim.network import Flows

#: What a policy's method is: a generator that yields the activities it waits for.
Steps: TypeAlias = Generator["Activity", None, None]


class Activity:
    """Something that is going to be over; it may be waited on, and knows why it was over.

    Attributes
    ----------
    done : bool
        True once it is over; it stays so.
    why : int
        The id of the span whose end ended it (-1: the beginning of the step).
    name : tuple of object
        Words that name it in a deadlock report.
    """

    __slots__ = ("done", "name", "timeline", "waiters", "why")

    def __init__(self, timeline: Timeline, *name: object) -> None:
        self.timeline = timeline
        self.name = name
        self.done = False
        self.why = -1
        self.waiters: list[Callable[[Activity], None]] = []

    def finish(self, why: int) -> None:
        """Be over now, because the span `why` ended."""
        self.done = True
        self.why = why
        waiters, self.waiters = self.waiters, []
        for waiter in waiters:
            waiter(self)

    def __and__(self, other: Activity) -> Activity:
        """Both."""
        return All(self.timeline, [self, other])

    def __or__(self, other: Activity) -> Activity:
        """Whichever is over first."""
        return First(self.timeline, [self, other])

    def __str__(self) -> str:
        return " ".join(str(word) for word in self.name)


class All(Activity):
    """Over when the last of several is over."""

    __slots__ = ("left",)

    def __init__(self, timeline: Timeline, parts: Iterable[Activity]) -> None:
        waiting = [part for part in parts if not part.done]
        super().__init__(timeline, *_joined(waiting, " and "))
        self.left = len(waiting)
        for part in waiting:
            part.waiters.append(self._one)
        if not waiting:
            self.finish(timeline.why)

    def _one(self, part: Activity) -> None:
        self.left -= 1
        if self.left == 0:
            self.finish(part.why)


class First(Activity):
    """Over when the first of several is over."""

    __slots__ = ()

    def __init__(self, timeline: Timeline, parts: Iterable[Activity]) -> None:
        parts = list(parts)
        super().__init__(timeline, *_joined(parts, " or "))
        if any(part.done for part in parts):
            self.finish(timeline.why)
            return
        for part in parts:
            part.waiters.append(self._one)

    def _one(self, part: Activity) -> None:
        if not self.done:
            self.finish(part.why)


def _joined(parts: list[Activity], word: str) -> tuple[object, ...]:
    """Name a few parts; the words are put together only in a deadlock report."""
    shown: list[object] = []
    for part in parts[:3]:
        shown += [word, part] if shown else [part]
    return (*shown, f"{word}{len(parts) - 3} more") if len(parts) > 3 else tuple(shown)


class Thread(Activity):
    """A generator that runs: it stops at each activity that it yields, and goes on when that is over."""

    __slots__ = ("awaits", "steps")

    def __init__(self, timeline: Timeline, steps: Steps, *name: object) -> None:
        super().__init__(timeline, *name)
        self.steps = steps
        self.awaits: Activity | None = None
        timeline.threads[self] = None
        self._go(timeline.why)

    def _go(self, why: int) -> None:
        """Run up to the next thing that is not over yet; all that is issued inherits `why`."""
        timeline = self.timeline
        before, timeline.why = timeline.why, why
        send = self.steps.send
        try:
            while True:
                awaited = send(None)
                if not isinstance(awaited, Activity):
                    raise PolicyError(
                        f"{self}: yielded {awaited!r}; yield what gpu.compute, gpu.pull, gpu.all_to_all, ... "
                        "return, and use `yield from` for another generator"
                    )
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


class _Clock(simpy.Environment):
    """A SimPy environment whose clock the network may move forward between two events."""

    def move(self, time: float) -> None:
        self._now = time


class Timeline:
    """Time: SimPy's heap of events beside the network's flows, whichever comes first.

    Parameters
    ----------
    flows : Flows or None
        The fluid state of the network; it is told the time and stops where somebody waits.

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

    def __init__(self, flows: Flows | None = None) -> None:
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

    def after(self, delay: float, call: Callable[[Any], None]) -> None:
        """Call back `delay` seconds from now."""
        timeout = self._clock.timeout(delay)
        assert timeout.callbacks is not None
        timeout.callbacks.append(call)

    def sleep(self, delay: float) -> Activity:
        """An activity of `delay` seconds that leaves no span (for tests of the clock)."""
        activity, why = Activity(self, "sleep"), self.why
        self.after(delay, lambda _: activity.finish(why))
        return activity

    def change(self, time: float, call: Callable[[], None]) -> None:
        """Call at `time` if anything still moves then; given in order of time. A change alone keeps nothing alive."""
        self._changes.append((time, call))

    def watch(self, group: int, call: Callable[[], None]) -> None:
        """Call back whenever the network's flow group `group` runs empty."""
        self._watch[group] = call

    def unwatch(self, group: int) -> None:
        """Forget a group."""
        del self._watch[group]

    def run(self) -> None:
        """Run until nothing moves any more.

        Raises
        ------
        DeadlockError
            Threads are left that wait for something that can no longer come.
        """
        ready, clock, inf = self.ready, self._clock, float("inf")
        while True:
            while ready:
                thread, why = ready.popleft()
                thread._go(why)
            event = clock.peek()
            change = self._changes[0][0] if self._changes else inf
            if self._flow_until(min(event, change)):
                continue
            if change <= event and (event < inf or (self.flows is not None and self.flows.in_flight)):
                self._move(change)
                self._changes.popleft()[1]()
            elif event < inf:
                self.now = event
                clock.step()
            else:
                break
        if self.threads:
            raise DeadlockError([f"{thread} waits for {thread.awaits}" for thread in self.threads])

    def _move(self, time: float) -> None:
        self.now = time
        self._clock.move(time)

    def _flow_until(self, horizon: float) -> bool:
        """Let the network run; True if it stopped at the end of something that is watched."""
        if self.flows is None or not self.flows.in_flight:
            return False
        reached, ended = self.flows.advance(horizon)
        if not len(ended):
            return False
        self._move(reached)
        for group in ended.tolist():
            self._watch[group]()
        return True
