"""Least-loaded expert parallelism: what is too much for a home spills to the least loaded GPUs (LLEP)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from janus_sim.policies.after_gate import AfterGate
from janus_sim.workload.copies import Copies, Ints
from janus_sim.workload.layer import MoELayer, RoutedLayer

Spills = dict[int, dict[int, int]]  # from an expert to the rows at each place that is not its home


def spilled(rows: Ints, home: Ints, places: int, *, capacity: float, piece: int) -> Spills:
    """Spill what does not fit at home, the largest experts first, to the least loaded places.

    The load of a place is what it was given so far and what its own experts, not yet looked at, will bring.
    A piece smaller than `piece` is only made of an expert's last rows. Where nothing fits any more, the least
    loaded other place takes the rest.

    Parameters
    ----------
    rows, home : (experts,) int64
        Rows of each expert over all ranks, and the place where it lives.
    places : int
    capacity : float
        Of a place, in parts of total / places.
    piece : int
        Rows.

    Examples
    --------
    >>> spilled(np.array([70, 10, 10, 10]), np.arange(4), 4, capacity=1.0, piece=5)
    {0: {1: 15, 2: 15, 3: 15}}
    """
    limit = max(1, int(capacity * (int(rows.sum()) // places)))
    load = np.bincount(home, weights=rows, minlength=places).astype(np.int64)
    spills: Spills = {}
    for expert in np.argsort(-rows, kind="stable").tolist():
        own, many = int(home[expert]), int(rows[expert])
        load[own] -= many  # not yet given to any place
        stay = min(max(limit - int(load[own]), 0), many)
        load[own] += stay
        left = many - stay if places > 1 else 0
        while left:
            place, some = _next(load, own, limit, piece, left)
            load[place] += some
            left -= some
            taken = spills.setdefault(expert, {})
            taken[place] = taken.get(place, 0) + some
    return spills


def _next(load: Ints, own: int, limit: int, piece: int, left: int) -> tuple[int, int]:
    """Return the place that takes the next piece of `left` rows, and how many."""
    others = [place for place in np.argsort(load, kind="stable").tolist() if place != own]
    for place in others:
        some = min(left, limit - int(load[place]))
        if some > 0 and (some >= piece or some == left):
            return place, some
    return others[0], left


@dataclass(frozen=True)
class LeastLoaded(AfterGate):
    """Spill the rows that are too many for a home, and their experts' weights, to the least loaded GPUs.

    Where max / mean of the rows of ranks is below `threshold`, plain expert parallelism.

    Source: Nguyen, Pandit, Xu, Xiong, Joty, "Least-Loaded Expert Parallelism" (arXiv 2601.17111, 2026), and
    the code published with it, of which the defaults of its README: 1.3, 1.0, 1024.

    Parameters
    ----------
    threshold : float
        Of max / mean.
    capacity : float
        Rows of a GPU at most, in parts of the mean.
    piece : int
        Least rows of a piece that spills.
    planner : float
        Seconds of the decision; nothing is published: a loop over experts in Python [R].
    """

    threshold: float = 1.3
    capacity: float = 1.0
    piece: int = 1024
    planner: float = field(default=1e-3, metadata={"unit": "seconds"})

    def __post_init__(self) -> None:
        if self.capacity < 1 or self.piece < 1:
            raise ValueError("capacity and piece are 1 or more, else rows find no place")

    def copies(self, layer: RoutedLayer, machines: tuple[int, ...]) -> Copies:
        """As `spilled` says, from the threshold on."""
        if not layer.agreed(self._crowded):
            return Copies(layer.home)
        rows = layer.rows_sent.sum(axis=0)
        found = spilled(rows, layer.places, len(layer.group), capacity=self.capacity, piece=self.piece)
        return Copies.spread(layer.home, found, layer.group, machines)

    def _crowded(self, layer: RoutedLayer) -> bool:
        return layer.imbalance("arriving") >= self.threshold

    def plan_seconds(self, layer: RoutedLayer) -> float:
        """Nothing is planned below the threshold."""
        return self.planner if layer.agreed(self._crowded) else 0.0

    def slots(self, rank: int, layers: Sequence[RoutedLayer]) -> int:
        """As many as the layer needs that needs most: they are made as they are needed."""
        return max((len(layer.copies.replicas_at(rank)) for layer in layers), default=0)

    def paradigm(self, layer: MoELayer, domain: int) -> str:
        """As the inner policy where experts travel anyway."""
        stays = self.inner.tokens_stay(layer, domain)
        return self.inner.paradigm(layer, domain) if stays else "least_loaded"
