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
    lanes, entries, found = views.lanes(net), views.entries(net), x
    if lanes[x].low_cap < low:
        cap = views.bundles(net)[views.who(net)[row]].cap
        if cap < low:
            low, found = cap, at.CAP
    for k in range(entries.shape[1]):
        q = entries[row, k].other
        if q >= 0 and lanes[q].level < low:
            low, found = lanes[q].level, q
    return int(found)


@inner
def find_low_cap(x: int, net: Record) -> None:
    """Find the lowest cap of the own bundles of lane `x`, if any has one."""
    lane, who, low = views.lanes(net)[x], views.who(net), np.inf
    if lane.low_cap < np.inf:
        for i in range(lane.block, lane.block + lane.own):
            low = min(low, views.bundles(net)[who[i]].cap)
        lane.low_cap = low


@inner
def hand_over(x: int, low: float, net: Record) -> bool:
    """Hand over the own bundles of lane `x` that others hold below level `low`. True if any."""
    lane, i, some = views.lanes(net)[x], 0, False
    while i < lane.own:
        row = lane.block + i
        target = escape(row, x, low, net)
        if target == x:
            i += 1
        else:  # another bundle takes its place
            transfer(views.who(net)[row], lane.level, target, net)
            some = True
    find_low_cap(x, net)
    return some


@inner
def count_own(x: int, change: float, new: float, low: float, net: Record) -> bool:
    """Count the own bundles of lane `x` at level `new`, which is a change; whether anybody holds one below `low`."""
    lanes, others = views.lanes(net), views.entries(net).shape[1]
    begin, end = lanes[x].block * others, (lanes[x].block + lanes[x].own) * others
    found = lanes[x].low_cap < low
    for entry in views.crossings(net)[begin:end]:
        if entry.other < 0:
            continue
        lane, amount = lanes[entry.other], entry.mass * change  # from here on as `spend`, without a call
        found |= lane.level < low
        lane.spare -= amount
        lane.slop += abs(amount)
        if new > lane.ceiling:
            lane.ceiling = new
        if lane.is_dirty == 0 and (lane.own > 0 or lane.spare < 0.0 or lane.below >= 0):
            consider(entry.other, new, net)
    return bool(found)


@inner
def count_each(x: int, change: float, new: float, low: float, net: Record) -> bool:
    """As `count_own`, where a route may cross a link twice, or where the use of links is written down."""
    lanes, entries, who, bundles = views.lanes(net), views.entries(net), views.who(net), views.bundles(net)
    found = lanes[x].low_cap < low
    for row in range(lanes[x].block, lanes[x].block + lanes[x].own):
        amount = bundles[who[row]].weight * bundles[who[row]].number * change
        for k in range(entries.shape[1]):
            q = entries[row, k].other
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
