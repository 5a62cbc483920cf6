"""The fluid state in time: flows join, are given their rates, and end."""

from __future__ import annotations

import numpy as np

from janus_sim.network import layout as at
from janus_sim.network.accounts import add_use
from janus_sim.network.compiled import Array, compiled
from janus_sim.network.filling import fill
from janus_sim.network.lanes import close_lane, enter, mark, open_lane, quit_lane
from janus_sim.network.sharing import repair


@compiled
def set_next(f: int, time: float, when: Array, soonest: Array) -> None:
    """Write when flow `f` starts or ends next; the minimum of its batch becomes unknown if it held it."""
    old, batch = when[f], f // at.BATCH
    when[f] = time
    if time <= soonest[batch]:
        soonest[batch] = time
    elif old == soonest[batch]:
        soonest[batch] = np.nan


@compiled
def next_event(head: Array, when: Array, soonest: Array) -> float:
    """The time of the next start or end if nothing else changes."""
    best = np.inf
    for batch in range((head[at.FLOWS] + at.BATCH - 1) // at.BATCH):
        if soonest[batch] != soonest[batch]:
            low = np.inf
            for f in range(batch * at.BATCH, (batch + 1) * at.BATCH):
                low = min(low, when[f])
            soonest[batch] = low
        best = min(best, soonest[batch])
    return best


@compiled
def touch(
    f: int, now: float, clock: Array, level: Array, lane: Array, route: Array, whole: Array, real: Array, when: Array,
    soonest: Array, link: Array, series: Array
) -> None:  # fmt: skip
    """Give a running flow the rate that the levels of its route say, if it is another one."""
    height = real[f, at.CAP]
    for hop in range(whole[f, at.HOPS]):
        height = min(height, level[route[f, hop]])
    if height == real[f, at.LEVEL]:
        return
    old = real[f, at.RATE]
    real[f, at.LEFT_OVER] = max(0.0, real[f, at.LEFT_OVER] - old * (now - real[f, at.SINCE]))
    real[f, at.SINCE] = now
    real[f, at.LEVEL] = height
    rate = height * real[f, at.WEIGHT] if height < np.inf else 0.0
    real[f, at.RATE] = rate
    if rate > 0.0:
        set_next(f, now + real[f, at.LEFT_OVER] / rate, when, soonest)
    else:
        set_next(f, now if height == np.inf else np.inf, when, soonest)
    for hop in range(whole[f, at.HOPS]):
        add_use(lane[route[f, hop], at.LINK], old, rate, now, clock, link, series)


@compiled
def settle(
    head: Array, clock: Array, route: Array, whole: Array, real: Array, when: Array, soonest: Array, lane: Array,
    share: Array, level: Array, link: Array, series: Array, pool: Array, work: Array, scratch: Array, joined: Array,
    heap: Array
) -> None:  # fmt: skip
    """Bring rates up to what has changed since the last time: starts, ends, capacities."""
    if head[at.DIRTY] == 0 and head[at.JOINED] == 0:
        return
    now = clock[at.NOW]
    many = head[at.JOINED] + head[at.LEFT]
    if (many > 16 and 4 * many > head[at.MOVING]) or not repair(
        head, lane, share, level, pool, route, whole, real, scratch, work
    ):
        for i in range(head[at.DIRTY]):
            lane[work[0, i], at.IS_DIRTY] = 0
        head[at.DIRTY] = 0
        fill(head, lane, share, level, link, pool, real, work[0], heap)
        for f in range(head[at.FLOWS]):
            if whole[f, at.STATE] == at.RUNNING:
                touch(f, now, clock, level, lane, route, whole, real, when, soonest, link, series)
    else:
        for i in range(head[at.JOINED]):
            if whole[joined[i], at.STATE] == at.RUNNING:
                touch(joined[i], now, clock, level, lane, route, whole, real, when, soonest, link, series)
        for i in range(head[at.CHANGED]):
            x = work[1, i]
            if level[x] != share[x, at.BEFORE]:
                for k in range(lane[x, at.COUNT]):
                    f = pool[lane[x, at.BLOCK] + k] >> at.HOP_BITS
                    touch(f, now, clock, level, lane, route, whole, real, when, soonest, link, series)
    for i in range(head[at.CHANGED]):
        lane[work[1, i], at.IS_CHANGED] = 0
    head[at.CHANGED], head[at.JOINED], head[at.LEFT] = 0, 0, 0


@compiled
def join(
    f: int, head: Array, clock: Array, route: Array, whole: Array, real: Array, when: Array, soonest: Array, lane: Array,
    share: Array, level: Array, link: Array, pool: Array, work: Array, joined: Array
) -> None:  # fmt: skip
    """A waiting flow starts: it enters the lanes of its route, its rate still to be found."""
    whole[f, at.STATE] = at.RUNNING
    real[f, at.SINCE], real[f, at.RATE], real[f, at.LEVEL] = clock[at.NOW], 0.0, 0.0
    set_next(f, np.inf, when, soonest)
    for hop in range(whole[f, at.HOPS]):
        x = open_lane(route[f, hop], whole[f, at.PRIORITY], head, lane, share, level, link, pool, work)
        enter(f, hop, x, real[f, at.WEIGHT], head, lane, share, pool, route)
        mark(x, head, lane, work)
    joined[head[at.JOINED]] = f
    head[at.JOINED] += 1
    head[at.MOVING] += 1


@compiled
def binding(f: int, level: Array, lane: Array, route: Array, whole: Array, real: Array) -> int:
    """The link that holds flow `f` back; -1 if it is its own cap or nothing."""
    low, found = real[f, at.CAP], -1
    for hop in range(whole[f, at.HOPS]):
        height = level[route[f, hop]]
        if height < low or (height == low < np.inf and found < 0):
            low, found = height, lane[route[f, hop], at.LINK]
    return int(found)


@compiled
def leave(
    f: int, head: Array, clock: Array, route: Array, whole: Array, real: Array, lane: Array, share: Array, level: Array,
    link: Array, series: Array, pool: Array, work: Array
) -> int:  # fmt: skip
    """A running flow ends: its lanes lose it, its links have carried it; the link that held it back."""
    found = binding(f, level, lane, route, whole, real)
    for hop in range(whole[f, at.HOPS]):
        target = lane[route[f, hop], at.LINK]
        link[target, at.CARRIED] += real[f, at.SIZE]
        add_use(target, real[f, at.RATE], 0.0, clock[at.NOW], clock, link, series)
        x = quit_lane(f, hop, real[f, at.WEIGHT], lane, share, pool, route)
        if lane[x, at.COUNT] == 0:
            close_lane(x, head, lane, share, level, link, pool, work)
        elif level[x] < np.inf or lane[x, at.BELOW] >= 0:
            mark(x, head, lane, work)
    head[at.LEFT] += 1
    head[at.MOVING] -= 1
    return found
