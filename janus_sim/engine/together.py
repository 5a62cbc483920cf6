"""The relatives of all-reduce: all members start them together and leave them together."""

from __future__ import annotations

from typing import ClassVar

from janus_sim.engine.exchange import AllReduce
from janus_sim.engine.pairs import Lines, Word
from janus_sim.engine.rings import Pairs, ring_all_gather, ring_broadcast
from janus_sim.engine.trees import tree_broadcast


class AllGather(AllReduce):
    """Give all members the parts of all: `load` bytes in all, along rings."""

    kind: ClassVar[Word] = "all_gather"
    _lines: ClassVar[Lines] = "ring"

    def _pairs(self, machines: list[int], load: int) -> Pairs:
        return ring_all_gather(machines, load)


class ReduceScatter(AllGather):
    """Sum a buffer of `load` bytes and leave each member its part, along rings."""

    kind: ClassVar[Word] = "reduce_scatter"


class Broadcast(AllReduce):
    """Give all members the `load` bytes of the first of them, along rings or down a tree."""

    kind: ClassVar[Word] = "broadcast"
    _lines: ClassVar[Lines] = "ring"

    def _pairs(self, machines: list[int], load: int) -> Pairs:
        if self.fabric.topology.spec.communication.algorithms.broadcast == "tree":
            return tree_broadcast(machines, load, root=0)
        return ring_broadcast(machines, load, root=0)
