"""Repair of the max-min allocation after a change: waves of visits that die where nothing changes.

The allocation is max-min fair, priority by priority, where each lane that owns bundles has the level at which these
use up what it has to spare, no other lane is overloaded, and each bundle is owned by the lane of the lowest level on its
route (its rate cap is one more level). A change breaks this on its own route only. A visit mends one lane, the
lowest first, and marks the lanes that it may have broken.

With a tolerance a lane keeps its level while it is within that part of the exact one, and a bundle its owner while no
other level of its route is below by more than twice that part.
"""

from __future__ import annotations

import numpy as np

from janus_sim.network import layout as at
from janus_sim.network import views
from janus_sim.network.compiled import Record, inner
from janus_sim.network.events import climb, climb_all, set_time
from janus_sim.network.lanes import bring, feel, grant, rest
from janus_sim.network.marks import spread, take, turn_to_next
from janus_sim.network.owners import begin_anew, height, transfer
from janus_sim.network.shifting import shift


@inner
def sum_anew(x: int, net: Record) -> None:
    """Weigh the own bundles of lane `x`; find what it has to spare anew if changes have worn its digits away."""
    lane, who, entries = views.lanes(net)[x], views.who(net), views.entries(net)
    if lane.worn > at.WORN * lane.own_mass:
        own_mass = 0.0
        for i in range(lane.block, lane.block + lane.own):
            own_mass += entries[i, 0].mass
        lane.own_mass, lane.worn = own_mass, 0.0
    if lane.slop <= at.TIRED * abs(lane.spare):
        return
    used = 0.0
    for i in range(lane.block + lane.own, lane.block + lane.count):
        used += entries[i, 0].mass * height(who[i], entries[i, 0].keeper, net)
    lane.spare, lane.slop = lane.available - used, 0.0


@inner
def highest(x: int, net: Record) -> float:
    """The highest level of a foreign bundle of lane `x`; writes it down as the ceiling."""
    lane, who, entries = views.lanes(net)[x], views.who(net), views.entries(net)
    ceiling = 0.0
    for i in range(lane.block + lane.own, lane.block + lane.count):
        other = height(who[i], entries[i, 0].keeper, net)
        if other > ceiling:
            ceiling = other
    lane.ceiling = ceiling
    return ceiling


@inner
def aim(x: int, start: float, net: Record) -> float:
    """The level of lane `x` if every bundle above that level were its own; `start` is a level below, or negative.

    Newton's method on a concave function from below: rises to the answer in a few steps.
    """
    lane, who, entries, v = views.lanes(net)[x], views.who(net), views.entries(net), start
    while True:
        spare, weight = lane.available, lane.own_mass
        for i in range(lane.block + lane.own, lane.block + lane.count):
            other = height(who[i], entries[i, 0].keeper, net)
            if other > v * (1.0 + at.SAME):
                weight += entries[i, 0].mass
            else:
                spare -= entries[i, 0].mass * other
        higher = max(spare, 0.0) / weight if weight > 0.0 else v
        if not higher > v * (1.0 + 1e-15):
            return v
        v = higher


@inner
def take_in(x: int, v: float, net: Record) -> None:
    """Make the foreign bundles of lane `x` that are above level `v` its own."""
    lane, who, entries = views.lanes(net)[x], views.who(net), views.entries(net)
    i = lane.own
    while i < lane.count:
        row = lane.block + i
        other = height(who[row], entries[row, 0].keeper, net)
        if other > v * (1.0 + at.SAME):
            transfer(who[row], other, x, net)
        i += 1
    lane.ceiling = min(lane.ceiling, v * (1.0 + at.SAME))


@inner
def find_least(x: int, net: Record) -> None:
    """Find the least tag of the own bundles of lane `x`, if it is not known."""
    lane, tag = views.lanes(net)[x], views.tags(net)
    if lane.own == 0:
        lane.least = np.inf
    elif np.isnan(lane.least):
        least = np.inf
        for i in range(lane.block, lane.block + lane.own):
            least = min(least, tag[i])
        lane.least = least


@inner
def schedule(x: int, net: Record) -> None:
    """Write when the first of the own bundles of lane `x` has a flow that ends."""
    lane, now = views.lanes(net)[x], net.now
    if lane.own > 0 and lane.service > at.GROWN * lane.level * (now - net.busy_from) and lane.level > 0.0:
        begin_anew(x, net)
    find_least(x, net)
    ends = np.inf
    if lane.own > 0 and lane.level > 0.0:
        ends = now + max(0.0, lane.least - lane.service) / lane.level
    due = views.due(net)
    if net.repairs != 0:
        due[len(due) // 2 + x] = ends  # `find_minima` does the rest
    else:
        set_time(x, ends, due)


@inner
def settle_own(x: int, net: Record) -> bool:
    """Find the level of lane `x` and whom it must own; True if it has given some away and must be seen again."""
    lane = views.lanes(net)[x]
    sum_anew(x, net)
    v = max(lane.spare, 0.0) / lane.own_mass if lane.own > 0 else -1.0
    over = v >= 0.0 or lane.spare < -net.slack * lane.available
    if over and v < lane.ceiling * (1.0 - net.sway) and v < highest(x, net) * (1.0 - net.sway):
        take_in(x, aim(x, v, net), net)
        sum_anew(x, net)
    if lane.own == 0:
        return False
    v, old = max(lane.spare, 0.0) / lane.own_mass, height(-1, x, net)
    if lane.level < np.inf and abs(v - old) <= net.slack * old:
        return False
    return shift(x, old, v, net)


@inner
def visit(x: int, net: Record) -> None:
    """Give lane `x` its level and the bundles that it must own, and tell the lanes of their routes."""
    lane = views.lanes(net)[x]
    bring(x, net)
    while settle_own(x, net):
        pass
    if lane.own == 0:
        lane.level, lane.own_mass = np.inf, 0.0
    if lane.late != 0:
        lane.late = 0
        schedule(x, net)
        feel(x, net)
    if lane.below >= 0:
        grant(lane.below, rest(x, net), net)


@inner
def find_minima(visits: int, net: Record) -> None:
    """After a repair: the minima above the next ends of the lanes visited; all of them, if these were many."""
    due, visited = views.due(net), views.visited(net)
    if 16 * visits > len(visited):
        climb_all(due)
    else:
        for i in range(visits):
            climb(visited[i], due)


@inner
def repair(net: Record) -> bool:
    """Visit lanes until none is marked; False if the waves would not die, which a filling must then answer."""
    lanes, patience, visits = views.lanes(net), 8 * net.dirty + 4 * net.lanes + 64, 0
    visited, net.repairs = views.visited(net), 1
    while net.dirty > 0 and visits < patience:
        x = take(net)
        if x < 0:
            turn_to_next(net)
            continue
        if lanes[x].count > 0:  # it stays marked while it is visited, since it marks itself
            visit(x, net)
        lanes[x].is_dirty = 0
        if visits < len(visited):
            visited[visits] = x
        visits += 1
    find_minima(visits, net)
    net.repairs, net.visits = 0, net.visits + visits
    if net.visits >= net.next_spread:
        spread(net)
        net.next_spread = net.visits + 16 * net.lanes
    return bool(net.dirty == 0)
