"""Blocks of the pool: runs of 2**kind entries, in one free list for each kind."""

from __future__ import annotations

from janus_sim.network import views
from janus_sim.network.compiled import Record, inner


@inner
def take_block(kind: int, net: Record) -> int:
    """First entry of a free block."""
    free = views.blocks(net)
    block = int(free[kind])
    if block >= 0:
        free[kind] = views.who(net)[block]
        return block
    block = int(net.pool_top)
    net.pool_top += 1 << kind
    net.largest = max(net.largest, 1 << kind)
    return block


@inner
def give_block(block: int, kind: int, net: Record) -> None:
    """Put a block back into its free list."""
    free = views.blocks(net)
    views.who(net)[block] = free[kind]
    free[kind] = block


@inner
def widen(x: int, net: Record) -> None:
    """Give the entries of lane `x` a block of twice the room."""
    lane, who, tag, entries = views.lanes(net)[x], views.who(net), views.tags(net), views.entries(net)
    old, new = lane.block, take_block(lane.kind + 1, net)
    for i in range(lane.count):
        who[new + i], tag[new + i] = who[old + i], tag[old + i]
        for k in range(entries.shape[1]):
            entries[new + i, k] = entries[old + i, k]
    give_block(old, lane.kind, net)
    lane.block, lane.kind = new, lane.kind + 1
