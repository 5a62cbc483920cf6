"""Steps picked out of one or several traces, in any order, read when they are asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from janus_sim.traces.counts import Ints
from janus_sim.traces.form import Choices, TraceInfo
from janus_sim.traces.recorded import Recorded


@dataclass(frozen=True, eq=False)
class Chosen(Recorded):
    """Some steps of some traces of one shape.

    Parameters
    ----------
    parts : tuple of Recorded
    picks : tuple of (int, int)
        Which part, and which place in it, for each step.

    Examples
    --------
    >>> from janus_sim.traces.held import RoutingTrace
    >>> import numpy as np
    >>> trace = RoutingTrace.of(np.arange(6).reshape(3, 1, 1, 1, 2), iterations=[10, 20, 30])
    >>> some = Chosen((trace,), ((0, 2), (0, 0)))
    >>> some.info.steps, some.info.rows, some.at(0, 0, 0).tolist()
    ((30, 10), (1, 9), [[4, 5]])
    """

    parts: tuple[Recorded, ...]
    picks: tuple[tuple[int, int], ...]

    @cached_property
    def info(self) -> TraceInfo:  # type: ignore[override]
        """The first part's, with the steps picked."""
        first = self.parts[0].info
        rows, largest = self._range()
        return replace(
            first,
            steps=tuple(self.parts[part].info.steps[place] for part, place in self.picks),
            has_choices=all(part.info.has_choices for part in self.parts),
            rows=rows,
            largest=largest,
        )

    def _range(self) -> tuple[tuple[int, int], int]:
        """Return fewest and most rows of a rank, and the largest cell, of the steps picked."""
        infos = [part.info for part in self.parts]
        rows = (min(info.rows[0] for info in infos), max(info.rows[1] for info in infos))
        largest = max(info.largest for info in infos)
        if rows[0] == rows[1] or len(self.picks) == sum(part.steps for part in self.parts):
            return rows, largest
        ranges = [_range(block) for block in self._all(infos[0])]
        fewest, most, cells = zip(*ranges, strict=True)
        return (min(fewest), max(most)), max(cells)

    def _all(self, shape: TraceInfo) -> Iterator[Ints]:
        """Yield the counts of all blocks."""
        for step in range(len(self.picks)):
            for micro_batch in range(shape.micro_batches):
                for moe in range(shape.layers):
                    yield self.at(step, micro_batch, moe)

    def at(self, step: int, micro_batch: int, moe: int) -> Ints:
        """Return the counts (ranks, experts) of one MoE layer."""
        part, place = self.picks[step]
        return self.parts[part].at(place, micro_batch, moe)

    def choices_at(self, step: int, micro_batch: int, moe: int) -> Choices | None:
        """Return the choices (ranks, tokens, top_k) of one MoE layer, where all parts have them."""
        part, place = self.picks[step]
        return self.parts[part].choices_at(place, micro_batch, moe) if self.info.has_choices else None

    def spread(self, many: int) -> Chosen:
        """Return so many steps, evenly spread from the first to the last."""
        places = np.rint(np.linspace(0, len(self.picks) - 1, many)).astype(np.int64)
        return Chosen(self.parts, tuple(self.picks[place] for place in places.tolist()))

    def first(self, steps: int) -> Chosen:
        """Return the first `steps` steps."""
        return Chosen(self.parts, self.picks[:steps])


def whole(parts: Sequence[Recorded]) -> Chosen:
    """Return all steps of several traces, in the order of their numbers."""
    numbered = [
        (number, part, place) for part, one in enumerate(parts) for place, number in enumerate(one.info.steps)
    ]
    return Chosen(tuple(parts), tuple((part, place) for _, part, place in sorted(numbered)))


def _range(counts: Ints) -> tuple[int, int, int]:
    """Return fewest and most rows of a rank, and the largest cell."""
    sums = counts.sum(axis=1)
    return int(sums.min()), int(sums.max()), int(counts.max())
