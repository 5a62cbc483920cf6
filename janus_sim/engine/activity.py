"""Something that is going to be over: what threads wait for, alone or together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from janus_sim.engine.time import Timeline

SHOWN = 3  #: of several parts, so many are named in a deadlock report


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

    Examples
    --------
    >>> from janus_sim.engine.time import Timeline
    >>> timeline = Timeline()
    >>> one, two = Activity(timeline, "one"), Activity(timeline, "two")
    >>> both, either = one & two, one | two
    >>> one.finish(7)
    >>> either.done, either.why, both.done, str(both)
    (True, 7, False, 'two')
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

    def open(self) -> Iterator[Activity]:
        """Yield what is still to come: itself, or the parts of several that are not over."""
        if not self.done:
            yield self

    def __and__(self, other: Activity) -> Activity:
        """Both."""
        return All(self.timeline, [self, other])

    def __or__(self, other: Activity) -> Activity:
        """Whichever is over first."""
        return First(self.timeline, [self, other])

    def __str__(self) -> str:
        return " ".join(str(word) for word in self.name)


class All(Activity):
    """Over when the last of several is over; at once if all are."""

    __slots__ = ("left", "parts")

    word = " and "

    def __init__(self, timeline: Timeline, parts: Iterable[Activity]) -> None:
        super().__init__(timeline)
        self.parts = [part for part in parts if not part.done]
        self.left = len(self.parts)
        for part in self.parts:
            part.waiters.append(self._one)
        if not self.parts:
            self.finish(timeline.why)

    def _one(self, part: Activity) -> None:
        self.left -= 1
        if not self.left:
            self.finish(part.why)

    def open(self) -> Iterator[Activity]:
        """Yield the parts that are not over."""
        for part in self.parts:
            yield from part.open()

    def __str__(self) -> str:
        names = [str(part) for part in self.open()]
        more = [f"{len(names) - SHOWN} more"] if len(names) > SHOWN else []
        return self.word.join(names[:SHOWN] + more)


class First(All):
    """Over when the first of several is over; at once if any is."""

    __slots__ = ()

    word = " or "

    def __init__(self, timeline: Timeline, parts: Iterable[Activity]) -> None:
        parts = list(parts)
        over = any(part.done for part in parts)
        super().__init__(timeline, [] if over else parts)

    def _one(self, part: Activity) -> None:
        if not self.done:
            self.finish(part.why)
