"""The fluid state in time: flows join, are given their rates, and leave."""

from __future__ import annotations

import numpy as np

from janus_sim.network import layout as at
from janus_sim.network.accounts import move, note_use
from janus_sim.network.compiled import Array, inner
from janus_sim.network.events import set_next
from janus_sim.network.filling import fill
from janus_sim.network.lanes import close_lane, enter, mark, open_lane, quit_lane
from janus_sim.network.owners import disown, height, spend, transfer
from janus_sim.network.sharing import repair


@inner
def settle(
    head: Array, clock: Array, route: Array, whole: Array, real: Array, when: Array, soonest: Array, lane: Array,
    share: Array, level: Array, due: Array, imminent: Array, link: Array, series: Array, pool: Array, mass: Array,
    left: Array, work: Array, heap: Array
) -> None:  # fmt: skip
    """Bring rates up to what has changed since the last time: starts, ends, capacities."""
    if head[at.DIRTY] == 0 and head[at.TOUCHED] == 0:
        return
    many = head[at.BUSTLE]
    if (many > 16 and 4 * many > head[at.MOVING]) or not repair(
        head,
        clock,
        lane,
        share,
        level,
        link,
        pool,
        mass,
        left,
        route,
        whole,
        real,
        when,
        soonest,
        due,
        imminent,
        work,
    ):
        fill(
            head, clock, lane, share, level, link, pool, mass, left, route, whole, real, when, soonest, due, imminent, work,
            heap
        )  # fmt: skip
    for i in range(head[at.TOUCHED]):
        x = work[1, i]
        lane[x, at.IS_TOUCHED] = 0
        if series.shape[1] > 0:
            note_use(lane[x, at.LINK], clock, lane, share, link, series)
        if lane[x, at.COUNT] == 0:
            set_next(x, np.inf, due, imminent)
            lane[x, at.BELOW] = head[at.FREE_LANE]
            head[at.FREE_LANE] = x
    head[at.TOUCHED], head[at.BUSTLE] = 0, 0


@inner
def likely_owner(f: int, lane: Array, share: Array, route: Array, whole: Array, real: Array) -> int:
    """The lane that will probably hold a new flow back, or -1 for its cap: the lowest level as things stand."""
    best, low, weight = -1, real[f, at.CAP], real[f, at.WEIGHT]
    for hop in range(whole[f, at.HOPS]):
        q = route[f, hop]
        guess = max(share[q, at.SPARE], 0.0) / (share[q, at.OWN_MASS] + weight)
        if guess < low:
            best, low = q, guess
    return int(best)


@inner
def join(
    f: int, head: Array, clock: Array, route: Array, whole: Array, real: Array, when: Array, soonest: Array, lane: Array,
    share: Array, level: Array, link: Array, pool: Array, mass: Array, left: Array, work: Array
) -> None:  # fmt: skip
    """A waiting flow starts: it enters the lanes of its route and is given an owner, not yet the right one perhaps."""
    now = clock[at.NOW]
    for hop in range(whole[f, at.HOPS]):
        x = open_lane(route[f, hop], whole[f, at.PRIORITY], now, head, lane, share, level, link, pool, work)
        enter(f, hop, x, real[f, at.WEIGHT], head, lane, pool, mass, left, route)
    whole[f, at.STATE], whole[f, at.OWNER] = at.RUNNING, -1
    real[f, at.LEFT_OVER], real[f, at.SINCE] = real[f, at.SIZE] / real[f, at.WEIGHT], now
    owner = likely_owner(f, lane, share, route, whole, real)
    transfer(
        f, 0.0, owner, head, clock, lane, share, level, link, pool, mass, left, route, whole, real, when, soonest, work
    )  # fmt: skip
    head[at.BUSTLE] += 1
    head[at.MOVING] += 1


@inner
def leave(
    f: int, head: Array, clock: Array, route: Array, whole: Array, real: Array, lane: Array, share: Array, level: Array,
    link: Array, pool: Array, mass: Array, left: Array, work: Array
) -> int:  # fmt: skip
    """A running flow ends: its lanes lose it, its links have carried it; the link that held it back, or -1."""
    now, owner, last = clock[at.NOW], whole[f, at.OWNER], height(f, level, whole, real)
    if last > 0.0:
        move(f, False, now, lane, link, route, whole)
    if owner >= 0:
        disown(f, owner, now, lane, share, level, pool, mass, left, route, whole)
        mark(owner, head, lane, work)
    for hop in range(whole[f, at.HOPS]):
        q = route[f, hop]
        link[lane[q, at.LINK], at.CARRIED] += real[f, at.SIZE]
        if q != owner:
            spend(q, -last * real[f, at.WEIGHT], head, lane, share, work)
        quit_lane(f, hop, lane, pool, mass, left, route)
    for hop in range(whole[f, at.HOPS]):
        q = route[f, hop]
        if lane[q, at.COUNT] == 0 and route[f, hop + route.shape[1] // 2] >= 0:
            close_lane(q, head, lane, share, level, link, pool, work)
    head[at.BUSTLE] += 1
    head[at.MOVING] -= 1
    return int(lane[owner, at.LINK]) if owner >= 0 else -1
