"""Progressive filling of the whole network, priority by priority: the allocation found anew."""

from __future__ import annotations

import numpy as np

from janus_sim.network import layout as at
from janus_sim.network.compiled import Array, compiled
from janus_sim.network.lanes import rest


@compiled
def push(key: float, item: int, count: int, heap: Array) -> int:
    """Put an item into a binary heap of `count` rows (key, item); the new count."""
    i = count
    while i > 0:
        parent = (i - 1) // 2
        if heap[parent, 0] <= key:
            break
        heap[i, 0], heap[i, 1] = heap[parent, 0], heap[parent, 1]
        i = parent
    heap[i, 0], heap[i, 1] = key, item
    return count + 1


@compiled
def pop(count: int, heap: Array) -> int:
    """Remove the row of the lowest key, which the caller has read; the new count."""
    count -= 1
    key, item, i = heap[count, 0], heap[count, 1], 0
    while True:
        child = 2 * i + 1
        if child >= count:
            break
        if child + 1 < count and heap[child + 1, 0] < heap[child, 0]:
            child += 1
        if heap[child, 0] >= key:
            break
        heap[i, 0], heap[i, 1] = heap[child, 0], heap[child, 1]
        i = child
    heap[i, 0], heap[i, 1] = key, item
    return count


@compiled
def height_of(x: int, lane: Array, share: Array, pool: Array, real: Array) -> float:
    """The level at which lane `x` is full if its flows not yet fixed rise together; infinite if none is left."""
    held, free = 0.0, 0.0
    block = lane[x, at.BLOCK]
    for i in range(lane[x, at.COUNT]):
        f = pool[block + i] >> at.HOP_BITS
        if real[f, at.FIXED] >= 0.0:
            held += real[f, at.FIXED] * real[f, at.WEIGHT]
        else:
            free += real[f, at.WEIGHT]
    if free == 0.0:
        share[x, at.USED] = min(held, share[x, at.AVAILABLE])
        return np.inf
    return max(share[x, at.AVAILABLE] - held, 0.0) / free


@compiled
def open_lanes(
    rows: Array, number: int, lane: Array, share: Array, level: Array, link: Array, pool: Array, real: Array, heap: Array
) -> int:
    """Line up the lanes of one priority, and the caps of their flows, by the level at which each binds first."""
    count = 0
    for i in range(number):
        x = rows[i]
        above, block = lane[x, at.ABOVE], lane[x, at.BLOCK]
        share[x, at.AVAILABLE] = rest(above, level, share) if above >= 0 else link[lane[x, at.LINK], at.CAPACITY]
        level[x] = np.inf
        for k in range(lane[x, at.COUNT]):
            f = pool[block + k] >> at.HOP_BITS
            real[f, at.FIXED] = -1.0
            if pool[block + k] == f << at.HOP_BITS and real[f, at.CAP] < np.inf:  # once, at its first hop
                count = push(real[f, at.CAP], -1 - f, count, heap)
    for i in range(number):
        x = rows[i]
        count = push(height_of(x, lane, share, pool, real), x, count, heap)
    return count


@compiled
def fill_one(
    rows: Array, number: int, lane: Array, share: Array, level: Array, link: Array, pool: Array, real: Array, heap: Array
) -> None:
    """Fill the lanes of one priority from the lowest level up; a lane's turn may come later than it seemed."""
    count = open_lanes(rows, number, lane, share, level, link, pool, real, heap)
    while count > 0:
        key, x = heap[0, 0], int(heap[0, 1])
        count = pop(count, heap)
        if x < 0:
            if real[-1 - x, at.FIXED] < 0.0:
                real[-1 - x, at.FIXED] = key
            continue
        height = height_of(x, lane, share, pool, real)
        if height == np.inf:
            continue
        if height > key * (1.0 + at.SAME):
            count = push(height, x, count, heap)
            continue
        height = max(height, key)
        level[x] = height
        share[x, at.USED] = share[x, at.AVAILABLE]
        for i in range(lane[x, at.COUNT]):
            f = pool[lane[x, at.BLOCK] + i] >> at.HOP_BITS
            if real[f, at.FIXED] < 0.0:
                real[f, at.FIXED] = height
    for i in range(number):  # lanes that never filled, with what their flows use in the end
        if level[rows[i]] == np.inf:
            height_of(rows[i], lane, share, pool, real)


@compiled
def fill(
    head: Array, lane: Array, share: Array, level: Array, link: Array, pool: Array, real: Array, rows: Array, heap: Array
) -> None:
    """Give every lane its level from nothing but capacities, priorities, weights and caps."""
    done, more = 0, True
    ranking = 0
    while more:
        more, lowest, number = False, 0, 0
        for x in range(head[at.LANES]):
            if lane[x, at.COUNT] > 0 and (done == 0 or lane[x, at.RANKING] > ranking):
                if not more or lane[x, at.RANKING] < lowest:
                    more, lowest, number = True, lane[x, at.RANKING], 0
                if lane[x, at.RANKING] == lowest:
                    rows[number] = x
                    number += 1
        if more:
            fill_one(rows, number, lane, share, level, link, pool, real, heap)
            done, ranking = done + 1, lowest
    head[at.FILLINGS] += 1
