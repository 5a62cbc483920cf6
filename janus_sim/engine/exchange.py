"""The two collectives: an All-to-All that each rank leaves alone, an all-reduce that all leave together."""

from __future__ import annotations

from bisect import bisect_right
from typing import ClassVar

import numpy as np

from janus_sim.engine.collective import Collective
from janus_sim.engine.pairs import Ints, PairFlows, Word
from janus_sim.engine.reducing import all_reduce_pairs
from janus_sim.engine.rings import Pairs
from janus_sim.errors import PolicyError


class AllToAll(Collective):
    """Each member sends its row of bytes.

    A pair's flow starts when both have joined, and a rank leaves when its own sends and receives are over (as
    NCCL does it).

    Parameters
    ----------
    load : (n, n) int64
        Bytes from member (row) to member (column); the diagonal stays at home.

    Raises
    ------
    PolicyError
        If `load` is no table of bytes, one row and column for each member.
    """

    kind: ClassVar[Word] = "all_to_all"

    def _prepare(self, load: Ints) -> None:
        sizes, count = load, len(self.members)
        if sizes.shape != (count, count) or (sizes < 0).any():
            raise PolicyError(f"{self} takes bytes, 0 or more, as a table of {count} by {count}")
        source, target = np.nonzero(sizes * (1 - np.eye(count, dtype=np.int64)))
        self.flows = PairFlows(self.fabric, self.members, source, target, sizes[source, target], self.kind)
        self._ends = np.stack([source, target], axis=1)
        self._flow = np.full((count, count), -1)  # index of the flow from row to column, -1 for none
        self._flow[source, target] = np.arange(len(source))
        self._index = {rank: index for index, rank in enumerate(self.members)}
        self._present: list[int] = []  # indices of members that have joined
        self._starts: list[tuple[int, int]] = []  # (first flow in the network, rank that joined), by time
        self._flows_of = np.bincount(self._ends.ravel(), minlength=count).tolist()
        self._group = self.fabric.groups(self._flows_of, self._over)

    def check(self, load: Ints, rank: int) -> None:
        """Refuse a member that brings other sizes than those before it."""
        if load is not self.load and not np.array_equal(load, self.load):
            raise PolicyError(f"rank {rank} brings other sizes to {self} than the ranks before it")

    def _join(self, rank: int) -> None:
        """Start the flows between `rank` and all who are there."""
        me = self._index[rank]
        self._present.append(me)
        mine = np.concatenate([self._flow[me, self._present], self._flow[self._present, me]])
        ready = np.sort(mine[mine >= 0])
        if len(ready):
            self._starts.append((self._start(ready, self._ends[ready] + self._group), rank))
        elif not self._flows_of[me]:
            self.leave(rank, *self.joined[rank], "")

    def _over(self, me: int) -> None:
        """Let the member go: its last flow, begun when the later of its two ends joined, has ended."""
        group, rank = self._group + me, self.members[me]
        last = self.fabric.flows.group_last(group)[0]
        joiner = self._starts[bisect_right(self._starts, last, key=lambda start: start[0]) - 1][1]
        self.leave(
            rank, *self.joined[joiner], self.fabric.bound(group), self.flows.sent[me], self.flows.far[me]
        )


class AllReduce(Collective):
    """A sum by the algorithm that the topology names; all members start and end together.

    Parameters
    ----------
    load : int
        Bytes of the buffer on each member.
    """

    kind: ClassVar[Word] = "all_reduce"

    def _prepare(self, load: int) -> None:
        if load < 0:
            raise PolicyError(f"{self} takes bytes, 0 or more, not {load}")
        machines = [self.computes[member].machine for member in self.members]
        self.flows = PairFlows(self.fabric, self.members, *self._pairs(machines, load), self.kind)
        self._group = self.fabric.groups([len(self.flows.sizes)], self._over)

    def _pairs(self, machines: list[int], load: int) -> Pairs:
        """Return who sends how many bytes to whom, by the indices of members."""
        return all_reduce_pairs(self.fabric.topology.spec.communication.algorithms.all_reduce, machines, load)

    def check(self, load: int, rank: int) -> None:
        """Refuse a member that brings another size than those before it."""
        if load != self.load:
            raise PolicyError(f"rank {rank} brings {load} bytes to {self}, the ranks before it {self.load}")

    def _join(self, rank: int) -> None:
        if len(self.joined) < len(self.members):
            return
        flows = len(self.flows.sizes)
        if flows:
            self._start(np.arange(flows), np.tile([self._group, -1], (flows, 1)))
        else:
            self._leave_all("")

    def _over(self, _: int) -> None:
        self._leave_all(self.fabric.bound(self._group))

    def _leave_all(self, resource: str) -> None:
        begin, why = self.joined[max(self.joined, key=lambda rank: self.joined[rank][0])]
        for index, rank in enumerate(self.members):
            self.leave(rank, begin, why, resource, self.flows.sent[index], self.flows.far[index])
