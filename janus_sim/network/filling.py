"""Progressive filling of the whole network, priority by priority: the allocation found anew."""

from __future__ import annotations

import heapq

import numpy as np
from numba import njit

from janus_sim.network import layout as at
from janus_sim.network.lanes import Array, rest


@njit(cache=True, error_model="numpy")
def height_of(
    x: int, lane: Array, share: Array, pool: Array, real: Array, fixed: Array
) -> float:
    """The level at which lane `x` would be full if all its flows not yet fixed rose together; infinite if none is left."""
    held, free = 0.0, 0.0
    block = lane[x, at.BLOCK]
    for i in range(lane[x, at.COUNT]):
        f = pool[block + i] >> at.HOP_BITS
        if fixed[f] >= 0.0:
            held += fixed[f] * real[f, at.WEIGHT]
        else:
            free += real[f, at.WEIGHT]
    if free == 0.0:
        share[x, at.USED] = min(held, share[x, at.AVAILABLE])
        return np.inf
    return max(share[x, at.AVAILABLE] - held, 0.0) / free


@njit(cache=True, error_model="numpy")
def fill_one(
    ranking: int, rows: Array, first: int, last: int, running: Array, lane: Array, share: Array, level: Array, link: Array,
    pool: Array, whole: Array, real: Array, fixed: Array
) -> None:  # fmt: skip
    """Fill the lanes rows[first:last], all those of one priority, from the lowest level up."""
    heap = [(0.0, -1)]
    heap.pop()
    for i in range(first, last):
        x = rows[i]
        above = lane[x, at.ABOVE]
        share[x, at.AVAILABLE] = rest(above, level, share) if above >= 0 else link[lane[x, at.LINK], at.CAPACITY]
        level[x] = np.inf
        heap.append((share[x, at.AVAILABLE] / share[x, at.HEAVY] * 0.5, x))  # HEAVY carries rounding errors
    for f in running:
        if whole[f, at.PRIORITY] == ranking and real[f, at.CAP] < np.inf:
            heap.append((real[f, at.CAP], -1 - f))
    heapq.heapify(heap)
    while len(heap) > 0:
        key, x = heapq.heappop(heap)
        if x < 0:
            f = -1 - x
            if fixed[f] < 0.0:
                fixed[f] = key
            continue
        height = height_of(x, lane, share, pool, real, fixed)
        if height > key * (1.0 + at.SAME):
            if height < np.inf:
                heapq.heappush(heap, (height, x))
            continue
        height = max(height, key)
        if height == np.inf:
            continue
        level[x] = height
        share[x, at.USED] = share[x, at.AVAILABLE]
        for i in range(lane[x, at.COUNT]):
            f = pool[lane[x, at.BLOCK] + i] >> at.HOP_BITS
            if fixed[f] < 0.0:
                fixed[f] = height
    for i in range(first, last):  # lanes that never filled, with what their flows use in the end
        if level[rows[i]] == np.inf:
            height_of(rows[i], lane, share, pool, real, fixed)


@njit(cache=True, error_model="numpy")
def fill(
    head: Array, lane: Array, share: Array, level: Array, link: Array, pool: Array, whole: Array, real: Array
) -> None:
    """Give every lane its level from nothing but capacities, priorities, weights and caps."""
    fixed = np.full(head[at.FLOWS], -1.0)
    running = np.flatnonzero(whole[: head[at.FLOWS], at.STATE] == at.RUNNING)
    rows = np.flatnonzero(lane[: head[at.LANES], at.COUNT] > 0)
    order = np.argsort(lane[rows, at.RANKING], kind="mergesort")
    rows = rows[order]
    first = 0
    while first < len(rows):
        ranking = lane[rows[first], at.RANKING]
        last = first
        while last < len(rows) and lane[rows[last], at.RANKING] == ranking:
            last += 1
        fill_one(ranking, rows, first, last, running, lane, share, level, link, pool, whole, real, fixed)
        first = last
    head[at.FILLINGS] += 1
