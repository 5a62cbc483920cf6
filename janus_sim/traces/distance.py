"""How far two traces are from each other in what matters for imbalance."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from janus_sim.traces.measure import gini
from janus_sim.traces.recorded import Recorded

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Character:
    """A trace in five numbers, each a mean over layers.

    Parameters
    ----------
    max_over_mean, gini, top_1_share : float
        Of the load of the experts, all ranks together, meaned over micro-batches and steps.
    autocorrelation : float
        Of the shares of the experts about their mean over time, from one micro-batch to the next.
    alike_layers : float
        Correlation of max / mean over time between one layer and the next; 0 where there is one.
    alike_ranks : float
        Correlation over experts between the shares of a rank and those of all ranks.
    """

    max_over_mean: float
    gini: float
    top_1_share: float
    autocorrelation: float
    alike_layers: float
    alike_ranks: float


def character(trace: Recorded) -> Character:
    """Measure a trace, layer by layer.

    Examples
    --------
    >>> from janus_sim.traces import RoutingTrace
    >>> found = character(RoutingTrace.of(np.array([[[[[3, 1], [3, 1]]]]])))
    >>> found.max_over_mean, found.gini, found.top_1_share, found.alike_ranks
    (1.5, 0.25, 0.75, 1.0)
    """
    layers = [_layer(trace, moe) for moe in range(len(trace.experts))]
    peaks = [peak for peak, *_ in layers]
    pairs = [_correlation(one, two) for one, two in pairwise(peaks)]
    columns = np.array([[peak.mean(), *rest] for peak, *rest in layers]).mean(axis=0)
    mean, unequal, top, auto, ranks = (round(float(value), 12) for value in columns)
    return Character(mean, unequal, top, auto, float(np.mean(pairs)) if pairs else 0.0, ranks)


def _layer(trace: Recorded, moe: int) -> tuple[Floats, float, float, float, float]:
    """Return max / mean over time; and Gini, top-1 share, autocorrelation and likeness of ranks, meaned."""
    loads, likeness = [], []
    for step in range(trace.steps):
        for batch in range(trace.micro_batches):
            counts = trace.at(step, batch, moe).astype(np.float64)
            loads.append(counts.sum(axis=0))
            likeness.append(_alike(counts, loads[-1]))
    table = np.array(loads)
    shares = table / np.maximum(table.sum(axis=1, keepdims=True), 1.0)
    around = shares - shares.mean(axis=0)
    spread = float((around**2).sum())
    auto = float((around[1:] * around[:-1]).sum()) / spread if spread > 0 else 0.0
    top = shares.max(axis=1)
    unequal = float(np.mean([gini(one) for one in table]))
    return top * table.shape[1], unequal, float(top.mean()), auto, float(np.mean(likeness))


def _alike(counts: Floats, load: Floats) -> float:
    """Return the mean of the correlations of each row with the load; 0 for one that does not vary."""
    rows, whole = counts - counts.mean(axis=1, keepdims=True), load - load.mean()
    scale = np.sqrt((rows**2).sum(axis=1) * (whole**2).sum())
    return float(np.divide(rows @ whole, scale, out=np.zeros(len(rows)), where=scale > 0).mean())


def _correlation(one: Floats, two: Floats) -> float:
    """Return Pearson's correlation; 0 where one of the two does not vary."""
    if len(one) < 2 or np.ptp(one) == 0 or np.ptp(two) == 0:
        return 0.0
    return float(np.corrcoef(one, two)[0, 1])
