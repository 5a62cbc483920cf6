"""Progressive filling of the whole network, priority by priority: the allocation found anew."""

from __future__ import annotations

import numpy as np

from janus_sim.network import layout as at
from janus_sim.network.accounts import move
from janus_sim.network.compiled import Array, inner
from janus_sim.network.events import set_next
from janus_sim.network.lanes import bring, exchange, feel, rest
from janus_sim.network.owners import height
from janus_sim.network.sharing import schedule


@inner
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


@inner
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


@inner
def full_at(x: int, lane: Array, share: Array, pool: Array, mass: Array, real: Array) -> float:
    """The level at which lane `x` is full if its flows not yet fixed rise together; infinite if none is left."""
    held, free = 0.0, 0.0
    for i in range(lane[x, at.BLOCK], lane[x, at.BLOCK] + lane[x, at.COUNT]):
        fixed = real[pool[i] >> at.HOP_BITS, at.FIXED]
        if fixed >= 0.0:
            held += fixed * mass[i]
        else:
            free += mass[i]
    return max(share[x, at.AVAILABLE] - held, 0.0) / free if free > 0.0 else np.inf


@inner
def line_up(
    rows: Array, number: int, lane: Array, share: Array, level: Array, link: Array, pool: Array, mass: Array, real: Array,
    heap: Array
) -> int:  # fmt: skip
    """Put the lanes of one priority, and the caps of their flows, into a heap by the level at which each may bind."""
    count = 0
    for i in range(number):
        x = rows[i]
        above, block = lane[x, at.ABOVE], lane[x, at.BLOCK]
        share[x, at.AVAILABLE] = (
            rest(above, lane, share) if above >= 0 else link[lane[x, at.LINK], at.CAPACITY]
        )
        level[x] = np.inf
        for k in range(block, block + lane[x, at.COUNT]):
            f = pool[k] >> at.HOP_BITS
            real[f, at.FIXED] = -1.0
            if pool[k] == f << at.HOP_BITS and real[f, at.CAP] < np.inf:  # once, at its first hop
                count = push(real[f, at.CAP], -1 - f, count, heap)
    for i in range(number):
        count = push(full_at(rows[i], lane, share, pool, mass, real), rows[i], count, heap)
    return count


@inner
def fill_one(
    rows: Array, number: int, lane: Array, share: Array, level: Array, link: Array, pool: Array, mass: Array, whole: Array,
    real: Array, heap: Array
) -> None:  # fmt: skip
    """Fill the lanes of one priority from the lowest level up; a lane's turn may come later than it seemed."""
    count = line_up(rows, number, lane, share, level, link, pool, mass, real, heap)
    while count > 0:
        key, x = heap[0, 0], int(heap[0, 1])
        count = pop(count, heap)
        if x < 0:
            if real[-1 - x, at.FIXED] < 0.0:
                real[-1 - x, at.FIXED], whole[-1 - x, at.OWNER] = key, -1
            continue
        v = full_at(x, lane, share, pool, mass, real)
        if v == np.inf:
            continue
        if v > key * (1.0 + at.SAME):
            count = push(v, x, count, heap)
            continue
        level[x] = max(v, key)
        for i in range(lane[x, at.BLOCK], lane[x, at.BLOCK] + lane[x, at.COUNT]):
            f = pool[i] >> at.HOP_BITS
            if real[f, at.FIXED] < 0.0:
                real[f, at.FIXED], whole[f, at.OWNER] = level[x], x


@inner
def rebuild(
    x: int, now: float, lane: Array, share: Array, level: Array, pool: Array, mass: Array, left: Array, route: Array,
    whole: Array, real: Array, due: Array, imminent: Array
) -> None:  # fmt: skip
    """Put the flows that lane `x` owns after a filling first in its list, and sum up the others."""
    own, used = 0, 0.0
    share[x, at.OWN_MASS], share[x, at.CEILING], share[x, at.SLOP], share[x, at.UP_TO] = 0.0, 0.0, 0.0, now
    for i in range(lane[x, at.COUNT]):
        f = pool[lane[x, at.BLOCK] + i] >> at.HOP_BITS
        if whole[f, at.OWNER] == x:
            exchange(x, i, own, lane, pool, mass, left, route)
            left[lane[x, at.BLOCK] + own] = real[f, at.LEFT_OVER]
            share[x, at.OWN_MASS] += mass[lane[x, at.BLOCK] + own]
            own += 1
        else:
            used += mass[lane[x, at.BLOCK] + i] * real[f, at.FIXED]
            share[x, at.CEILING] = max(share[x, at.CEILING], real[f, at.FIXED])
    lane[x, at.OWN] = own
    share[x, at.SPARE] = share[x, at.AVAILABLE] - used
    schedule(x, now, lane, level, left, due, imminent)


@inner
def lay_down(
    head: Array,
    now: float,
    lane: Array,
    share: Array,
    level: Array,
    pool: Array,
    left: Array,
    whole: Array,
    real: Array,
) -> None:
    """Write beside each running flow what it has left and at which level it was counted."""
    for x in range(head[at.LANES]):
        if lane[x, at.COUNT] > 0:
            bring(x, now, lane, share, level, left)
            for i in range(lane[x, at.BLOCK], lane[x, at.BLOCK] + lane[x, at.OWN]):
                real[pool[i] >> at.HOP_BITS, at.LEFT_OVER] = left[i]
    for f in range(head[at.FLOWS]):
        if whole[f, at.STATE] == at.RUNNING:
            real[f, at.COUNTED] = height(f, level, whole, real)
            if whole[f, at.OWNER] < 0 and now > real[f, at.SINCE]:
                to_go = real[f, at.LEFT_OVER] - real[f, at.CAP] * (now - real[f, at.SINCE])
                real[f, at.LEFT_OVER] = max(0.0, to_go)
            real[f, at.SINCE] = now


@inner
def take_up(
    head: Array,
    now: float,
    lane: Array,
    link: Array,
    route: Array,
    whole: Array,
    real: Array,
    when: Array,
    soonest: Array,
) -> None:
    """After a filling: when flows held by their own cap end, and which flows have begun to move or stopped."""
    for f in range(head[at.FLOWS]):
        if whole[f, at.STATE] != at.RUNNING or whole[f, at.HOPS] == 0:
            continue
        fixed = real[f, at.FIXED]
        ends = whole[f, at.OWNER] < 0 and fixed > 0.0
        set_next(f, now + real[f, at.LEFT_OVER] / fixed if ends else np.inf, when, soonest)
        if (fixed > 0.0) != (real[f, at.COUNTED] > 0.0):
            move(f, fixed > 0.0, now, lane, link, route, whole)


@inner
def fill(
    head: Array, clock: Array, lane: Array, share: Array, level: Array, link: Array, pool: Array, mass: Array, left: Array,
    route: Array, whole: Array, real: Array, when: Array, soonest: Array, due: Array, imminent: Array, work: Array,
    heap: Array
) -> None:  # fmt: skip
    """Give every lane its level and every flow its owner from nothing but capacities, priorities, weights and caps."""
    now, rows = clock[at.NOW], work[0]
    lay_down(head, now, lane, share, level, pool, left, whole, real)
    for i in range(head[at.DIRTY]):
        lane[work[0, i], at.IS_DIRTY] = 0
    head[at.DIRTY] = 0
    begun, more, ranking = False, True, 0
    while more:
        more, lowest, number = False, 0, 0
        for x in range(head[at.LANES]):
            if lane[x, at.COUNT] > 0 and (not begun or lane[x, at.RANKING] > ranking):
                if not more or lane[x, at.RANKING] < lowest:
                    more, lowest, number = True, lane[x, at.RANKING], 0
                if lane[x, at.RANKING] == lowest:
                    rows[number] = x
                    number += 1
        fill_one(rows, number, lane, share, level, link, pool, mass, whole, real, heap)
        for i in range(number):
            rebuild(
                rows[i], now, lane, share, level, pool, mass, left, route, whole, real, due, imminent
            )  # fmt: skip
            feel(rows[i], head, lane, work)
        begun, ranking = True, lowest
    take_up(head, now, lane, link, route, whole, real, when, soonest)
    head[at.FILLINGS] += 1
