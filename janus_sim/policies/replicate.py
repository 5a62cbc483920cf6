"""Replicate: hot experts get replicas in their NVLink domain, at each layer and micro-batch (UltraEP)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from janus_sim.policies.after_gate import AfterGate
from janus_sim.policies.room import enough
from janus_sim.workload.copies import Copies, Ints
from janus_sim.workload.layer import MoELayer, RoutedLayer

Quotas = dict[int, dict[int, int]]  # from an expert to the rows that each place with a replica gets


def quotas(
    rows: Ints, home: Ints, domains: Sequence[int], *, slots: int, piece: int, tolerance: float
) -> Quotas:
    """Return replicas and their rows that bring the fullest place of each domain down towards the mean.

    In each domain by itself: bisection over the rows that a place may have, down to `tolerance` of the mean,
    each tried by `exported`. With pieces above 1 bisection may miss a smaller maximum. Source: UltraEP
    (arXiv 2606.04101), quota-driven planning.

    Parameters
    ----------
    rows, home : (experts,) int64
        Rows of each expert over all ranks, and the place where it lives.
    domains : sequence of int
        The domain of each place, which no replica leaves.
    slots : int
        Replicas that fit at each place.
    piece : int
        Least rows of a replica.
    tolerance : float
        In parts of the mean.

    Examples
    --------
    >>> quotas(np.array([70, 10, 10, 10]), np.arange(4), (0, 0, 0, 0), slots=1, piece=1, tolerance=0.0)
    {0: {1: 15, 2: 15, 3: 15}}
    """
    found: Quotas = {}
    for domain in dict.fromkeys(domains):
        places = [place for place, other in enumerate(domains) if other == domain]
        inside = np.flatnonzero(np.isin(home, places)).tolist()
        load = np.bincount(home[inside], weights=rows[inside], minlength=len(domains)).astype(np.int64)
        mean, high = int(load.sum()) / len(places), int(load.max())
        low, best = int(np.ceil(mean)), {}
        while low < high and high - low >= tolerance * mean:
            middle = (low + high) // 2
            tried = exported(rows, home, load, places, inside, most=middle, slots=slots, piece=piece)
            if tried is None:
                low = middle + 1
            else:
                high, best = middle, tried
        found |= best
    return found


def exported(
    rows: Ints, home: Ints, load: Ints, places: Sequence[int], experts: Sequence[int], *,
    most: int, slots: int, piece: int,
) -> Quotas | None:  # fmt: skip
    """Return how places with more than `most` rows export them, or None if they cannot.

    The fullest place first, its largest experts first, each time to the place with the most room that has a
    free slot and no copy of the expert. A home keeps a row of each expert.

    Parameters
    ----------
    rows, home, slots, piece
        See `quotas`.
    load : (places,) int64
        Rows at each place.
    places, experts : sequence of int
        Those of the domain.
    most : int
    """
    room = {place: most - int(load[place]) for place in places}
    free = dict.fromkeys(places, slots)
    found: Quotas = {}
    for source in sorted(places, key=lambda place: (-int(load[place]), place)):
        own = [expert for expert in experts if home[expert] == source]
        for expert in sorted(own, key=lambda one: (-int(rows[one]), one)):
            left = int(rows[expert]) - 1
            while (need := min(-room[source], left)) > 0:
                taken = found.get(expert, {})
                able = [
                    one for one in places if free[one] and one not in taken and min(need, room[one]) >= piece
                ]
                if not able:
                    break
                target = max(able, key=lambda one: (room[one], -one))
                some = min(need, room[target])
                found.setdefault(expert, {})[target] = some
                free[target] -= 1
                room[target] -= some
                room[source] += some
                left -= some
        if room[source] < 0:
            return None
    return found


@dataclass(frozen=True)
class Replicate(AfterGate):
    """Balance each layer of each micro-batch: hot experts get replicas in slots of their NVLink domain.

    The domain is the machine. Source: Wei et al., "UltraEP" (arXiv 2606.04101, 2026), and the code published
    with it (Dots-Infra/UltraEP): two slots a rank and the tolerance of its README, the piece of its tests;
    its report gives the planner below 100 us for 64 ranks.

    Parameters
    ----------
    slots_a_rank : int
        Replicas that fit on a GPU; buffers for their weights and gradients serve all layers.
    piece : int
        Least rows of a replica. With 1024, as that README has it, a place stays full whose experts find no
        room for so many: in `ultraep_balance` (64 ranks of 65,536 rows, the fullest with 1.68 and 2.81 times
        the mean) the fullest ends at 1.38 and 1.47 times the mean, not at the paper's 1.01 to 1.04.
    tolerance : float
        How near the planner comes to the least maximum, in parts of the mean.
    planner : float
        Seconds of the decision, on the critical path.
    """

    slots_a_rank: int = field(default=2, metadata={"name": "slots"})
    piece: int = 1
    tolerance: float = 0.01
    planner: float = field(default=100e-6, metadata={"unit": "seconds"})

    def __post_init__(self) -> None:
        enough(slots=self.slots_a_rank, piece=self.piece)

    def copies(self, layer: RoutedLayer, machines: tuple[int, ...]) -> Copies:
        """As `quotas` says."""
        rows = layer.rows_sent.sum(axis=0)
        found = quotas(
            rows, layer.places, machines,
            slots=self.slots_a_rank, piece=self.piece, tolerance=self.tolerance,
        )  # fmt: skip
        return Copies.spread(layer.home, found, layer.group, machines)

    def plan_seconds(self, layer: RoutedLayer) -> float:
        """The same for every layer."""
        return self.planner

    def slots(self, rank: int, layers: Sequence[RoutedLayer]) -> int:
        """As many as there are, used or not."""
        return self.slots_a_rank

    def paradigm(self, layer: MoELayer, domain: int) -> str:
        """As the inner policy where experts travel anyway."""
        stays = self.inner.tokens_stay(layer, domain)
        return self.inner.paradigm(layer, domain) if stays else "replicate"
