"""How unequal the routing of a trace is, by layer and over time, and what a static placement would suffer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from janus_sim.errors import InputError, Mistake
from janus_sim.traces.counts import Ints, max_over_mean
from janus_sim.traces.recorded import Recorded

Floats = npt.NDArray[np.float64]


def gini(rows: npt.NDArray[np.generic]) -> float:
    """Return the Gini coefficient: 0 where all are equal, (n - 1) / n where one has all.

    With the values x ascending, sum over i of (2 i - n - 1) x_i, divided by n times their sum (Sen, On
    Economic Inequality, 1973).

    Examples
    --------
    >>> gini(np.array([2, 2, 2, 2])), gini(np.array([0, 0, 0, 8]))
    (0.0, 0.75)
    """
    total = float(rows.sum())
    ascending = np.sort(rows).astype(np.float64)
    weights = 2.0 * np.arange(1, len(ascending) + 1) - len(ascending) - 1
    return float((weights * ascending).sum() / (len(ascending) * total)) if total else 0.0


def contiguous(experts: int, ranks: int) -> Ints:
    """Return (experts,) the rank of each expert: blocks of equally many, as a workload places them at first.

    Examples
    --------
    >>> contiguous(4, 2).tolist()
    [0, 0, 1, 1]
    """
    return np.arange(experts, dtype=np.int64) // (experts // ranks)


def packed(load: npt.NDArray[np.generic], ranks: int) -> Ints:
    """Return (experts,) ranks that even out `load`: the heaviest first, to the least loaded with room.

    Longest processing time first (Graham 1969), equally many experts a rank.

    Examples
    --------
    >>> packed(np.array([5, 4, 1, 1]), 2).tolist()
    [0, 1, 1, 0]
    """
    place, room = np.zeros(len(load), dtype=np.int64), np.full(ranks, len(load) // ranks)
    heap = np.zeros(ranks)
    for expert in np.argsort(-load.astype(np.float64), kind="stable"):
        rank = int(np.argmin(np.where(room > 0, heap, np.inf)))
        place[expert], room[rank] = rank, room[rank] - 1
        heap[rank] += float(load[expert])
    return place


@dataclass(frozen=True, eq=False)
class Measured:
    """What `measured` found.

    Parameters
    ----------
    steps : tuple of int
        Their numbers.
    max_over_mean, gini : (steps, micro_batches, layers) float64
        Over the experts, rows of all ranks added up.
    contiguous, first, hindsight : (steps, micro_batches, layers) float64
        Max over mean of the rows that the experts of each rank get: placed in contiguous blocks; packed for
        the loads of the first step; packed for those of the whole trace, which nobody knows beforehand.
    placed_on : int
        Ranks of these placements.
    """

    steps: tuple[int, ...]
    max_over_mean: Floats
    gini: Floats
    contiguous: Floats
    first: Floats
    hindsight: Floats
    placed_on: int


def measured(trace: Recorded, placed_on: int | None = None) -> Measured:
    """Measure a trace, block by block.

    Parameters
    ----------
    trace : Recorded
    placed_on : int, optional
        GPUs that share the experts of a layer; by default the source ranks where these are several and divide
        the experts, else up to 8.

    Raises
    ------
    InputError
        If the experts of a layer cannot be shared evenly.

    Examples
    --------
    >>> from janus_sim.traces import RoutingTrace
    >>> found = measured(RoutingTrace.of(np.array([[[[[3, 1], [3, 1]]]]])))
    >>> found.max_over_mean.item(), found.gini.item(), found.contiguous.item()
    (1.5, 0.25, 1.5)
    """
    ranks = placed_on or _ranks(trace)
    uneven = [experts for experts in trace.experts if experts % ranks]
    if uneven:
        raise InputError(Mistake("--gpus", f"{ranks} cannot share {uneven[0]} experts evenly"))
    whole, begin = _loads(trace)
    shape = (trace.steps, trace.micro_batches, len(trace.experts))
    out = {name: np.ones(shape) for name in ("max_over_mean", "gini", "contiguous", "first", "hindsight")}
    homes = {
        "contiguous": [contiguous(experts, ranks) for experts in trace.experts],
        "first": [packed(load, ranks) for load in begin],
        "hindsight": [packed(load, ranks) for load in whole],
    }
    for place in np.ndindex(*shape):
        rows = trace.at(*place).sum(axis=0)
        out["max_over_mean"][place], out["gini"][place] = max_over_mean(rows), gini(rows)
        for name, layers in homes.items():
            out[name][place] = max_over_mean(np.bincount(layers[place[2]], rows, minlength=ranks))
    return Measured(steps=trace.info.steps, placed_on=ranks, **out)


def loads(trace: Recorded, moe: int) -> Ints:
    """Return (steps, experts) the rows of one MoE layer, ranks and micro-batches added up."""
    return np.array(
        [
            sum(trace.at(step, batch, moe).sum(axis=0) for batch in range(trace.micro_batches))
            for step in range(trace.steps)
        ]
    )


def _ranks(trace: Recorded) -> int:
    """Return the ranks that experts are placed on by default."""
    if trace.ranks > 1 and not any(experts % trace.ranks for experts in trace.experts):
        return trace.ranks
    return int(np.gcd.reduce([8, *trace.experts]))


def _loads(trace: Recorded) -> tuple[list[Floats], list[Floats]]:
    """Return the loads (experts,) of each layer, of the whole trace and of its first step."""
    whole = [np.zeros(experts) for experts in trace.experts]
    begin = whole
    for step in range(trace.steps):
        for batch in range(trace.micro_batches):
            for moe in range(len(trace.experts)):
                whole[moe] += trace.at(step, batch, moe).sum(axis=0)
        if step == 0:
            begin = [load.copy() for load in whole]
    return whole, begin
