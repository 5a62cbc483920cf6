"""Blocks of the pool: runs of entries, a power of two long, in one free list for each length."""

from __future__ import annotations

from janus_sim.network import views
from janus_sim.network.compiled import Record, inner


@inner
def take_block(room: int, net: Record) -> int:
    """First entry of a free block of `room` pool entries, a power of two."""
    kind, free = 0, views.blocks(net)
    while 1 << kind < room:
        kind += 1
    block = int(free[kind])
    if block >= 0:
        free[kind] = views.who(net)[block]
        return block
    block = int(net.pool_top)
    net.pool_top += room
    net.largest = max(net.largest, room)
    return block


@inner
def give_block(block: int, room: int, net: Record) -> None:
    """Put a block back into its free list."""
    kind, free = 0, views.blocks(net)
    while 1 << kind < room:
        kind += 1
    views.who(net)[block] = free[kind]
    free[kind] = block


@inner
def widen(x: int, net: Record) -> None:
    """Give the entries of lane `x` a block of twice the room."""
    lane, who, keeper, other = views.lanes(net)[x], views.who(net), views.keeper(net), views.other(net)
    mass, tag, others = views.masses(net), views.tags(net), net.others
    old, room = lane.block, lane.room
    new = take_block(2 * room, net)
    for i in range(lane.count):
        who[new + i], keeper[new + i] = who[old + i], keeper[old + i]
        for k in range(others):
            other[(new + i) * others + k] = other[(old + i) * others + k]
        mass[new + i], tag[new + i] = mass[old + i], tag[old + i]
    give_block(old, room, net)
    lane.block, lane.room = new, 2 * room
