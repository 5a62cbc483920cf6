"""The flows of one collective as arrays: routes, start times, rate caps and weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from janus_sim.engine.fabric import KINDS, Fabric, Traffic
from janus_sim.topology.transfers import Rows

Ints: TypeAlias = NDArray[np.int64]
Floats: TypeAlias = NDArray[np.float64]
Word: TypeAlias = Literal["all_to_all", "all_reduce", "all_gather", "reduce_scatter", "broadcast"]
Lines: TypeAlias = Literal["all_to_all", "all_reduce", "ring", "in_switch", "dispatch", "combine", "notify"]


class PairFlows:
    """Flows between members of a collective, with the rates of the links as they are when it is first called.

    Parameters
    ----------
    fabric : Fabric
    members : sequence of int
        Ranks.
    source, target : (n,) int64
        Indices of members.
    sizes : (n,) int64
        Bytes, above 0. What is hashed to a spine is cut into a flow a queue pair.
    word : {"all_to_all", "all_reduce", "all_gather", "reduce_scatter", "broadcast"}
    lines : {"all_to_all", "all_reduce", "ring", "in_switch", "dispatch", "combine", "notify"}
        Whose start times and rates by message size these are.
    sms : int
        SMs of the kernel that moves them, where lines say what one moves.
    rows : Rows, optional
        That it moves one by one, where they have a cost of their own.

    Attributes
    ----------
    routes : (n, hops) int32
        Links, padded with -1.
    delays, caps, weights : (n,) float64
        Seconds before the latency of the route, bytes per second at most, share under contention: the flows
        of one collective that share its most crowded link have a weight of `channels` together.
    parts, first : (n,) int64
        How many flows each of those that were given is cut into, its queue pairs, and which of all is the
        first of them.
    sent, far : list of int
        Bytes that each member sends, and those of them that leave its machine.
    """

    def __init__(
        self,
        fabric: Fabric,
        members: Sequence[int],
        source: Ints,
        target: Ints,
        sizes: Ints,
        word: Word,
        lines: Lines,
        *,
        sms: int = 0,
        rows: Rows | None = None,
    ) -> None:
        self.fabric, ranks = fabric, np.array(members, dtype=np.int64)
        self.routes = fabric.topology.routes(ranks[source], ranks[target])
        self.parts = np.minimum(fabric.queue_pairs(self.routes), np.maximum(sizes, 1))  # a byte each at least
        self.first = np.cumsum(self.parts) - self.parts
        if (self.parts > 1).any():
            which, number = _spread(self.parts)
            source, target, sizes = source[which], target[which], _cut(sizes, self.parts)
            self.routes = fabric.topology.routes(ranks[source], ranks[target], number)
        self.source, self.sizes = source, sizes
        far = sizes * fabric.far(self.routes)
        self.sent, self.far = self._per_member(sizes, len(ranks)), self._per_member(far, len(ranks))
        self.delays, self.caps = self._message_size(lines, len(ranks), sms, rows)
        talk, crowd = fabric.topology.communication, self._crowd()
        self.weights = talk.channels / crowd[self.routes].max(axis=1, initial=1).astype(np.float64)
        if word == "all_reduce":  # between machines a ring does not reach what its links carry at best
            share = np.append(fabric.capacity, np.inf) / np.maximum(crowd, 1)
            reached = talk.all_reduce_efficiency * share[self.routes].min(axis=1, initial=np.inf)
            self.caps = np.where(far > 0, np.minimum(self.caps, reached), self.caps)

    def start(
        self, which: Ints, now: float, groups: Ints, traffic: Traffic, starts: Floats | None = None
    ) -> int:
        """Put some of the flows into the network; return the id of the first, the others follow in order.

        They start after their delays, counted from `now`, or at `starts`.
        """
        if len(self.parts) < len(self.sizes):
            several = self.parts[which]
            groups, starts = np.repeat(groups, several, axis=0), _repeat(starts, several)
            which = self.first[which].repeat(several) + _spread(several)[1]
        return self.fabric.transfer_many(
            self.routes[which],
            self.sizes[which],
            starts=now + self.delays[which] if starts is None else starts,
            caps=self.caps[which],
            weights=self.weights[which],
            groups=groups,
            traffic=traffic,
        )

    def _per_member(self, sizes: Ints, members: int) -> list[int]:
        total = np.zeros(members, dtype=np.int64)
        np.add.at(total, self.source, sizes)
        return [int(size) for size in total]

    def _crowd(self) -> Ints:
        """Return how many flows of this collective use each link, and 1 where there is no link."""
        used = self.routes >= 0
        return np.append(np.bincount(self.routes[used], minlength=len(self.fabric.capacity)), 1)

    def _message_size(self, lines: Lines, members: int, sms: int, rows: Rows | None) -> tuple[Floats, Floats]:
        """Return start times and rate caps, by what each source sends over each kind of path."""
        delays, caps = np.zeros(len(self.sizes)), np.full(len(self.sizes), np.inf)
        kinds = self.fabric.kinds(self.routes)
        for kind in np.unique(kinds).tolist():
            chosen = np.flatnonzero(kinds == kind)
            source, sizes = self.source[chosen], self.sizes[chosen]
            sent = np.zeros(members)
            np.add.at(sent, source, sizes)
            start, cap = self.fabric.topology.start(lines, KINDS[kind], sent, sms, rows)
            delays[chosen], caps[chosen] = start[source], cap[source] * (sizes / sent[source])
        return delays, caps


def _spread(parts: Ints) -> tuple[Ints, Ints]:
    """Return of each part of some flows which flow it belongs to, and its number there.

    Examples
    --------
    >>> [one.tolist() for one in _spread(np.array([1, 3]))]
    [[0, 1, 1, 1], [0, 0, 1, 2]]
    """
    which = np.repeat(np.arange(len(parts)), parts)
    return which, np.arange(len(which)) - (np.cumsum(parts) - parts)[which]


def _cut(sizes: Ints, parts: Ints) -> Ints:
    """Cut bytes into near-equal parts, the larger ones first.

    Examples
    --------
    >>> _cut(np.array([5, 7]), np.array([1, 3])).tolist()
    [5, 3, 2, 2]
    """
    which, number = _spread(parts)
    cut: Ints = (sizes[which] + parts[which] - 1 - number) // parts[which]
    return cut


def _repeat(values: Floats | None, times: Ints) -> Floats | None:
    return None if values is None else np.repeat(values, times)
