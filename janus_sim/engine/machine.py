"""What GPUs share: work done once for a machine, parts handed in until the last is there, and room."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Hashable
from typing import Any, TypeVar

from janus_sim.engine.fabric import Device
from janus_sim.engine.time import Activity, Steps, Timeline
from janus_sim.errors import PolicyError

T = TypeVar("T")


class Machine:
    """One machine while it runs; its tables are dropped at the end of a step.

    Parameters
    ----------
    index : int
    ranks : tuple of int
        Its GPUs.

    Examples
    --------
    >>> machine = Machine(Timeline(), 0, (0, 1))
    >>> machine.host
    ('host', 0)
    >>> machine.complete("gradient 3", machine.ranks), machine.complete("gradient 3", machine.ranks)
    (False, True)
    """

    def __init__(self, timeline: Timeline, index: int, ranks: tuple[int, ...]) -> None:
        self.timeline, self.index, self.ranks = timeline, index, ranks
        self._once: dict[Hashable, Activity] = {}
        self._parts: dict[Hashable, int] = {}
        self._slots: dict[Hashable, Slots] = {}
        self._recalled: dict[Hashable, Any] = {}

    @property
    def host(self) -> Device:
        """The memory of the machine, as a device to copy from or to."""
        return ("host", self.index)

    def once(self, key: Hashable, steps: Steps) -> Activity:
        """Run `steps` for whoever asks first; others wait for the same (a cache that merges requests)."""
        if key not in self._once:
            self._once[key] = self.timeline.start(steps, "machine", self.index, "once", key)
        return self._once[key]

    def complete(self, key: Hashable, among: int | Collection[int]) -> bool:
        """Hand in one part of `among`; True for the last, who then does what the whole is for."""
        parts = self._parts.get(key, 0) + 1
        self._parts[key] = parts
        return parts == (among if isinstance(among, int) else len(among))

    def recall(self, key: Hashable, work_out: Callable[[], T]) -> T:
        """Return what was worked out for `key` before in this step, or work it out now."""
        if key not in self._recalled:
            self._recalled[key] = work_out()
        answer: T = self._recalled[key]
        return answer

    def slots(self, name: Hashable, count: int) -> Slots:
        """Return the slots of that name; the first call says how many there are."""
        if name not in self._slots:
            self._slots[name] = Slots(
                self.timeline, count, "one of", count, "slots", repr(name), "of machine", self.index
            )
        return self._slots[name]

    def clear(self) -> None:
        """Forget what was done once and handed in (the end of a step)."""
        self._once.clear()
        self._parts.clear()
        self._recalled.clear()


class Slots:
    """At most so many at a time; who waits is served in order of asking.

    Examples
    --------
    >>> timeline = Timeline()
    >>> slots = Slots(timeline, 1, "demo")
    >>> slots.take().done, slots.take().done
    (True, False)
    """

    def __init__(self, timeline: Timeline, count: int, *name: object) -> None:
        self.timeline, self.free, self.name = timeline, count, name
        self._waiting: deque[Activity] = deque()

    @property
    def waiting(self) -> int:
        """How many wait for a slot."""
        return len(self._waiting)

    def take(self) -> Activity:
        """Take a slot; over when there is one."""
        activity = Activity(self.timeline, *self.name)
        if self.free:
            self.free -= 1
            activity.finish(self.timeline.why)
        else:
            self._waiting.append(activity)
        return activity

    def give(self) -> None:
        """Give a slot back."""
        if self._waiting:
            self._waiting.popleft().finish(self.timeline.why)
        else:
            self.free += 1


class Buffer:
    """Reserved room for fetched things: a credit each, given back when the last holder lets go.

    Parameters
    ----------
    credits : int
        How many things fit at a time.

    Examples
    --------
    >>> timeline = Timeline()
    >>> buffer = Buffer(timeline, 1, "experts")
    >>> buffer.reserve().done
    True
    >>> waits = buffer.reserve()
    >>> buffer.arrived("expert 3", holders=2)
    >>> buffer.arrival("expert 3").done
    True
    >>> buffer.release("expert 3")
    >>> waits.done
    False
    >>> buffer.release("expert 3")
    >>> waits.done
    True
    """

    def __init__(self, timeline: Timeline, credits: int, *name: object) -> None:  # noqa: A002
        self.timeline, self.credits, self.name = timeline, credits, name
        self._slots = Slots(timeline, credits, "a credit of buffer", *name)
        self._arrivals: dict[Hashable, Activity] = {}
        self._holders: dict[Hashable, int] = {}

    @property
    def full(self) -> int:
        """Credits that are out."""
        return self.credits - self._slots.free

    def make_room(self, credits: int) -> None:  # noqa: A002
        """Have that many credits from now on; what was asked for stays asked for.

        Raises
        ------
        PolicyError
            If something is in it, or waits for a credit.
        """
        if self.full or self._slots.waiting:
            name = " ".join([repr(self.name[0]), *map(str, self.name[1:])])
            raise PolicyError(f"buffer {name} has {self.credits} credits, not {credits}; it is in use")
        self.credits = credits
        self._slots = Slots(self.timeline, credits, "a credit of buffer", *self.name)

    def reserve(self) -> Activity:
        """Take a credit; over when there is one."""
        return self._slots.take()

    def arrived(self, key: Hashable, holders: int = 1) -> None:
        """Say that `key` is here, under a credit that was reserved, and how many will let go of it.

        Raises
        ------
        PolicyError
            If it is here already, nobody reserved a credit for it, or nobody holds it.
        """
        if key in self._holders or len(self._holders) >= self.full or holders < 1:
            what = "a second time" if key in self._holders else f"without a credit for it, held by {holders}"
            raise PolicyError(f"{key} arrived {what} in buffer {' '.join(map(str, self.name))}")
        self._holders[key] = holders
        arrival = self.arrival(key)
        if not arrival.done:
            arrival.finish(self.timeline.why)

    def arrival(self, key: Hashable) -> Activity:
        """Return what is over when `key` is here."""
        if key not in self._arrivals:
            self._arrivals[key] = Activity(self.timeline, "the arrival of", key, "in buffer", *self.name)
        return self._arrivals[key]

    def release(self, key: Hashable, keep: bool = False) -> None:
        """Let go of `key`; the last holder gives its credit back.

        With `keep`, the thing has moved to memory outside the buffer: it stays arrived, and letting go of it
        again does nothing.

        Raises
        ------
        PolicyError
            If nobody holds it any more.
        """
        left = self._holders.get(key, 0)
        if not left:
            if keep:
                return
            raise PolicyError(
                f"{key} is let go of, and nobody holds it in buffer {' '.join(map(str, self.name))}"
            )
        if left > 1:
            self._holders[key] = left - 1
            return
        del self._holders[key]
        if not keep:
            del self._arrivals[key]
        self._slots.give()

    def clear(self) -> None:
        """Forget what was kept (the end of a step)."""
        self._arrivals.clear()
