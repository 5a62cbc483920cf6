"""The two collectives: an All-to-All that each rank leaves alone, an all-reduce that all leave together."""

from __future__ import annotations

from bisect import bisect_right
from typing import ClassVar

import numpy as np

from janus_sim.engine.collective import Collective
from janus_sim.engine.pairs import Ints, Lines, PairFlows, Word
from janus_sim.engine.reducing import Algorithm, all_reduce_pairs
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
        who, here = self.who, len(self.who.here)
        who.check(sizes)
        moved = sizes[who.here] != 0
        moved[np.arange(here), who.here] = False
        sender, target = np.nonzero(moved)
        source, into = who.here[sender], who.image[target]
        self.flows = PairFlows(
            self.fabric, self.members, source, target, sizes[source, target], self.kind, "all_to_all"
        )
        self._ends = np.stack([sender, into], axis=1)
        # index of the flow from row to column, or to an image of it; -1 for none
        self._flow = np.full((here, here, who.turns), -1)
        self._flow[sender, into, who.turn[target]] = np.arange(len(source))
        self._index = {rank: index for index, rank in enumerate(who.ranks_here)}
        self._present: list[int] = []  # which of `here` have joined
        self._starts: list[tuple[int, int]] = []  # (first flow in the network, rank that joined), by time
        parts = np.repeat(self.flows.parts, 2)
        self._flows_of = np.bincount(self._ends.ravel(), parts, minlength=here).astype(int).tolist()
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
        ready = np.unique(mine[mine >= 0])
        if len(ready):
            self._starts.append((self._start(ready, self._ends[ready] + self._group), rank))
        elif not self._flows_of[me]:
            self.leave(rank, *self.joined[rank], "")

    def _over(self, me: int) -> None:
        """Let the member go: its last flow, begun when the later of its two ends joined, has ended."""
        group, rank, member = self._group + me, self.who.ranks_here[me], self.who.here[me]
        last = self.fabric.flows.group_last(group)[0]
        joiner = self._starts[bisect_right(self._starts, last, key=lambda start: start[0]) - 1][1]
        sent, far = self.flows.sent[member], self.flows.far[member]
        self.leave(rank, *self.joined[joiner], self.fabric.bound(group), sent, far)


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
        gpus = self.fabric.topology.gpus
        pairs = self._pairs([gpus[member].machine for member in self.members], load)
        here = self.who.sent_here(*pairs)
        self.flows = PairFlows(self.fabric, self.members, *here, self.kind, self._lines)
        self._group = self.fabric.groups([len(self.flows.sizes)], self._over)

    @property
    def _algorithm(self) -> Algorithm:
        return self.fabric.topology.spec.communication.algorithms.all_reduce

    @property
    def _lines(self) -> Lines:
        """Whose start times and rates it takes."""
        algorithm = self._algorithm
        return algorithm if algorithm in ("ring", "in_switch") else "all_reduce"

    def _pairs(self, machines: list[int], load: int) -> Pairs:
        """Return who sends how many bytes to whom, by the indices of members."""
        return all_reduce_pairs(self._algorithm, machines, load)

    def check(self, load: int, rank: int) -> None:
        """Refuse a member that brings another size than those before it."""
        if load != self.load:
            raise PolicyError(f"rank {rank} brings {load} bytes to {self}, the ranks before it {self.load}")

    def _join(self, rank: int) -> None:
        if len(self.joined) < len(self.who.here):
            return
        flows = len(self.flows.parts)
        if flows:
            self._start(np.arange(flows), np.tile([self._group, -1], (flows, 1)))
        else:
            self._leave_all("")

    def _over(self, _: int) -> None:
        self._leave_all(self.fabric.bound(self._group))

    def _leave_all(self, resource: str) -> None:
        begin, why = self.joined[max(self.joined, key=lambda rank: self.joined[rank][0])]
        for member, rank in zip(self.who.here.tolist(), self.who.ranks_here, strict=True):
            self.leave(rank, begin, why, resource, self.flows.sent[member], self.flows.far[member])
