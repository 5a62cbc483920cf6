"""Repair of the max-min allocation after a change: waves of visits that die where nothing changes.

The fixed point. Each lane has a *level*, a rate a unit of weight; a flow moves at its weight times the lowest level on
its route (its rate cap is one more level). A lane's level is where its flows, each held by what the *other* lanes of
its route offer it, together fill what smaller priorities leave of the link; infinite if they cannot. If that holds in
every lane, each flow is held by a saturated lane in which no flow has more: the allocation is max-min fair, lane by
lane of each priority. A visit makes it hold for one lane and marks those for which it may have ceased to.
"""

from __future__ import annotations

import numpy as np

from janus_sim.network import layout as at
from janus_sim.network.compiled import Array, compiled
from janus_sim.network.lanes import mark, offer_below


@compiled
def gather(
    x: int, lane: Array, level: Array, pool: Array, route: Array, whole: Array, real: Array, scratch: Array
) -> tuple[float, float]:
    """What the other lanes offer to each flow of lane `x`; the sum of these rates and of the weights."""
    wanted, mass = 0.0, 0.0
    block = lane[x, at.BLOCK]
    for i in range(lane[x, at.COUNT]):
        f = pool[block + i] >> at.HOP_BITS
        low, second, lowest = np.inf, np.inf, -1
        for hop in range(whole[f, at.HOPS]):
            q = route[f, hop]
            if q != x:
                height = level[q]
                if height < low:
                    low, second, lowest = height, low, q
                elif height < second and q != lowest:
                    second = height
        cap, weight = real[f, at.CAP], real[f, at.WEIGHT]
        low = min(low, cap)
        scratch[i, at.OFFER], scratch[i, at.SECOND] = low, min(second, cap)
        scratch[i, at.LOWEST], scratch[i, at.MASS] = lowest, weight
        wanted += weight * low
        mass += weight
    return wanted, mass


@compiled
def pour(available: float, mass: float, count: int, scratch: Array) -> float:
    """The level at which flows, each held by its offer, together use `available`."""
    height = available / mass
    while True:
        held, free = 0.0, 0.0
        for i in range(count):
            if scratch[i, at.OFFER] <= height:
                held += scratch[i, at.MASS] * scratch[i, at.OFFER]
            else:
                free += scratch[i, at.MASS]
        higher = (available - held) / free if free > 0.0 else height
        if not higher > height:
            return height
        height = higher


@compiled
def alarm(
    x: int, old: float, new: float, head: Array, lane: Array, share: Array, level: Array, pool: Array, route: Array,
    whole: Array, scratch: Array, work: Array
) -> None:  # fmt: skip
    """Mark the lanes for which the change of the level of `x` may matter."""
    block = lane[x, at.BLOCK]
    for i in range(lane[x, at.COUNT]):
        f = pool[block + i] >> at.HOP_BITS
        if min(old, new) >= scratch[i, at.SECOND]:
            continue  # held elsewhere, before and after, in the eyes of every lane
        for hop in range(whole[f, at.HOPS]):
            q = route[f, hop]
            if q == x:
                continue
            other = scratch[i, at.SECOND] if q == scratch[i, at.LOWEST] else scratch[i, at.OFFER]
            was, now = min(other, old), min(other, new)
            if was == now or level[q] <= min(was, now):
                continue
            if level[q] == np.inf and lane[q, at.BELOW] < 0:
                if now < was:
                    continue  # USED stays an upper bound
                share[q, at.USED] += scratch[i, at.MASS] * (now - was)
                if share[q, at.USED] < share[q, at.AVAILABLE] * (1.0 - 1e-9):
                    continue
            mark(q, head, lane, work)


@compiled
def visit(
    x: int, head: Array, lane: Array, share: Array, level: Array, pool: Array, route: Array, whole: Array, real: Array,
    scratch: Array, work: Array
) -> None:  # fmt: skip
    """Give lane `x` its level, from what the others offer to its flows."""
    available, old, count = share[x, at.AVAILABLE], level[x], lane[x, at.COUNT]
    wanted, mass = gather(x, lane, level, pool, route, whole, real, scratch)
    new = np.inf
    if wanted > available * (1.0 + at.SAME):
        new = pour(available, mass, count, scratch)
        share[x, at.USED] = available
    else:
        share[x, at.USED] = min(wanted, available)
    if new == old or abs(new - old) <= at.SAME * old < np.inf:
        new = old
    else:
        if lane[x, at.IS_CHANGED] == 0:
            lane[x, at.IS_CHANGED] = 1
            share[x, at.BEFORE] = old
            work[1, head[at.CHANGED]] = x
            head[at.CHANGED] += 1
        level[x] = new
        alarm(x, old, new, head, lane, share, level, pool, route, whole, scratch, work)
    offer_below(x, head, lane, share, level, work)


@compiled
def lowest_dirty(head: Array, lane: Array, share: Array, level: Array, work: Array) -> int:
    """Take out the marked lane of the smallest priority, and among these of the lowest level."""
    best, best_key = 0, np.inf
    ranking = lane[work[0, 0], at.RANKING]
    for i in range(head[at.DIRTY]):
        x = work[0, i]
        key = level[x]
        if key == np.inf:
            key = share[x, at.AVAILABLE] / share[x, at.HEAVY]
        if lane[x, at.RANKING] < ranking or (lane[x, at.RANKING] == ranking and key < best_key):
            best, best_key, ranking = i, key, lane[x, at.RANKING]
    x = work[0, best]
    head[at.DIRTY] -= 1
    work[0, best] = work[0, head[at.DIRTY]]
    lane[x, at.IS_DIRTY] = 0
    return int(x)


@compiled
def repair(
    head: Array, lane: Array, share: Array, level: Array, pool: Array, route: Array, whole: Array, real: Array,
    scratch: Array, work: Array
) -> bool:  # fmt: skip
    """Visit lanes until none is marked; False if the waves would not die, which a filling must then answer."""
    patience = 8 * head[at.DIRTY] + 4 * head[at.LANES] + 64
    while head[at.DIRTY] > 0:
        x = lowest_dirty(head, lane, share, level, work)
        if lane[x, at.COUNT] == 0:
            continue
        visit(x, head, lane, share, level, pool, route, whole, real, scratch, work)
        head[at.VISITS] += 1
        patience -= 1
        if patience < 0:
            return False
    return True
