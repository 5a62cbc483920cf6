"""Pulls of a layer on the belt: what `_fetch`, `_bring` and `_stage` of `DataCentric` say, for a group."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from janus_sim.engine.belt import layout as at
from janus_sim.policies.base import towards
from janus_sim.policies.belt_ground import Bools, Ground, Ints, device

if TYPE_CHECKING:
    from janus_sim.engine.belt.belt import Belt
    from janus_sim.engine.gpu import Gpu
    from janus_sim.policies.data_centric import DataCentric
    from janus_sim.workload.layer import MoELayer


@dataclass(frozen=True, eq=False)
class Pulled:
    """The tasks that bring experts to GPUs, and those that give their credits back; -1 where there is none.

    Attributes
    ----------
    asks, pulls, lets : (n, E) int64
        Takes a credit and a place in flight; brings the expert; gives the credit back when all have let go.
    """

    asks: Ints
    pulls: Ints
    lets: Ints

    @classmethod
    def none(cls, ground: Ground) -> Pulled:
        """Return no tasks yet."""
        asks, pulls, lets = (np.full(ground.order.shape, -1) for _ in range(3))
        return cls(asks, pulls, lets)


@dataclass
class Fetch:
    """Puts the pulls of visits on the belt.

    Attributes
    ----------
    room : int
        Credits of a GPU.
    last : dict
        The last asking task of each member with prefetch, behind which those of the next visit stand.
    """

    policy: DataCentric
    belt: Belt
    gpu: Gpu
    ground: Ground
    room: int
    last: dict[int, int] = field(default_factory=dict)

    def put(self, layer: MoELayer, wanted: Bools, priority: int) -> Ints:
        """Put on the belt what is wanted (n, E) and not on its way; return who asks first, by member."""
        ground, belt, rank = self.ground, self.belt, self.ground.ranks
        pulled = self.pulled(layer)
        new = wanted & (ground.home[None, :] != rank[:, None]) & (pulled.pulls < 0)
        member, expert = ground.in_order(new)
        if not len(member):
            return np.full(len(rank), -1)
        copier = ground.copiers(self._switches(layer) if self.policy.pcie_split else [], wanted)
        copies = copier[member, expert] == member
        source = np.where(copies, ground.source[member, expert], rank[copier[member, expert]])
        room = belt.pools([("room", one) for one in rank.tolist()], self.room)[member]
        slot = belt.pools([("in flight", one) for one in rank.tolist()], self.policy.in_flight)[member]
        asks = belt.tasks(len(member), at.NOTHING, pool=room, second=slot)
        here = source == rank[member]
        pulls = belt.tasks(
            len(member), np.where(here, at.NEWS, at.FLOW), rank=rank[member], gives=slot, priority=priority,
            where=self.paths(source, rank[member], layer.weight_bytes), text=self.text(layer, "expert {}"),
            expert=expert,
        )  # fmt: skip
        lets = belt.tasks(len(member), at.NOTHING, gives=room, needs=1)  # until its users are on the belt
        for table, tasks in zip((pulled.asks, pulled.pulls, pulled.lets), (asks, pulls, lets), strict=True):
            table[member, expert] = tasks
        belt.needs(pulls, asks)  # first, so that a GPU pulls before it asks again
        first = self._one_by_one(member, asks)
        staged = copies & ground.external[member, expert]
        stages = self.stages(layer, priority, member[staged], expert[staged])
        belt.awaits(pulls[staged], stages)
        handed = np.flatnonzero(~copies)
        theirs = (copier[member[handed], expert[handed]], expert[handed])
        belt.awaits(pulls[handed], pulled.pulls[theirs])
        belt.needs(pulled.lets[theirs], pulls[handed])
        belt.awaits(lets, pulls)
        return first

    def _one_by_one(self, member: Ints, asks: Ints) -> Ints:
        """Let the askers of one GPU ask one after another; return the first of each, -1 for none."""
        first = np.full(len(self.ground.ranks), -1)
        begins = np.flatnonzero(np.diff(member, prepend=-1))
        first[member[begins]] = asks[begins]
        follows = np.ones(len(member), dtype=bool)
        follows[begins] = False
        self.belt.needs(asks[follows], asks[np.flatnonzero(follows) - 1])
        if self.policy.prefetch:
            ends = np.append(begins[1:], len(member)) - 1
            behind = [(asks[b], self.last[m]) for b, m in zip(begins, member[begins].tolist(), strict=True)
                      if m in self.last]  # fmt: skip
            if behind:
                self.belt.needs(*(np.array(column) for column in zip(*behind, strict=True)))
            for end in ends.tolist():
                if int(member[end]) in self.last:
                    first[member[end]] = -1
                self.last[int(member[end])] = int(asks[end])
        return first

    def stages(self, layer: MoELayer, priority: int, member: Ints, expert: Ints) -> Ints:
        """Return the tasks that bring external experts into the machines of members, put there if new."""
        ground, belt = self.ground, self.belt
        table = self.staged(layer)
        machine = ground.machine[member]
        new = np.flatnonzero(table[machine, expert] < 0)
        pairs, once = np.unique(machine[new] * len(ground.home) + expert[new], return_index=True)
        if len(pairs):
            who, what = member[new[once]], expert[new[once]]
            home = ground.home[what]
            nics = [self.gpu.nic_of(one) for one in home.tolist()]
            nic = np.array(nics) + 1000 * ground.machine[who]
            pool = belt.pools([("nic", one) for one in nic.tolist()], self.policy.in_flight)
            table[ground.machine[who], what] = belt.tasks(
                len(who), at.FLOW, rank=-1 - ground.machine[who], pool=pool, gives=pool, priority=priority,
                needs=1, where=self.paths(home, ground.source[who, what], layer.weight_bytes),
                text=self.text(layer, "stage expert {}"), expert=what,
            )  # fmt: skip
        return table[machine, expert]

    def pulled(self, layer: MoELayer) -> Pulled:
        """Return the tasks that bring the experts of a layer, or of a visit, to GPUs."""
        key = ("pulled", self.policy._key(layer, 0), layer.group[0])
        return self.belt.recall(key, lambda: Pulled.none(self.ground))

    def staged(self, layer: MoELayer) -> Ints:
        """Return the staging tasks (machines, E), -1 where there is none, of a layer or of a visit."""
        key, shape = self.policy._cached(layer), (self.gpu.machines, layer.experts)
        return self.belt.recall(("staged", key, layer.group[0]), lambda: np.full(shape, -1))

    def paths(self, source: Ints, target: Ints, size: int) -> Ints:
        """Return the numbers of the ways between devices; 0 from a device to itself."""
        hosts = self.gpu.machines  # so many numbers are below 0
        devices = hosts + int(target.max(initial=0)) + 1
        pairs, place = np.unique(source * devices + target + hosts, return_inverse=True)
        ways = [
            self.belt.path(device(one), device(other), size) if one != other else 0
            for one, other in zip(
                (pairs // devices).tolist(), (pairs % devices - hosts).tolist(), strict=True
            )
        ]
        return np.array(ways, dtype=np.int64)[place]

    def text(self, layer: MoELayer, label: str) -> int:
        """Return the number of what spans of a visit say."""
        return self.belt.text(towards(self.gpu, layer).place, label)

    def _switches(self, layer: MoELayer) -> list[list[int]]:
        """Return the members under each PCIe switch, as places in the group."""
        places = {rank: place for place, rank in enumerate(layer.group)}
        switches = dict.fromkeys(self.gpu.peers[rank].switch for rank in layer.group)
        return [[places[rank] for rank in switch if rank in places] for switch in switches]
