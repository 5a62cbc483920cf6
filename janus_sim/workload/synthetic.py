"""Routing that is made up: counts of a gate by rule and seed, any part of them in any order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from janus_sim.traces import counts_of
from janus_sim.workload.copies import Ints, frozen
from janus_sim.workload.drawn import in_range, remembered
from janus_sim.workload.limited import Draw, limited
from janus_sim.workload.shares import Floats, Popularity, exponential, sharpened, zipf
from janus_sim.workload.trace import choices


def balanced(rows: int, ranks: int, experts: int, shift: int = 0) -> Ints:
    """Return equal counts; remainders are rotated, so that the totals over ranks are as equal as can be.

    Parameters
    ----------
    rows : int
        Of one rank.
    shift : int
        Number of ranks that the rotation has already served, in earlier layers or steps.

    Returns
    -------
    (ranks, experts) int64

    Examples
    --------
    >>> balanced(4, ranks=3, experts=3).tolist()
    [[2, 1, 1], [1, 2, 1], [1, 1, 2]]
    """
    each, rest = divmod(rows, experts)
    first = (np.arange(shift, shift + ranks) * rest)[:, None]
    return each + ((np.arange(experts) - first) % experts < rest).astype(np.int64)


def apportioned(rows: int, shares: Floats, offset: float) -> Ints:
    """Return whole rows that differ from `rows * shares` by less than 1 and add up to `rows`.

    The cumulative shares are rounded with an offset; offsets spread over ranks make totals exact to a row.

    Examples
    --------
    >>> [apportioned(5, np.array([0.5, 0.5]), offset).tolist() for offset in (0.25, 0.75)]
    [[2, 3], [3, 2]]
    """
    edges = np.floor(np.concatenate([[0.0], np.cumsum(shares)[:-1] * rows, [rows]]) + offset)
    edges[0], edges[-1] = 0, rows
    return np.diff(np.clip(edges, 0, rows)).astype(np.int64)


def capped(counts: Ints, limit: int, shares: Floats, rng: np.random.Generator) -> Ints:
    """Return counts of at most `limit` an expert; what is above is drawn again among the others.

    A token picks distinct experts, so no expert gets more rows than there are tokens.

    Examples
    --------
    >>> capped(np.array([5, 1]), 3, np.array([0.9, 0.1]), np.random.default_rng(1)).tolist()
    [3, 3]
    """
    while (excess := int(np.maximum(counts - limit, 0).sum())) > 0:
        counts = np.minimum(counts, limit)
        room = counts < limit
        weights = np.where(room, shares, 0.0)
        weights = weights if weights.sum() > 0 else room.astype(np.float64)
        counts = counts + rng.multinomial(excess, weights / weights.sum())
    return counts


@dataclass(frozen=True, eq=False, kw_only=True)
class SyntheticRouting:
    """Counts drawn by a rule; each rank's rows add up to tokens x top_k.

    Parameters
    ----------
    kind : "balanced" | "uniform" | "zipf" | "dirichlet"
        Equal integers; multinomial draws, from equal shares or from shares in proportion to
        1 / place ** exponent; or Dirichlet shares brought to `max_over_mean` exactly and shared out without
        noise.
    ranks : int
    experts : tuple of int
        Experts of each MoE layer.
    tokens : int
        Of one rank and micro-batch.
    top_k : int
    group : int, optional
        Ranks of a group of expert parallelism, over which rounding evens out; all by default.
    exponent : float
        Of zipf.
    max_over_mean : float
        Of dirichlet: max / mean over experts, from 1 to experts / top_k.
    machines : int, optional
        Each token's experts lie on so many machines (`janus_sim.workload.limited`); None: wherever.
    spread : int
        Machines over which a group stands, each with a contiguous block of the experts.
    drift, correlation : float
        From step to step, and between layers: see `Popularity`.
    seed : int

    Raises
    ------
    ValueError
        If a parameter is out of its range.

    Examples
    --------
    >>> routing = SyntheticRouting(
    ...     kind="dirichlet", ranks=4, experts=(8,), tokens=1000, top_k=2, max_over_mean=2.0
    ... )
    >>> rows = routing.at(0, 0, 0).sum(axis=0)
    >>> (rows.max() / rows.mean()).item()
    2.0
    """

    kind: str
    ranks: int
    experts: tuple[int, ...]
    tokens: int
    top_k: int
    group: int | None = None
    exponent: float = 1.0
    max_over_mean: float = 1.0
    machines: int | None = None
    spread: int = 1
    drift: float = 0.0
    correlation: float = 0.0
    seed: int = 0

    steps: None = None
    micro_batches: None = None

    def __post_init__(self) -> None:
        fewest = min(self.experts, default=self.top_k)
        in_range(
            {
                "top_k": (self.top_k, 1, fewest),
                "correlation": (self.correlation, 0, 1),
                "max_over_mean": (self.max_over_mean, 1, fewest / self.top_k),
                "exponent": (self.exponent, 0, 100),
                "drift": (self.drift, 0, 1),
            }
        )
        if self.kind not in self._rules:
            raise ValueError(f'routing "{self.kind}" is unknown; write one of {", ".join(self._rules)}')

    @cached_property
    def _rules(self) -> dict[str, Callable[[int, int, int], Ints]]:
        return {
            "balanced": self._balanced,
            "uniform": self._drawn,
            "zipf": self._drawn,
            "dirichlet": self._drawn,
        }

    @cached_property
    def popularity(self) -> Popularity:
        """What the experts' shares are made from."""
        return Popularity(self.experts, self.drift, self.correlation, self.seed)

    @cached_property
    def _remembered(self) -> Callable[[int, int, int], Ints]:
        rule = self._rules[self.kind] if self.machines is None else self._counted
        return remembered(rule, size=8 * self.ranks * max(self.experts))

    def at(self, step: int, micro_batch: int, moe: int) -> Ints:
        """Return the counts (ranks, experts) of MoE layer `moe`."""
        return self._remembered(step, micro_batch, moe)

    def choices_at(self, step: int, micro_batch: int, moe: int) -> npt.NDArray[np.signedinteger]:
        """Return the experts of each token (ranks, tokens, top_k), which agree with the counts."""
        return self._chosen(step, micro_batch, moe)

    @cached_property
    def _chosen(self) -> Callable[[int, int, int], npt.NDArray[np.signedinteger]]:
        return remembered(self._every_choice, size=2 * self.ranks * self.tokens * self.top_k)

    def _every_choice(self, step: int, micro_batch: int, moe: int) -> npt.NDArray[np.signedinteger]:
        width = np.int16 if max(self.experts) < 2**15 else np.int32
        table = np.empty((self.ranks, self.tokens, self.top_k), dtype=width)
        for rank in range(self.ranks):
            table[rank] = self.choices(step, micro_batch, moe, rank)
        return table

    def shares(self, step: int, moe: int) -> Floats:
        """Return the share of the rows (experts,) that each expert of MoE layer `moe` is meant to get."""
        count = self.experts[moe]
        if self.kind == "zipf":
            return zipf(np.argsort(-self.popularity.at(step, moe), kind="stable"), self.exponent)
        if self.kind == "dirichlet":
            return sharpened(exponential(self.popularity.at(step, moe)), self.max_over_mean)
        return np.full(count, 1 / count)

    def choices(self, step: int, micro_batch: int, moe: int, rank: int) -> Ints:
        """Return the experts of each token (tokens, top_k) of one rank, which agree with the counts."""
        rng = self._rng(2, step, micro_batch, moe, rank)
        if self.machines is not None:
            return limited(
                self.shares(step, moe),
                self.tokens,
                self.top_k,
                machines=self.machines,
                spread=self.spread,
                draw=self._draw(micro_batch, rank, rng),
                rng=rng,
            )
        return choices(self.at(step, micro_batch, moe)[rank], self.top_k, rng)

    def _draw(self, micro_batch: int, rank: int, rng: np.random.Generator) -> Draw:
        """Return what gives a rank whole counts by shares: drawn by chance, or shared out without."""
        group = self.group or self.ranks
        offset = ((rank + micro_batch) % group + 0.5) / group

        def draw(rows: int, shares: Floats, limit: int) -> Ints:
            """Give so many rows, at most `limit` to one."""
            by_chance = self.kind in ("uniform", "zipf")
            counts = rng.multinomial(rows, shares) if by_chance else apportioned(rows, shares, offset)
            return capped(counts, limit, shares, rng)

        return draw

    def _counted(self, step: int, micro_batch: int, moe: int) -> Ints:
        """Count what tokens choose under the limit of machines."""
        return frozen(counts_of(self.choices_at(step, micro_batch, moe), self.experts[moe]))

    def _rng(self, purpose: int, *place: int) -> np.random.Generator:
        return np.random.default_rng(np.random.SeedSequence([self.seed, purpose, *place]))

    def _balanced(self, step: int, micro_batch: int, moe: int) -> Ints:
        visit = (step + micro_batch) * len(self.experts) + moe
        return frozen(balanced(self.tokens * self.top_k, self.ranks, self.experts[moe], visit * self.ranks))

    def _drawn(self, step: int, micro_batch: int, moe: int) -> Ints:
        shares, rows = self.shares(step, moe), self.tokens * self.top_k
        counts = []
        for rank in range(self.ranks):
            draw = self._draw(micro_batch, rank, self._rng(0, step, micro_batch, moe, rank))
            counts.append(draw(rows, shares, self.tokens))
        return frozen(np.array(counts))
