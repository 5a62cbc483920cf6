"""The spans of a run on the belt: those that compiled code wrote and those of Python, in one order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from janus_sim.engine.belt import layout as at
from janus_sim.engine.belt.written import Written
from janus_sim.record import SPAN_COLUMNS, Columns, SpanLog, Spans

if TYPE_CHECKING:
    from janus_sim.engine.belt.belt import Belt

_TIMES = [list(SPAN_COLUMNS).index(name) for name in ("begin", "end")]


class BeltLog(SpanLog):
    """One row a span, as `SpanLog`; the belt writes its own as numbers, and they become words when asked for.

    Parameters
    ----------
    belt : Belt
    """

    __slots__ = ("_belt", "_mine")

    def __init__(self, belt: Belt) -> None:
        super().__init__()
        self._belt = belt
        self._mine: list[int] = []

    def add(self, *values: Any, **more: Any) -> int:  # noqa: ANN401
        """Append one span of Python's and return its id; see `SpanLog.add`."""
        super().add(*values, **more)
        head, row = self._belt.head, self.rows[-1]
        span = int(head[at.SPANS])
        head[at.SPANS] += 1
        self._mine.append(span)
        self._belt.room("times", span + 1)[span] = [row[place] for place in _TIMES]
        self._belt.room("span", span + 1)[span] = 0
        return span

    def __len__(self) -> int:
        return int(self._belt.head[at.SPANS])

    def end(self, span: int) -> float:
        """Return when that span ended, in seconds."""
        return float(self._belt.arrays["times"][span, 1])

    def columns(self) -> Columns:
        """Return the spans as columns of one length, read-only, in the order of `SPAN_COLUMNS`."""
        return Spans(Written.of(self._belt, len(self), self._mine, super().columns()))
