"""A trace of some ranks, tokens and steps, fitted to others without changing its load distribution."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from janus_sim.traces import Recorded, TraceInfo, counts_of
from janus_sim.traces.counts import filled_up
from janus_sim.workload.copies import Ints, frozen


def shared_out(weights: Ints, rows: int, limit: int) -> Ints:
    """Return whole counts in proportion to `weights`: largest remainders, none above `limit`.

    Parameters
    ----------
    weights : (n, experts) int64
        Each row's largest is at most limit / rows of its sum.
    rows : int
        What they add up to.
    limit : int

    Returns
    -------
    (n, experts) int64

    Examples
    --------
    >>> shared_out(np.array([[3, 1, 0], [1, 1, 1]]), rows=4, limit=3).tolist()
    [[3, 1, 0], [2, 1, 1]]
    """
    whole = weights.sum(axis=1, keepdims=True)
    floor, rest = np.divmod(weights * rows, np.maximum(whole, 1))
    order = np.argsort(-np.where(floor < limit, rest, -1), axis=1, kind="stable")
    return filled_up(floor, order, rows)


@dataclass(frozen=True, eq=False)
class Fitted(Recorded):
    """A trace resampled: each rank that is asked for takes the place of an equal share of those recorded.

    Of R ranks recorded and R' asked for, rank r takes the counts of the ranks that overlap the interval
    from r R / R' to (r + 1) R / R', each by its overlap, and scales them to its own tokens: the shares of
    the experts over all ranks stay what they were, but for whole rows. Where choices were recorded, it
    takes evenly spaced tokens of that interval, whole: which experts go together stays too. Step s of S'
    is step floor(s S / S') of S. Micro-batches beyond those recorded come again with the ranks turned by
    one.

    Parameters
    ----------
    trace : Recorded
    world, tokens, top_k : int
        Ranks of the cluster, and tokens of each in a micro-batch.
    length, batches : int
        Steps, and micro-batches of a step.

    Examples
    --------
    >>> from janus_sim.traces import RoutingTrace
    >>> trace = RoutingTrace.of(np.array([[[[[6, 2], [4, 4]]]]]))
    >>> fitted = Fitted(trace, world=4, tokens=4, top_k=1, length=1, batches=1)
    >>> fitted.at(0, 0, 0).tolist()
    [[3, 1], [3, 1], [2, 2], [2, 2]]
    >>> Fitted(trace, world=1, tokens=8, top_k=1, length=1, batches=1).at(0, 0, 0).tolist()
    [[5, 3]]
    """

    trace: Recorded
    world: int
    tokens: int
    top_k: int
    length: int
    batches: int

    @cached_property
    def info(self) -> TraceInfo:  # type: ignore[override]
        """The trace's, with the shape asked for, and a note of what was done."""
        rows = self.tokens * self.top_k
        told = self.trace.info
        return replace(
            told, tokens=self.tokens, top_k=self.top_k, ranks=self.world, rows=(rows, rows),
            steps=tuple(told.steps[self._step(step)] for step in range(self.length)),
            micro_batches=self.batches, largest=self.tokens, notes=(*told.notes, self._note()),
        )  # fmt: skip

    def _note(self) -> str:
        told = self.trace.info
        was = {
            "ranks": (told.ranks, self.world),
            "rows of a rank": (_range(told.rows), str(self.tokens * self.top_k)),
            "micro-batches": (told.micro_batches, self.batches),
            "steps": (len(told.steps), self.length),
        }
        changes = [f"{new} {name} from {old}" for name, (old, new) in was.items() if str(old) != str(new)]
        return f"fit: resample made {', '.join(changes) or 'nothing else of it'}"

    def _step(self, step: int) -> int:
        return step * self.trace.steps // self.length

    def _overlaps(self, micro_batch: int) -> Ints:
        """Return (ranks asked for, ranks recorded): how much of each one a rank takes, in 1 / (R R')."""
        recorded, asked = self.trace.ranks, self.world
        begin = np.arange(asked)[:, None] * recorded
        first = np.arange(recorded)[None] * asked
        both = np.minimum(begin + recorded, first + asked) - np.maximum(begin, first)
        turned = np.roll(np.maximum(both, 0), micro_batch // self.trace.micro_batches, axis=1)
        return np.asarray(turned, dtype=np.int64)

    def at(self, step: int, micro_batch: int, moe: int) -> Ints:
        """Return the counts (ranks, experts) of one MoE layer."""
        table = self.choices_at(step, micro_batch, moe)
        if table is not None:
            return frozen(counts_of(table, self.experts[moe]))
        place = (self._step(step), micro_batch % self.trace.micro_batches, moe)
        counts = self._overlaps(micro_batch) @ self.trace.at(*place)
        empty = counts.sum(axis=1) == 0
        counts[empty] = 1  # ranks without a row: any expert is as likely
        return frozen(shared_out(counts, self.tokens * self.top_k, self.tokens))

    def choices_at(self, step: int, micro_batch: int, moe: int) -> npt.NDArray[np.int16] | None:
        """Return the choices (ranks, tokens, top_k) of one MoE layer, where the trace has them."""
        turns, batch = divmod(micro_batch, self.trace.micro_batches)
        known = self.trace.choices_at(self._step(step), batch, moe)
        if known is None:
            return None
        recorded = self.trace.ranks
        valid = (known >= 0).all(axis=2)
        many = valid.sum(axis=1)
        places = (np.arange(self.world * self.tokens) + 0.5) * recorded / (self.world * self.tokens)
        rank = np.minimum(places.astype(np.int64), recorded - 1)
        source = (rank - turns) % recorded
        token = np.minimum(((places - rank) * many[source]).astype(np.int64), many[source] - 1)
        first = np.concatenate([[0], np.cumsum(many)])[source]
        return np.asarray(known[valid][first + token].reshape(self.world, self.tokens, -1), dtype=np.int16)


def _range(numbers: tuple[int, int]) -> str:
    return str(numbers[0]) if numbers[0] == numbers[1] else f"{numbers[0]} to {numbers[1]}"
