"""The fluid state in time: flows join, are given their rates, and leave."""

from __future__ import annotations

import numpy as np

from janus_sim.network import layout as at
from janus_sim.network import views
from janus_sim.network.accounts import move, note_use
from janus_sim.network.bundles import behind, find_bundle, free_bundle, melded, new_bundle, table_place, weigh
from janus_sim.network.compiled import Record, inner
from janus_sim.network.events import set_time
from janus_sim.network.filling import fill
from janus_sim.network.lanes import close_lane, enter, open_lane, place_of, quit_lane
from janus_sim.network.marks import mark
from janus_sim.network.owners import change_mass, disown, height, hold_by_cap, remaining, spend, transfer
from janus_sim.network.sharing import repair


@inner
def settle(net: Record) -> None:
    """Bring rates up to what has changed since the last time: starts, ends, capacities."""
    lanes = views.lanes(net)
    touched, closed = views.touched(net), views.closed(net)
    many = net.bustle
    if net.unshared > 0 or (many > 16 and 4 * many > net.moving) or not repair(net):
        fill(net)
    for i in range(net.touches):
        lanes[touched[i]].is_touched = 0
        note_use(lanes[touched[i]].link, net)
    for i in range(net.closings):
        lanes[closed[i]].below = net.free_lane
        net.free_lane = closed[i]
    net.touches, net.closings, net.bustle, net.hold = 0, 0, 0, np.nan


@inner
def likely_owner(b: int, net: Record) -> int:
    """The lane that will probably hold a new bundle back, or its cap: the lowest level as things stand."""
    bundle, path, lanes = views.bundles(net)[b], views.paths(net), views.lanes(net)
    best, low = at.CAP, bundle.cap
    for hop in range(bundle.hops):
        lane = lanes[path[b, hop]]
        guess = max(lane.spare, 0.0) / (lane.own_mass + bundle.weight)
        if guess < low:
            best, low = path[b, hop], guess
    return int(best)


@inner
def begin(f: int, place: int, alone: bool, net: Record) -> None:
    """A flow starts as a new bundle: it enters the lanes of its route, and is given a likely owner if it comes `alone`."""
    flow, links, path = views.flows(net)[f], views.links(net), views.paths(net)
    b = new_bundle(f, place, net)
    bundle = views.bundles(net)[b]
    for hop in range(bundle.hops):
        path[b, hop] = open_lane(links[f, hop], flow.priority, net)
    for hop in range(bundle.hops):
        enter(b, hop, net)
    weigh(b, net)
    flow.bundle, flow.key = b, flow.size / flow.weight
    bundle.left_over, bundle.since = flow.key, net.now
    if alone or bundle.hops == 0:
        transfer(b, 0.0, likely_owner(b, net), net)
    else:
        net.unshared += 1
        mark(path[b, 0], net)


@inner
def recount(b: int, change: int, last: float, net: Record) -> None:
    """One flow more or less is in bundle `b`, counted at level `last`: its lanes weigh and use that."""
    bundle, path = views.bundles(net)[b], views.paths(net)
    bundle.number += change
    weigh(b, net)
    for hop in range(bundle.hops):
        q = path[b, hop]
        if q == bundle.owner:
            change_mass(q, change * bundle.weight, net)
            mark(q, net)
        else:
            spend(q, change * bundle.weight * last, last, net)


@inner
def set_first(b: int, first: int, to_go: float, net: Record) -> None:
    """Another flow of bundle `b` ends first, with `to_go` bytes a unit of weight left."""
    bundle, lanes, tag = views.bundles(net)[b], views.lanes(net), views.tags(net)
    if bundle.owner >= 0:
        lane = lanes[bundle.owner]
        i = lane.block + place_of(b, bundle.owner, net)
        if not tag[i] > lane.least:
            lane.least = np.nan
        tag[i] = lane.service + to_go
        if tag[i] < lane.least:
            lane.least = tag[i]
        lane.late = 1
        mark(bundle.owner, net)
    else:
        set_time(bundle.first, np.inf, views.when(net))
    bundle.first = first
    if bundle.owner == at.CAP:
        hold_by_cap(b, to_go, net)
    elif bundle.owner == at.NOBODY:
        bundle.left_over = to_go


@inner
def join(f: int, alone: bool, net: Record) -> None:
    """A waiting flow starts; `alone`: with few others, so that it is worth knowing who holds it back."""
    flows, bundles = views.flows(net), views.bundles(net)
    flow = flows[f]
    if net.moving == 0:
        net.busy_from = net.now
    flow.state, flow.child, flow.sibling = at.RUNNING, -1, -1
    place = table_place(f, net)
    b, mine = find_bundle(f, place, net), flow.size / flow.weight
    left = remaining(b, net) if b >= 0 else 0.0
    base = flows[bundles[b].first].key - left if b >= 0 else 0.0
    if b < 0 or base > at.GROWN * mine:
        begin(f, place, alone, net)
    else:
        flow.bundle, flow.key = b, base + mine
        recount(b, 1, height(b, bundles[b].owner, net), net)
        first = melded(bundles[b].first, f, net)
        if first == f:
            set_first(b, f, mine, net)
    net.bustle += 1
    net.moving += 1
    net.hold = -np.inf


@inner
def shrink(b: int, last: float, net: Record) -> None:
    """The first flow of bundle `b` ends, and the next one becomes the first."""
    flows, bundle = views.flows(net), views.bundles(net)[b]
    key, left = flows[bundle.first].key, remaining(b, net)
    recount(b, -1, last, net)
    following = behind(bundle.first, net)
    set_first(b, following, left + (flows[following].key - key), net)


@inner
def vanish(b: int, last: float, net: Record) -> None:
    """The only flow of bundle `b` ends: its lanes lose it."""
    bundle, path, lanes = views.bundles(net)[b], views.paths(net), views.lanes(net)
    owner = bundle.owner
    if last > 0.0:
        move(b, False, net)
    if owner >= 0:
        disown(b, owner, net)
        mark(owner, net)
    for hop in range(bundle.hops):
        q = path[b, hop]
        if q != owner:
            spend(q, -last * bundle.weight, 0.0, net)
        quit_lane(b, hop, net)
    for hop in range(bundle.hops):
        q = path[b, hop]
        if lanes[q].count == 0 and path[b, hop + path.shape[1] // 2] >= 0:
            close_lane(q, net)
    free_bundle(b, net)


@inner
def leave(f: int, net: Record) -> int:
    """A running flow, the first of its bundle, ends: its links have carried it; the link that held it back, or -1."""
    link_records, links = views.link_records(net), views.links(net)
    b = views.flows(net)[f].bundle
    bundle = views.bundles(net)[b]
    owner, last = bundle.owner, height(b, bundle.owner, net)
    for hop in range(bundle.hops):
        link_records[links[f, hop]].carried += views.flows(net)[f].size
    found = views.lanes(net)[owner].link if owner >= 0 else -1
    if bundle.number > 1:
        shrink(b, last, net)
    else:
        vanish(b, last, net)
    net.bustle += 1
    net.moving -= 1
    if np.isnan(net.hold):
        net.hold = -np.inf
        if net.tolerance > 0.0:
            net.hold = net.now + net.tolerance * (net.now - net.busy_from)
    return int(found)
