"""A lane moves to another level: its bundles are counted anew elsewhere, and those that others hold below it go there."""

from __future__ import annotations

import numpy as np

from janus_sim.network import layout as at
from janus_sim.network import views
from janus_sim.network.accounts import move
from janus_sim.network.compiled import Record, inner
from janus_sim.network.owners import consider, spend, transfer


@inner
def escape(row: int, x: int, low: float, net: Record) -> int:
    """Who holds the bundle of an own entry of lane `x` below level `low`: a lane, its cap, or `x` if nobody does."""
    lanes, other, found = views.lanes(net), views.other(net), x
    cap = views.bundles(net)[views.who(net)[row]].cap
    if cap < low:
        low, found = cap, at.CAP
    for place in range(row * net.others, (row + 1) * net.others):
        q = other[place]
        if q >= 0 and lanes[q].level < low:
            low, found = lanes[q].level, q
    return int(found)


@inner
def hand_over(x: int, low: float, net: Record) -> bool:
    """Hand over the own bundles of lane `x` that others hold below level `low`. True if any."""
    lane, who, i, some, least_cap = views.lanes(net)[x], views.who(net), 0, False, np.inf
    while i < lane.own:
        row = lane.block + i
        target = escape(row, x, low, net)
        if target != x:
            transfer(who[row], lane.level, target, net)
            some = True
            continue  # another bundle has taken its place
        least_cap = min(least_cap, views.bundles(net)[who[row]].cap)
        i += 1
    lane.low_cap = least_cap
    return some


@inner
def count_own(x: int, change: float, new: float, low: float, net: Record) -> bool:
    """Count the own bundles of lane `x` at level `new`, which is a change; whether anybody holds one below `low`."""
    lanes, other, mass, others = views.lanes(net), views.other(net), views.masses(net), net.others
    found = lanes[x].low_cap < low
    for row in range(lanes[x].block, lanes[x].block + lanes[x].own):
        amount = mass[row] * change
        for place in range(row * others, (row + 1) * others):
            q = other[place]
            if q < 0:
                break
            lane = lanes[q]  # as `spend`, without a call
            found |= lane.level < low
            lane.spare -= amount
            lane.slop += abs(amount)
            if new > lane.ceiling:
                lane.ceiling = new
            if lane.is_dirty == 0 and (lane.own > 0 or lane.spare < 0.0 or lane.below >= 0):
                consider(q, new, net)
    return bool(found)


@inner
def count_each(x: int, change: float, new: float, low: float, net: Record) -> bool:
    """As `count_own`, where a route may cross a link twice, or where the use of links is written down."""
    lanes, other, who, bundles = views.lanes(net), views.other(net), views.who(net), views.bundles(net)
    found = lanes[x].low_cap < low
    for row in range(lanes[x].block, lanes[x].block + lanes[x].own):
        amount = bundles[who[row]].weight * bundles[who[row]].number * change
        for place in range(row * net.others, (row + 1) * net.others):
            q = other[place]
            if q >= 0:
                found |= lanes[q].level < low
                spend(q, amount, new, net)
    return bool(found)


@inner
def shift(x: int, old: float, new: float, net: Record) -> bool:
    """Move lane `x` to its new level; hand over the own bundles that others hold below it. True if any."""
    lane, who, low = views.lanes(net)[x], views.who(net), new * (1.0 - net.sway)
    if lane.doubled == 0 and net.binned == 0:
        found = count_own(x, new - old, new, low, net)
    else:
        found = count_each(x, new - old, new, low, net)
    lane.level, lane.late = new, 1
    if (old > 0.0) != (new > 0.0):
        for row in range(lane.block, lane.block + lane.own):
            move(who[row], new > 0.0, net)
    return bool(found and hand_over(x, low, net))
