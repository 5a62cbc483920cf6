"""Experts of a layer on the belt: what `DataCentric.forward` and `backward` say, for a group."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from janus_sim.engine.belt import layout as at
from janus_sim.policies.belt_fetch import Fetch
from janus_sim.policies.belt_ground import Ints

if TYPE_CHECKING:
    from janus_sim.workload.layer import RoutedLayer
    from janus_sim.workload.visit import Kernels


#: Sources, targets, the members they belong to, their places in the order of use, and their turn there.
Edges: TypeAlias = tuple[Ints, Ints, Ints, Ints, int]


@dataclass(frozen=True, eq=False)
class Run:
    """The tasks of one visit.

    Attributes
    ----------
    begins, ends : (n,) int64
        What waits for each member, and what is over when its experts are.
    joins : (n,) int64
        Over when the gradients of its experts are on their way home, or at home where it is the last; -1 for
        a forward.
    """

    begins: Ints
    ends: Ints
    joins: Ints


@dataclass(frozen=True)
class Experts:
    """Puts the experts of a visit on the belt."""

    fetch: Fetch
    layer: RoutedLayer
    gap: float

    def put(self) -> Run:
        """Put the visit on the belt for all members of its group, on rows of visits that are over."""
        with self.fetch.belt.block():
            return self._put()

    def _put(self) -> Run:
        ground, belt, layer = self.fetch.ground, self.fetch.belt, self.layer
        n, backward = len(ground.ranks), self.layer.phase == "backward"
        member, expert = ground.in_order(layer.useful > 0)
        rows = layer.useful[member, expert]
        label, kernels = (
            ("expert {} input", layer.input_gradient) if backward else ("expert {}", layer.kernel)
        )
        begins = belt.tasks(n, at.NOTHING, needs=1)
        kernel = belt.tasks(
            len(member), at.KERNEL, rank=ground.ranks[member], where=self._works(kernels, rows, self.gap),
            text=self.fetch.text(layer, label), expert=expert,
        )  # fmt: skip
        first = np.diff(member, prepend=-1) > 0
        previous = np.where(first, begins[member], np.roll(kernel, 1))
        ends = begins.copy()
        ends[member] = kernel  # the last of each stays
        place = ground.place[member, expert]
        edges: list[Edges] = [(previous, kernel, member, place, 0)]
        joins = np.full(n, -1)
        if backward:
            weights = self._weights(member, expert, rows)
            joins = self._gradients(member, expert, weights)
            edges.append((kernel, weights, member, place, 1))
        edges += self._let_go(begins, kernel, member, expert)
        self._connect(edges)
        self._arrivals(kernel, member, expert)
        return Run(begins, ends, joins)

    def _works(self, kernels: Callable[[int, int], Kernels], rows: Ints, gap: float) -> Ints:
        """Return the numbers of the kernels for so many rows each."""
        several, which = np.unique(rows, return_inverse=True)
        works = [self.fetch.belt.works.number(kernels(0, count), gap, 1.0) for count in several.tolist()]
        return np.array(works, dtype=np.int64)[which.ravel()]

    def _arrivals(self, kernel: Ints, member: Ints, expert: Ints) -> None:
        """Let each kernel wait for its expert."""
        pulls = self.fetch.pulled(self.layer).pulls[member, expert]
        comes = pulls >= 0
        self.fetch.belt.awaits(kernel[comes], pulls[comes])

    def _let_go(self, begins: Ints, kernel: Ints, member: Ints, expert: Ints) -> list[Edges]:
        """Give credits back after use; of an expert that came for nothing, when its turn has passed."""
        ground, belt, pulled = self.fetch.ground, self.fetch.belt, self.fetch.pulled(self.layer)
        holds = pulled.lets >= 0
        who, what = ground.in_order(holds)
        lets = pulled.lets[who, what]
        pulled.lets[holds] = -1  # only once
        belt.arrays["task"][lets, at.NEEDS] -= 1
        experts = len(ground.home)
        last = np.full((len(ground.ranks), experts + 1), -1)
        last[:, 0] = begins
        last[member, ground.place[member, expert] + 1] = kernel
        after = np.maximum.accumulate(np.where(last >= 0, np.arange(experts + 1), 0), axis=1)
        place = ground.place[who, what]
        source = last[who, after[who, place + 1]]
        return [(source, lets, who, place, 2)]

    def _connect(self, edges: list[Edges]) -> None:
        """Connect in the order in which each GPU comes to it."""
        sources, targets, member, place = (
            np.concatenate([one[column] for one in edges]) for column in range(4)
        )
        turn = np.repeat([one[4] for one in edges], [len(one[0]) for one in edges])
        order = np.lexsort((turn, place, member))
        self.fetch.belt.needs(targets[order], sources[order])

    def _weights(self, member: Ints, expert: Ints, rows: Ints) -> Ints:
        layer, fetch = self.layer, self.fetch
        return fetch.belt.tasks(
            len(member), at.KERNEL, rank=fetch.ground.ranks[member], expert=expert,
            where=self._works(layer.weight_gradient, rows, 0.0), text=fetch.text(layer, "expert {} weights"),
        )  # fmt: skip

    def _gradients(self, member: Ints, expert: Ints, weights: Ints) -> Ints:
        """Send each gradient home; if that is far, once a machine. Returns what joins those of a member."""
        ground, belt, policy = self.fetch.ground, self.fetch.belt, self.fetch.policy
        several = np.bincount(member, minlength=len(ground.ranks))
        joins = belt.tasks(len(ground.ranks), at.NOTHING, needs=several)
        rank, home, far = ground.ranks[member], ground.home[expert], ground.external[member, expert]
        holder = ground.holder[member, expert]
        meet = -1 - ground.machine[member] if policy.reduce == "host" else holder
        target = np.where(far, meet, home)
        last, sent = weights.copy(), np.flatnonzero(target != rank)
        last[sent] = pushes = self._flows(rank[sent], target[sent], expert[sent], "gradient {}", rank[sent])
        belt.needs(pushes, weights[sent])
        added = sent[(target[sent] >= 0)]
        adds = self._adds(target[added], expert[added])
        belt.needs(adds, last[added])
        last[added] = adds
        belt.arrays["task"][last, at.JOIN] = joins[member]
        self._home(np.flatnonzero(far), ground.machine[member], expert, meet, last)
        return joins

    def _home(self, far: Ints, machine: Ints, expert: Ints, meet: Ints, last: Ints) -> None:
        """The last of a machine sends the sum home."""
        ground, belt = self.fetch.ground, self.fetch.belt
        pairs, once, which = np.unique(
            machine[far] * len(ground.home) + expert[far], return_index=True, return_inverse=True
        )
        if not len(pairs):
            return
        what, where = expert[far[once]], machine[far[once]]
        homes = ground.home[what]
        sends = self._flows(meet[far[once]], homes, what, "gradient {} home", -1 - where)
        adds = self._adds(homes, what)
        meetings = belt.tasks(len(pairs), at.MEETING, where=adds)
        belt.needs(meetings[which.ravel()], last[far])
        belt.needs(sends, meetings)
        belt.needs(adds, sends)

    def _flows(self, source: Ints, target: Ints, expert: Ints, label: str, rank: Ints) -> Ints:
        where = self.fetch.paths(source, target, self.layer.gradient_bytes)
        text = self.fetch.text(self.layer, label)
        return self.fetch.belt.tasks(len(source), at.FLOW, where=where, text=text, expert=expert, rank=rank)

    def _adds(self, rank: Ints, expert: Ints) -> Ints:
        belt = self.fetch.belt
        work, text = (
            belt.works.number(self.layer.add(), 0.0, 1.0),
            self.fetch.text(self.layer, "add gradient {}"),
        )
        return belt.tasks(len(rank), at.KERNEL, rank=rank, where=work, text=text, expert=expert)
