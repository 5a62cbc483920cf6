"""Who holds a flow back: each flow in motion is owned by one lane of its route, or by its own rate cap.

A flow moves at its weight times the level of its owner; all other lanes of its route count what it uses against what
they have to spare.
"""

from __future__ import annotations

import numpy as np

from janus_sim.network import layout as at
from janus_sim.network.accounts import move
from janus_sim.network.compiled import Array, inner
from janus_sim.network.events import set_next
from janus_sim.network.lanes import bring, entry_of, exchange, feel, mark


@inner
def counted(x: int, level: Array) -> float:
    """The level at which other lanes count the flows of lane `x`: 0 while it has none."""
    return level[x] if level[x] < np.inf else 0.0


@inner
def height(f: int, level: Array, whole: Array, real: Array) -> float:
    """The level at which a running flow is counted."""
    owner = whole[f, at.OWNER]
    return counted(owner, level) if owner >= 0 else real[f, at.CAP]


@inner
def spend(q: int, amount: float, head: Array, lane: Array, share: Array, work: Array) -> None:
    """Foreign flows of lane `q` use more by `amount`; mark it if its level can change, or what it leaves."""
    share[q, at.SPARE] -= amount
    share[q, at.SLOP] += abs(amount)
    if lane[q, at.OWN] > 0:
        mark(q, head, lane, work)
        return
    if lane[q, at.BELOW] >= 0 or share[q, at.SPARE] < -at.SAME * share[q, at.AVAILABLE]:
        mark(q, head, lane, work)
    feel(q, head, lane, work)


@inner
def adopt(
    f: int, x: int, to_go: float, now: float, lane: Array, share: Array, level: Array, pool: Array, mass: Array,
    left: Array, route: Array, whole: Array
) -> None:  # fmt: skip
    """Flow `f`, foreign in lane `x`, becomes one of its own, with `to_go` bytes a unit of weight left."""
    bring(x, now, lane, share, level, left)
    own = lane[x, at.OWN]
    exchange(x, entry_of(f, x, whole, route), own, lane, pool, mass, left, route)
    entry = lane[x, at.BLOCK] + own
    left[entry] = to_go
    lane[x, at.OWN], lane[x, at.STALE] = own + 1, 1
    share[x, at.OWN_MASS] += mass[entry]


@inner
def disown(
    f: int, x: int, now: float, lane: Array, share: Array, level: Array, pool: Array, mass: Array, left: Array,
    route: Array, whole: Array
) -> float:  # fmt: skip
    """Flow `f`, own in lane `x`, becomes foreign; what it has left, in bytes a unit of weight."""
    bring(x, now, lane, share, level, left)
    own = lane[x, at.OWN] - 1
    exchange(x, entry_of(f, x, whole, route), own, lane, pool, mass, left, route)
    entry = lane[x, at.BLOCK] + own
    lane[x, at.OWN], lane[x, at.STALE] = own, 1
    share[x, at.OWN_MASS] = share[x, at.OWN_MASS] - mass[entry] if own > 0 else 0.0
    return float(left[entry])


@inner
def release(
    f: int, rate: float, now: float, lane: Array, share: Array, level: Array, pool: Array, mass: Array, left: Array,
    route: Array, whole: Array, real: Array, when: Array, soonest: Array
) -> float:  # fmt: skip
    """Take a running flow from its owner; what it has left. `rate` is a unit of weight's, for a flow without owner."""
    owner = whole[f, at.OWNER]
    if owner >= 0:
        return disown(f, owner, now, lane, share, level, pool, mass, left, route, whole)
    set_next(f, np.inf, when, soonest)
    left_over: float = real[f, at.LEFT_OVER] - rate * (now - real[f, at.SINCE])
    return max(0.0, left_over)


@inner
def transfer(
    f: int, old: float, target: int, head: Array, clock: Array, lane: Array, share: Array, level: Array, link: Array,
    pool: Array, mass: Array, left: Array, route: Array, whole: Array, real: Array, when: Array, soonest: Array, work: Array
) -> None:  # fmt: skip
    """Hand flow `f`, so far counted at level `old`, from its owner to another lane, or to its own cap (-1)."""
    now, source, weight = clock[at.NOW], whole[f, at.OWNER], real[f, at.WEIGHT]
    to_go = release(
        f, old, now, lane, share, level, pool, mass, left, route, whole, real, when, soonest
    )  # fmt: skip
    whole[f, at.OWNER] = target
    if target >= 0:
        adopt(f, target, to_go, now, lane, share, level, pool, mass, left, route, whole)
        new = counted(target, level)
    else:
        new = real[f, at.CAP]
        real[f, at.LEFT_OVER], real[f, at.SINCE] = to_go, now
        set_next(f, now + to_go / new if new > 0.0 else np.inf, when, soonest)
    for hop in range(whole[f, at.HOPS]):
        q = route[f, hop]
        if q == target:
            share[q, at.SPARE] += weight * old
            share[q, at.SLOP] += weight * old
        else:
            spend(q, weight * new - (weight * old if q != source else 0.0), head, lane, share, work)
            share[q, at.CEILING] = max(share[q, at.CEILING], new)
    if source >= 0:
        mark(source, head, lane, work)
        feel(source, head, lane, work)
    if target >= 0:
        mark(target, head, lane, work)
        feel(target, head, lane, work)
    if (old > 0.0) != (new > 0.0):
        move(f, new > 0.0, now, lane, link, route, whole)
