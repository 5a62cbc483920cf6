"""Where experts live (copies, the plan) and what ranks send each other (traffic)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from janus_sim.traces.counts import Ints, frozen, max_over_mean
from janus_sim.workload.layout import Layout

__all__ = ["Copies", "Ints", "Plan", "Traffic", "frozen", "max_over_mean"]


@dataclass(frozen=True, eq=False)
class Traffic:
    """Bytes that each rank of a group sends to each other one.

    Parameters
    ----------
    ranks : tuple of int
        The ranks, in the order of the axes of `bytes`.
    bytes : (n, n) int64
        `bytes[source, target]`; the diagonal stays on its GPU and uses no link.

    Examples
    --------
    >>> traffic = Traffic((4, 5), frozen([[1, 2], [3, 4]]))
    >>> traffic.T.bytes.tolist(), traffic.moved
    ([[1, 3], [2, 4]], 5)
    """

    ranks: tuple[int, ...]
    bytes: Ints

    @cached_property
    def T(self) -> Traffic:  # noqa: N802
        """The same bytes the other way, named as numpy names it."""
        return Traffic(self.ranks, self.bytes.T)

    @cached_property
    def moved(self) -> int:
        """Bytes that leave their GPU (all but the diagonal)."""
        return int(self.bytes.sum() - np.trace(self.bytes))


@dataclass(frozen=True, eq=False)
class Copies:
    """Where each expert of a layer can be found in a group: at its home, and at replicas of it.

    Parameters
    ----------
    home : (experts,) int64
        Rank of each expert's home, where its gradients are summed.
    replicas : tuple of tuple of int
        Further ranks that hold each expert; () where no expert has any.
    quotas : tuple of tuple of int
        Rows that each replica gets, in the order of `replicas`; the home gets the rest.
    machines : tuple of int
        Machine of each rank of the group, which rows leave only if they must (`janus_sim.workload.parcels`).

    Examples
    --------
    >>> copies = Copies(frozen([0, 1]), replicas=((1,), ()), quotas=((3,), ()), machines=(0, 0))
    >>> copies.of(0), copies.of(1), copies.held_by(1), copies.rows_of(0, 10)
    ((0, 1), (1,), (0, 1), (7, 3))
    """

    home: Ints
    replicas: tuple[tuple[int, ...], ...] = ()
    quotas: tuple[tuple[int, ...], ...] = ()
    machines: tuple[int, ...] = ()

    def of(self, expert: int) -> tuple[int, ...]:
        """Return the ranks that hold `expert`, its home first."""
        return (int(self.home[expert]), *(self.replicas[expert] if self.replicas else ()))

    def rows_of(self, expert: int, rows: int) -> tuple[int, ...]:
        """Return how many of so many rows each copy of `expert` gets, its home first.

        Raises
        ------
        ValueError
            If the replicas are to get more than there are.
        """
        quotas = self.quotas[expert] if self.quotas else ()
        if sum(quotas) > rows or min(quotas, default=0) < 0:
            raise ValueError(f"the replicas of expert {expert} are to get {quotas} of {rows} rows")
        return (rows - sum(quotas), *quotas)

    @classmethod
    def spread(
        cls,
        home: Ints,
        found: Mapping[int, Mapping[int, int]],
        group: Sequence[int],
        machines: tuple[int, ...],
    ) -> Copies:
        """Return the copies in which some experts have replicas.

        Parameters
        ----------
        home : (experts,) int64
        found : mapping
            From an expert to the rows that each place of the group gets of it.
        group : sequence of int
            The rank at each place.
        machines : tuple of int
            The machine of each place.

        Examples
        --------
        >>> Copies.spread(frozen([4, 5]), {1: {0: 30}}, (4, 5), (0, 0)).of(1)
        (5, 4)
        """
        experts = range(len(home))
        replicas = tuple(tuple(group[place] for place in found.get(expert, ())) for expert in experts)
        quotas = tuple(tuple(found.get(expert, {}).values()) for expert in experts)
        return cls(home, replicas, quotas, machines)

    @cached_property
    def _replicas_at(self) -> dict[int, tuple[int, ...]]:
        found: dict[int, list[int]] = {}
        for expert, ranks in enumerate(self.replicas):
            for rank in ranks:
                found.setdefault(rank, []).append(expert)
        return {rank: tuple(experts) for rank, experts in found.items()}

    def replicas_at(self, rank: int) -> tuple[int, ...]:
        """Return the experts of which `rank` has a replica, ascending."""
        return self._replicas_at.get(rank, ())

    def held_by(self, rank: int) -> tuple[int, ...]:
        """Return the experts that `rank` holds, ascending."""
        return tuple(expert for expert in range(len(self.home)) if rank in self.of(expert))


@dataclass(frozen=True, eq=False)
class Plan:
    """Where each expert lives: its home, as a position in the group of expert parallelism.

    Parameters
    ----------
    homes : tuple of (experts,) int64, one for each MoE layer
        Positions 0 to ep - 1; every group uses the same positions, so that replicas stay replicas.
    seconds : float
        Time that the planner of a policy takes on the critical path [s].

    Examples
    --------
    >>> plan = Plan.default(Layout(world=2, ep=2), experts=[4])
    >>> plan.homes[0].tolist(), plan.swapped(0, 1, 2).homes[0].tolist()
    ([0, 0, 1, 1], [0, 1, 0, 1])
    >>> plan == Plan.default(Layout(world=2, ep=2), experts=[4])
    True
    """

    homes: tuple[Ints, ...]
    seconds: float = 0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "homes", tuple(frozen(home) for home in self.homes))

    def __eq__(self, other: object) -> bool:
        """Whether every expert has the same home; the planner's time does not matter."""
        if not isinstance(other, Plan):
            return NotImplemented
        return len(self.homes) == len(other.homes) and all(map(np.array_equal, self.homes, other.homes))

    def __hash__(self) -> int:
        """Agree with equality."""
        return hash(tuple(home.tobytes() for home in self.homes))

    @classmethod
    def default(cls, layout: Layout, experts: Sequence[int]) -> Plan:
        """Return contiguous blocks: expert e of E lives at position e // (E / ep).

        Parameters
        ----------
        layout : Layout
        experts : sequence of int
            Experts of each MoE layer, each divisible by `layout.ep`.

        Raises
        ------
        ValueError
            If a layer's experts cannot be shared out evenly.
        """
        for moe, count in enumerate(experts):
            if count < 1 or count % layout.ep:
                raise ValueError(f"MoE layer {moe}: {count} experts cannot be shared by {layout.ep} ranks")
        return cls(tuple(np.arange(count, dtype=np.int64) // (count // layout.ep) for count in experts))

    def swapped(self, moe: int, first: int, second: int) -> Plan:
        """Return the plan in which two experts of MoE layer `moe` have changed places."""
        home = self.homes[moe].copy()
        home[[first, second]] = home[[second, first]]
        return Plan((*self.homes[:moe], home, *self.homes[moe + 1 :]), self.seconds)

    def moved(self, other: Plan, moe: int) -> tuple[int, ...]:
        """Return the experts of MoE layer `moe` whose home differs in `other`, ascending."""
        return tuple(int(expert) for expert in np.flatnonzero(self.homes[moe] != other.homes[moe]))
