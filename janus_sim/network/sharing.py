"""Repair of the max-min allocation after a change: waves of visits that die where nothing changes.

The allocation is max-min fair, priority by priority, where each lane that owns flows has the level at which these
use up what it has to spare, no other lane is overloaded, and each flow is owned by the lane of the lowest level on its
route (its rate cap is one more level). A change breaks this on its own route only. A visit mends one lane, the
lowest first, and marks the lanes that it may have broken.
"""

from __future__ import annotations

import numpy as np

from janus_sim.network import layout as at
from janus_sim.network.accounts import move
from janus_sim.network.compiled import Array, inner
from janus_sim.network.events import set_next
from janus_sim.network.lanes import bring, feel, grant, rest
from janus_sim.network.owners import counted, height, spend, transfer


@inner
def sum_anew(
    x: int, lane: Array, share: Array, level: Array, pool: Array, mass: Array, whole: Array, real: Array
) -> None:
    """Weigh the own flows of lane `x`; find what it has to spare anew if changes have worn its digits away."""
    block, own_mass = lane[x, at.BLOCK], 0.0
    for i in range(block, block + lane[x, at.OWN]):
        own_mass += mass[i]
    share[x, at.OWN_MASS] = own_mass
    if share[x, at.SLOP] <= at.TIRED * abs(share[x, at.SPARE]):
        return
    used = 0.0
    for i in range(block + lane[x, at.OWN], block + lane[x, at.COUNT]):
        used += mass[i] * height(pool[i] >> at.HOP_BITS, level, whole, real)
    share[x, at.SPARE], share[x, at.SLOP] = share[x, at.AVAILABLE] - used, 0.0


@inner
def aim(
    x: int,
    start: float,
    lane: Array,
    share: Array,
    level: Array,
    pool: Array,
    mass: Array,
    whole: Array,
    real: Array,
) -> float:
    """The level of lane `x` if every flow above that level were its own; `start` is a level below, or negative.

    Newton's method on a concave function from below: rises to the answer in a few steps. Writes the new ceiling.
    """
    block, end, v = lane[x, at.BLOCK] + lane[x, at.OWN], lane[x, at.BLOCK] + lane[x, at.COUNT], start
    while True:
        spare, weight, ceiling = share[x, at.AVAILABLE], share[x, at.OWN_MASS], 0.0
        for i in range(block, end):
            other = height(pool[i] >> at.HOP_BITS, level, whole, real)
            if other > v * (1.0 + at.SAME):
                weight += mass[i]
            else:
                spare -= mass[i] * other
                ceiling = max(ceiling, other)
        share[x, at.CEILING] = ceiling
        higher = max(spare, 0.0) / weight if weight > 0.0 else v
        if not higher > v * (1.0 + 1e-15):
            return v
        v = higher


@inner
def take_in(
    x: int, v: float, head: Array, clock: Array, lane: Array, share: Array, level: Array, link: Array, pool: Array,
    mass: Array, left: Array, route: Array, whole: Array, real: Array, when: Array, soonest: Array, work: Array
) -> None:  # fmt: skip
    """Make the foreign flows of lane `x` that are above level `v` its own."""
    i = lane[x, at.OWN]
    while i < lane[x, at.COUNT]:
        f = pool[lane[x, at.BLOCK] + i] >> at.HOP_BITS
        other = height(f, level, whole, real)
        if other > v * (1.0 + at.SAME):
            transfer(
                f, other, x, head, clock, lane, share, level, link, pool, mass, left, route, whole, real, when, soonest,
                work
            )  # fmt: skip
        i += 1


@inner
def escape(f: int, x: int, v: float, level: Array, route: Array, whole: Array, real: Array) -> int:
    """Who holds flow `f` of lane `x` below level `v`: a lane, -1 its cap, or `x` itself if nobody does."""
    low, found = v * (1.0 - at.SAME), x
    if real[f, at.CAP] < low:
        low, found = real[f, at.CAP], -1
    for hop in range(route.shape[1] // 2):
        q = route[f, hop]
        if q < 0:
            break
        if level[q] < low and q != x:
            low, found = level[q], q
    return int(found)


@inner
def shift(
    x: int, old: float, new: float, head: Array, clock: Array, lane: Array, share: Array, level: Array, link: Array,
    pool: Array, mass: Array, left: Array, route: Array, whole: Array, real: Array, when: Array, soonest: Array, work: Array
) -> bool:  # fmt: skip
    """Count the own flows of lane `x` at its new level; hand over those that others hold below it. True if any."""
    some, i = False, 0
    starts = (old > 0.0) != (new > 0.0)
    while i < lane[x, at.OWN]:
        f = pool[lane[x, at.BLOCK] + i] >> at.HOP_BITS
        target = escape(f, x, new, level, route, whole, real)
        if target != x:
            transfer(
                f, old, target, head, clock, lane, share, level, link, pool, mass, left, route, whole, real, when, soonest,
                work
            )  # fmt: skip
            some = True
            continue  # another flow has taken its place
        change = real[f, at.WEIGHT] * new - real[f, at.WEIGHT] * old
        for hop in range(route.shape[1] // 2):
            q = route[f, hop]
            if q < 0:
                break
            if q != x:
                spend(q, change, head, lane, share, work)
                if new > share[q, at.CEILING]:
                    share[q, at.CEILING] = new
        if starts:
            move(f, new > 0.0, clock[at.NOW], lane, link, route, whole)
        i += 1
    return some


@inner
def schedule(x: int, now: float, lane: Array, level: Array, left: Array, due: Array, imminent: Array) -> None:
    """Write when the first of the own flows of lane `x` ends."""
    least, block = np.inf, lane[x, at.BLOCK]
    for i in range(block, block + lane[x, at.OWN]):
        if left[i] < least:
            least = left[i]
    set_next(x, now + least / level[x] if least < np.inf and level[x] > 0.0 else np.inf, due, imminent)
    lane[x, at.STALE] = 0


@inner
def visit(
    x: int, head: Array, clock: Array, lane: Array, share: Array, level: Array, link: Array, pool: Array, mass: Array,
    left: Array, route: Array, whole: Array, real: Array, when: Array, soonest: Array, due: Array, imminent: Array,
    work: Array
) -> None:  # fmt: skip
    """Give lane `x` its level and the flows that it must own, and tell the lanes of their routes."""
    now, handed = clock[at.NOW], True
    bring(x, now, lane, share, level, left)
    while handed:
        sum_anew(x, lane, share, level, pool, mass, whole, real)
        v = max(share[x, at.SPARE], 0.0) / share[x, at.OWN_MASS] if lane[x, at.OWN] > 0 else -1.0
        if v < share[x, at.CEILING] * (1.0 - at.SAME) and (
            v >= 0.0 or share[x, at.SPARE] < -at.SAME * share[x, at.AVAILABLE]
        ):
            v = aim(x, v, lane, share, level, pool, mass, whole, real)
            take_in(
                x, v, head, clock, lane, share, level, link, pool, mass, left, route, whole, real, when, soonest, work
            )  # fmt: skip
            sum_anew(x, lane, share, level, pool, mass, whole, real)
        if lane[x, at.OWN] == 0:
            break
        v, old = max(share[x, at.SPARE], 0.0) / share[x, at.OWN_MASS], counted(x, level)
        if level[x] < np.inf and abs(v - old) <= at.SAME * old:
            break
        handed = shift(
            x, old, v, head, clock, lane, share, level, link, pool, mass, left, route, whole, real, when, soonest, work
        )  # fmt: skip
        level[x] = v
        lane[x, at.STALE] = 1
    if lane[x, at.OWN] == 0:
        level[x] = np.inf
        share[x, at.OWN_MASS] = 0.0
    if lane[x, at.STALE] != 0:
        schedule(x, now, lane, level, left, due, imminent)
        feel(x, head, lane, work)
    if lane[x, at.BELOW] >= 0:
        grant(lane[x, at.BELOW], rest(x, lane, share), head, lane, share, work)


@inner
def lowest_dirty(head: Array, lane: Array, share: Array, work: Array) -> int:
    """Take out the marked lane of the smallest priority, and among these of the lowest level to come."""
    best, best_key = 0, np.inf
    ranking = lane[work[0, 0], at.RANKING]
    for i in range(head[at.DIRTY]):
        x = work[0, i]
        if lane[x, at.RANKING] > ranking:
            continue
        key = share[x, at.SPARE] / share[x, at.OWN_MASS] if lane[x, at.OWN] > 0 else share[x, at.CEILING]
        if lane[x, at.RANKING] < ranking or key < best_key:
            best, best_key, ranking = i, key, lane[x, at.RANKING]
    x = work[0, best]
    head[at.DIRTY] -= 1
    work[0, best] = work[0, head[at.DIRTY]]
    return int(x)


@inner
def repair(
    head: Array, clock: Array, lane: Array, share: Array, level: Array, link: Array, pool: Array, mass: Array, left: Array,
    route: Array, whole: Array, real: Array, when: Array, soonest: Array, due: Array, imminent: Array, work: Array
) -> bool:  # fmt: skip
    """Visit lanes until none is marked; False if the waves would not die, which a filling must then answer."""
    patience = 8 * head[at.DIRTY] + 4 * head[at.LANES] + 64
    while head[at.DIRTY] > 0:
        x = lowest_dirty(head, lane, share, work)
        if lane[x, at.COUNT] > 0:  # it stays marked while it is visited, since it marks itself
            visit(
                x, head, clock, lane, share, level, link, pool, mass, left, route, whole, real, when, soonest, due,
                imminent, work
            )  # fmt: skip
            head[at.VISITS] += 1
        lane[x, at.IS_DIRTY] = 0
        patience -= 1
        if patience < 0:
            return False
    return True
