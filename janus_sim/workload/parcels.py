"""Which rows go to which copy of their expert: own rank first, then own machine, then any."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from janus_sim.workload.copies import Copies, Ints


@dataclass(frozen=True, eq=False)
class Parcels:
    """Rows on their way, as a sparse list: one entry for each (source, expert, holder) with any row.

    Parameters
    ----------
    source, holder : (p,) int64
        Places in the group: whose rows they are, and where the copy of the expert is that they go to.
    expert : (p,) int64
    rows : (p,) int64
        Above 0.
    """

    source: Ints
    expert: Ints
    holder: Ints
    rows: Ints

    def table(self, members: int) -> Ints:
        """Return the rows (n, n) from each place to each."""
        return self._summed((members, members), self.source, self.holder)

    def sent(self, members: int, experts: int) -> Ints:
        """Return the rows (n, experts) of each place for each expert."""
        return self._summed((members, experts), self.source, self.expert)

    def columns(self, members: int) -> tuple[Ints, Ints]:
        """Return the rows (n, c) of each place for each copy that gets any, and the places (c,) of these."""
        copies, column = np.unique(np.stack([self.expert, self.holder]), axis=1, return_inverse=True)
        return self._summed((members, copies.shape[1]), self.source, column.ravel()), copies[1]

    @cached_property
    def arriving(self) -> dict[int, tuple[tuple[int, int], ...]]:
        """From each place at which any row arrives to its (expert, rows), experts ascending."""
        if not len(self.rows):
            return {}
        shape = (int(self.holder.max()) + 1, int(self.expert.max()) + 1)
        rows = self._summed(shape, self.holder, self.expert)
        found = {place: np.flatnonzero(row).tolist() for place, row in enumerate(rows) if row.any()}
        return {
            place: tuple((expert, int(rows[place, expert])) for expert in experts)
            for place, experts in found.items()
        }

    def cut(self, index: int, parts: int) -> Parcels:
        """Return part `index` of the rows of each entry, cut into near-equal parts, the larger ones first."""
        rows = (self.rows + (parts - 1 - index)) // parts
        some = rows > 0
        return Parcels(self.source[some], self.expert[some], self.holder[some], rows[some])

    def _summed(self, shape: tuple[int, int], row: Ints, column: Ints) -> Ints:
        result = np.zeros(shape, dtype=np.int64)
        np.add.at(result, (row, column), self.rows)
        return result


def parcels(rows: Ints, copies: Copies, group: Sequence[int]) -> Parcels:
    """Share the rows of every source among the copies of each expert.

    Each copy gets its quota. Rows stay on their rank where it has a copy with room, then in their machine,
    and the rest go where room is left; sources and copies in order.

    Parameters
    ----------
    rows : (n, experts) int64
        Of each member of the group for each expert.
    copies : Copies
    group : sequence of int
        Ranks, in the order of `rows`.

    Raises
    ------
    ValueError
        If replicas are to get more rows than there are.

    Examples
    --------
    >>> from janus_sim.workload.copies import frozen
    >>> copies = Copies(frozen([0]), replicas=((2,),), quotas=((5,),), machines=(0, 0, 1))
    >>> shared = parcels(np.array([[4], [3], [2]]), copies, group=(0, 1, 2))
    >>> list(zip(shared.source.tolist(), shared.holder.tolist(), shared.rows.tolist()))
    [(0, 0, 4), (2, 2, 2), (1, 2, 3)]
    """
    place = {rank: index for index, rank in enumerate(group)}
    several = np.array([bool(some) for some in copies.replicas] or [False] * rows.shape[1])
    source, expert = np.nonzero(np.where(several, 0, rows))
    homes = np.array([place[rank] for rank in copies.home.tolist()], dtype=np.int64)
    entries = [np.stack([source, expert, homes[expert], rows[source, expert]], axis=1)]
    for one in np.flatnonzero(several).tolist():
        holders = [place[rank] for rank in copies.of(one)]
        shared = _shared(rows[:, one], holders, copies.rows_of(one, int(rows[:, one].sum())), copies.machines)
        entries.append(np.array([(a, one, b, many) for a, b, many in shared], dtype=np.int64).reshape(-1, 4))
    return Parcels(*np.concatenate(entries).T)


def _shared(
    rows: Ints, holders: Sequence[int], quotas: Sequence[int], machines: Sequence[int]
) -> list[tuple[int, int, int]]:
    """Return (source, holder, rows) of one expert, in three rounds."""
    left, room = rows.copy(), np.array(quotas, dtype=np.int64)
    where, held = np.array(machines), np.array(holders)
    inside = [(where == machine, where[held] == machine) for machine in dict.fromkeys(where[held].tolist())]
    rounds = [
        *(([holder], [copy]) for copy, holder in enumerate(holders)),
        *((np.flatnonzero(a).tolist(), np.flatnonzero(b).tolist()) for a, b in inside),
        (list(range(len(rows))), list(range(len(holders)))),
    ]
    found = []
    for sources, some in rounds:
        for a, b, many in matched(left[sources], room[some]):
            found.append((sources[a], holders[some[b]], many))
            left[sources[a]] -= many
            room[some[b]] -= many
    return found


def matched(supply: Ints, demand: Ints) -> list[tuple[int, int, int]]:
    """Give away supplies to demands, both in order, until either is used up: (supply, demand, amount).

    Examples
    --------
    >>> matched(np.array([3, 0, 4]), np.array([5, 9]))
    [(0, 0, 3), (2, 0, 2), (2, 1, 2)]
    """
    most = min(int(supply.sum()), int(demand.sum()))
    ends = [np.minimum(np.cumsum(side), most) for side in (supply, demand)]
    edges = np.unique(np.concatenate([[0], *ends]))
    first, second = (np.searchsorted(end, edges[:-1], side="right").tolist() for end in ends)
    return list(zip(first, second, np.diff(edges).tolist(), strict=True))
