"""An All-to-All in hops that stream into one another: one kernel, in which rows move on as they arrive."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from janus_sim.engine.collective import Collective
from janus_sim.engine.pairs import Floats, Ints, Lines, PairFlows, Word
from janus_sim.errors import PolicyError
from janus_sim.topology.transfers import Rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

Load = tuple[Lines, tuple[Ints, ...], Rows | None]


class Streaming(Collective):
    """Each member sends its row of every hop; what a hop brings to a member, it sends on in the next.

    A pair's flow of the first hop starts when both have joined. One of a later hop starts when, besides, the
    first bytes of the hop before are at its source; where that has rows of its own, or is sent none, at once.
    A member leaves when all that it sends and receives is over, and all that came to those who sent it on.
    Start times and rates are those of one kernel, whose SMs carry all hops.

    Parameters
    ----------
    load : (lines, tables, rows)
        Whose start times and rates; for each hop (n, n) int64 bytes from member (row) to member (column), of
        which the diagonal stays where it is; the rows that these are, or None.

    Raises
    ------
    PolicyError
        If a table is not one of bytes, one row and column for each member.
    """

    kind: ClassVar[Word] = "all_to_all"

    def _prepare(self, load: Load) -> None:
        lines, tables, rows = load
        if not tables:
            raise PolicyError(f"{self} has no hop")
        hops = [self._moved(table) for table in tables]
        sender, target, sizes = (np.concatenate(part) for part in zip(*hops, strict=True))
        who = self.who
        self.flows = PairFlows(
            self.fabric, self.members, who.here[sender], target, sizes, self.kind, lines,
            sms=self.sms, rows=rows,
        )  # fmt: skip
        self._sender, self._into = sender, who.image[target]
        self._bounds = np.cumsum([0, *(len(one[0]) for one in hops)]).tolist()
        self._hop = np.repeat(np.arange(len(hops)), [len(one[0]) for one in hops])
        self._waiting = np.ones(len(sizes), dtype=bool)
        self._present = np.zeros(len(who.here), dtype=bool)
        self._index = {rank: index for index, rank in enumerate(who.ranks_here)}
        self._starts: list[tuple[int, int]] = []  # (first flow in the network, rank that joined), by time
        self._ready = self._first_bytes(tables)
        self._reserve(len(hops))

    def _moved(self, table: Ints) -> tuple[Ints, Ints, Ints]:
        """Return the flows that members here send in one hop: places in `here`, indices of members, bytes."""
        count, who = len(self.members), self.who
        if table.shape != (count, count) or (table < 0).any():
            raise PolicyError(f"{self} takes bytes, 0 or more, as tables of {count} by {count}")
        who.check(table)
        moved = table[who.here] != 0
        moved[np.arange(len(who.here)), who.here] = False
        sender, target = np.nonzero(moved)
        return sender, target, table[who.here[sender], target]

    def _first_bytes(self, tables: tuple[Ints, ...]) -> Floats:
        """Return from when on each member can send in each hop (hops, here): at once, or not yet known."""
        ready = np.full((len(tables), len(self.who.here)), np.inf)
        ready[0] = 0.0
        own = np.array([np.diag(table)[self.who.here] > 0 for table in tables])
        for hop in range(1, len(tables)):
            fed = np.zeros(len(self.who.here), dtype=bool)
            fed[self._into[self._hop == hop - 1]] = True
            ready[hop, own[hop - 1] | ~fed] = 0.0
        return ready

    def _reserve(self, hops: int) -> None:
        """Make groups of flows to wait for: of each member what reaches it in each hop, and what it sends."""
        width = len(self.who.here)
        arrives = self._hop * width + self._into
        self._groups = np.stack([arrives, hops * width + self._sender], axis=1)
        parts = np.repeat(self.flows.parts, 2)
        sizes = np.bincount(self._groups.ravel(), parts, minlength=(hops + 1) * width).astype(int)
        needs: list[set[int]] = [{group} for group in range(hops * width)]
        for flow in np.flatnonzero(self._hop > 0).tolist():  # in order of hops
            needs[arrives[flow]] |= needs[arrives[flow] - self._into[flow] - width + self._sender[flow]]
        self._needs = [
            {hops * width + one}.union(*(needs[hop * width + one] for hop in range(hops)))
            & set(np.flatnonzero(sizes).tolist())
            for one in range(width)
        ]
        self._needed_by: dict[int, list[int]] = defaultdict(list)
        for member, groups in enumerate(self._needs):
            for group in groups:
                self._needed_by[group].append(member)
        self._first = self.fabric.groups(sizes.tolist(), self._over)

    def check(self, load: Load, rank: int) -> None:
        """Refuse a member that brings other sizes than those before it."""
        same = load[::2] == self.load[::2] and len(load[1]) == len(self.load[1])
        if not same or not all(
            mine is theirs or np.array_equal(mine, theirs)
            for mine, theirs in zip(load[1], self.load[1], strict=True)
        ):
            raise PolicyError(f"rank {rank} brings other sizes to {self} than the ranks before it")

    def _join(self, rank: int) -> None:
        """Start all that can start now, hop by hop: what one brings lets the next begin."""
        me = self._index[rank]
        self._present[me] = True
        begun = [self._begin(hop) for hop in range(len(self._ready))]
        ready, starts = (np.concatenate(part) for part in zip(*begun, strict=True))
        if len(ready):
            self._starts.append((self._start(ready, self._groups[ready] + self._first, starts), rank))
        if not self._needs[me]:
            self.leave(rank, *self.joined[rank], "")

    def _begin(self, hop: int) -> tuple[NDArray[np.intp], Floats]:
        """Return the flows of a hop that can start now, and when; what they bring lets the next hop begin."""
        can = self._present & (self._ready[hop] < np.inf)
        first, last = self._bounds[hop : hop + 2]
        mine = slice(first, last)
        waits = self._waiting[mine] & can[self._sender[mine]] & self._present[self._into[mine]]
        ready = first + np.flatnonzero(waits)
        self._waiting[ready] = False
        pair = self.flows.first[ready]
        starts = np.maximum(
            self.timeline.now + self.flows.delays[pair], self._ready[hop, self._sender[ready]]
        )
        if hop + 1 < len(self._ready) and len(ready):
            arrive = starts + self.fabric.latency(self.flows.routes[pair])
            np.minimum.at(self._ready[hop + 1], self._into[ready], arrive)
        return ready, starts

    def _over(self, group: int) -> None:
        """Let go whoever waited for this group last; its last flow began when somebody joined."""
        for me in self._needed_by[group]:
            self._needs[me].discard(group)
            if not self._needs[me]:
                where, member = self._first + group, self.who.here[me]
                last = self.fabric.flows.group_last(where)[0]
                joiner = self._starts[bisect_right(self._starts, last, key=lambda start: start[0]) - 1][1]
                sent, far = self.flows.sent[member], self.flows.far[member]
                rank = self.who.ranks_here[me]
                latest = max(self.joined[rank], self.joined[joiner], key=lambda joined: joined[0])
                self.leave(rank, *latest, self.fabric.bound(where), sent, far)
