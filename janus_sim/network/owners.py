"""Who holds a bundle back: each is owned by one lane of its route, or by its own rate cap.

Its flows move at their weight times the level of the owner; all other lanes of its route count what it uses against
what they have to spare.
"""

from __future__ import annotations

import numpy as np

from janus_sim.network import layout as at
from janus_sim.network import views
from janus_sim.network.accounts import move
from janus_sim.network.compiled import Record, inner
from janus_sim.network.events import set_time
from janus_sim.network.lanes import bring, exchange, feel, place_of
from janus_sim.network.marks import mark


@inner
def height(b: int, owner: int, net: Record) -> float:
    """The level at which bundle `b` of this owner is counted: 0 while its lane has none."""
    if owner >= 0:
        level: float = views.lanes(net)[owner].level
        return level if level < np.inf else 0.0
    return float(views.bundles(net)[b].cap) if owner == at.CAP else 0.0


@inner
def consider(q: int, new: float, net: Record) -> None:
    """Mark lane `q`, one of whose foreign bundles has come to level `new`, if that breaks it."""
    lane = views.lanes(net)[q]
    if lane.own > 0:
        used = lane.own_mass * lane.level
        if abs(lane.spare - used) > net.slack * used or new > lane.level * (1.0 + net.sway):
            mark(q, net)
    elif lane.below >= 0 or lane.spare < -net.slack * lane.available:
        mark(q, net)


@inner
def spend(q: int, amount: float, new: float, net: Record) -> None:
    """A foreign bundle of lane `q`, now at level `new`, uses more by `amount`; mark the lane if that breaks it."""
    lane = views.lanes(net)[q]
    lane.spare -= amount
    lane.slop += abs(amount)
    if new > lane.ceiling:
        lane.ceiling = new
    if lane.is_dirty == 0:
        consider(q, new, net)
    feel(q, net)


@inner
def set_keeper(b: int, owner: int, net: Record) -> None:
    """Write the owner of bundle `b` into all its entries."""
    bundle, path, entries, lanes = (
        views.bundles(net)[b],
        views.paths(net),
        views.entries(net),
        views.lanes(net),
    )
    half = path.shape[1] // 2
    bundle.owner = owner
    for hop in range(bundle.hops):
        if path[b, hop + half] >= 0:
            entries[lanes[path[b, hop]].block + path[b, hop + half], 0].keeper = owner


@inner
def begin_anew(x: int, net: Record) -> None:
    """Count the service of lane `x` from now."""
    lane, tag = views.lanes(net)[x], views.tags(net)
    for i in range(lane.block, lane.block + lane.own):
        tag[i] -= lane.service
    lane.least -= lane.service
    lane.service = 0.0


@inner
def change_mass(x: int, amount: float, net: Record) -> None:
    """The own bundles of lane `x` weigh more by `amount`."""
    lane = views.lanes(net)[x]
    before = lane.own_mass
    lane.own_mass = max(before + amount, 0.0) if lane.own > 0 else 0.0
    lane.worn += before + lane.own_mass
    lane.late = 1


@inner
def adopt(b: int, x: int, to_go: float, net: Record) -> None:
    """Bundle `b`, foreign in lane `x`, becomes one of its own; its first flow has `to_go` bytes a unit of weight left."""
    bring(x, net)
    lane = views.lanes(net)[x]
    if lane.own == 0:
        lane.service, lane.least, lane.low_cap = 0.0, np.inf, np.inf
    if lane.service > at.DWARFED * to_go and to_go > 0.0:
        begin_anew(x, net)
    exchange(x, place_of(b, x, net), lane.own, net)
    i = lane.block + lane.own
    views.tags(net)[i] = lane.service + to_go
    if lane.service + to_go < lane.least:  # an unknown one stays unknown
        lane.least = lane.service + to_go
    lane.low_cap = min(lane.low_cap, views.bundles(net)[b].cap)
    lane.own += 1
    change_mass(x, views.entries(net)[i, 0].mass, net)
    set_keeper(b, x, net)


@inner
def disown(b: int, x: int, net: Record) -> float:
    """Bundle `b`, own in lane `x`, becomes foreign; what its first flow has left, in bytes a unit of weight."""
    bring(x, net)
    lane = views.lanes(net)[x]
    exchange(x, place_of(b, x, net), lane.own - 1, net)
    lane.own -= 1
    i = lane.block + lane.own
    tag = views.tags(net)[i]
    if not tag > lane.least:
        lane.least = np.nan
    change_mass(x, -views.entries(net)[i, 0].mass, net)
    return max(0.0, float(tag - lane.service))


@inner
def remaining(b: int, net: Record) -> float:
    """Bytes a unit of weight that the first flow of bundle `b` has left now."""
    bundle, now = views.bundles(net)[b], net.now
    owner = bundle.owner
    if owner >= 0:
        lane = views.lanes(net)[owner]
        bring(owner, net)
        left: float = views.tags(net)[lane.block + place_of(b, owner, net)] - lane.service
    else:
        left = bundle.left_over
        if owner == at.CAP and now > bundle.since:
            left -= bundle.cap * (now - bundle.since)
    return max(0.0, left)


@inner
def hold_by_cap(b: int, to_go: float, net: Record) -> None:
    """Bundle `b` moves at its own cap from now on; its first flow has `to_go` bytes a unit of weight left."""
    bundle, now = views.bundles(net)[b], net.now
    bundle.left_over, bundle.since = to_go, now
    ends = now + to_go / bundle.cap if bundle.cap > 0.0 else np.inf
    set_time(bundle.first, ends, views.when(net))


@inner
def release(b: int, net: Record) -> float:
    """Take bundle `b` from its owner; what its first flow has left."""
    bundle = views.bundles(net)[b]
    if bundle.owner >= 0:
        return disown(b, bundle.owner, net)
    to_go = remaining(b, net)
    set_time(bundle.first, np.inf, views.when(net))
    return to_go


@inner
def transfer(b: int, old: float, target: int, net: Record) -> None:
    """Hand bundle `b`, so far counted at level `old`, from its owner to another lane, or to its own cap."""
    bundle, path, lanes = views.bundles(net)[b], views.paths(net), views.lanes(net)
    source, weight = bundle.owner, bundle.weight * bundle.number
    to_go = release(b, net)
    if target >= 0:
        adopt(b, target, to_go, net)
    else:
        set_keeper(b, target, net)
        hold_by_cap(b, to_go, net)
    new = height(b, target, net)
    for hop in range(bundle.hops):
        q = path[b, hop]
        if q == target:
            lanes[q].spare += weight * old
            lanes[q].slop += weight * old
        else:
            spend(q, weight * new - (weight * old if q != source else 0.0), new, net)
    if source >= 0:
        mark(source, net)
        feel(source, net)
    if target >= 0:
        mark(target, net)
        feel(target, net)
    if (old > 0.0) != (new > 0.0):
        move(b, new > 0.0, net)
