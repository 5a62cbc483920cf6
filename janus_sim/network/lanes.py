"""The bundles of each (link, priority), a lane: compiled lists that a bundle enters and leaves in constant time.

A lane's entries lie in one block of the pool, its own bundles first. An entry holds what a visit reads, one after the
other in memory: the other lanes of the bundle's route, its weight in this lane and its owner; apart from these `who` it
is; and of own bundles the `tag`, the service of the lane at which the first of its flows ends.
"""

from __future__ import annotations

import numpy as np

from janus_sim.network import layout as at
from janus_sim.network import views
from janus_sim.network.blocks import give_block, take_block, widen
from janus_sim.network.compiled import Record, inner
from janus_sim.network.events import set_time
from janus_sim.network.marks import mark


@inner
def feel(x: int, net: Record) -> None:
    """Put lane `x` among those whose use may have changed, if anybody asks."""
    if net.binned == 0:
        return
    lane = views.lanes(net)[x]
    if lane.is_touched == 0:
        lane.is_touched = 1
        views.touched(net)[net.touches] = x
        net.touches += 1


@inner
def rest(x: int, net: Record) -> float:
    """Bytes/s that lane `x` leaves to larger priorities: nothing where it holds bundles back."""
    lane = views.lanes(net)[x]
    left: float = lane.spare
    return left if lane.own == 0 and left > net.slack * lane.available else 0.0


@inner
def grant(x: int, available: float, net: Record) -> None:
    """Tell lane `x` what it may use."""
    lane = views.lanes(net)[x]
    change = available - lane.available
    if change != 0.0:
        lane.available = available
        lane.spare += change
        lane.slop += abs(change)
        mark(x, net)
        feel(x, net)


@inner
def new_lane(target: int, ranking: int, above: int, below: int, net: Record) -> int:
    """A fresh lane between two others of its link, or at an end."""
    lanes, link = views.lanes(net), views.link_records(net)[target]
    x = int(net.free_lane)
    if x >= 0:
        net.free_lane = lanes[x].below
    else:
        x = int(net.lanes)
        net.lanes += 1
    lane, kind = lanes[x], 3
    while 1 << kind < link.expected:
        kind += 1
    lane.link, lane.ranking, lane.below, lane.above = target, ranking, below, above
    lane.kind, lane.count, lane.own, lane.block = kind, 0, 0, take_block(kind, net)
    lane.is_dirty, lane.is_touched, lane.doubled, lane.late = 0, 0, 0, 0
    lane.own_mass, lane.worn, lane.slop, lane.ceiling, lane.level = 0.0, 0.0, 0.0, 0.0, np.inf
    lane.service, lane.up_to, lane.least, lane.low_cap = 0.0, net.now, np.inf, np.inf
    if below >= 0:
        lanes[below].above = x
    if above >= 0:
        lanes[above].below = x
        lane.available = rest(above, net)
    else:
        link.top = x
        lane.available = link.capacity
    lane.spare = lane.available
    return x


@inner
def open_lane(target: int, ranking: int, net: Record) -> int:
    """The lane of a link for one priority, made if there is none."""
    lanes = views.lanes(net)
    above, below = -1, int(views.link_records(net)[target].top)
    while below >= 0 and lanes[below].ranking < ranking:
        above, below = below, int(lanes[below].below)
    if below >= 0 and lanes[below].ranking == ranking:
        return below
    return new_lane(target, ranking, above, below, net)


@inner
def close_lane(x: int, net: Record) -> None:
    """Remove an empty lane from its link; what it had goes to the lane below. Its slot is freed at the settling."""
    lanes = views.lanes(net)
    lane = lanes[x]
    above, below = lane.above, lane.below
    lane.level = np.inf
    if above >= 0:
        lanes[above].below = below
    else:
        views.link_records(net)[lane.link].top = below
    if below >= 0:
        lanes[below].above = above
        grant(below, lane.available, net)
    give_block(lane.block, lane.kind, net)
    set_time(x, np.inf, views.due(net))
    feel(x, net)
    views.closed(net)[net.closings] = x
    net.closings += 1


@inner
def enter(b: int, hop: int, net: Record) -> None:
    """Append bundle `b` to the foreign ones of a lane of its path, unless it stands there since an earlier hop."""
    path, entries = views.paths(net), views.entries(net)
    half, x = path.shape[1] // 2, path[b, hop]
    lane = views.lanes(net)[x]
    for earlier in range(hop):
        if path[b, earlier] == x:
            path[b, hop + half] = -1
            lane.doubled = 1
            return
    if lane.count == 1 << lane.kind:
        widen(x, net)
    i = lane.block + lane.count
    views.who(net)[i], entries[i, 0].keeper, place = b, at.NOBODY, 0
    for k in range(views.bundles(net)[b].hops):
        if path[b, k] != x:
            entries[i, place].other = path[b, k]
            place += 1
    for k in range(place, entries.shape[1]):
        entries[i, k].other = -1
    path[b, hop + half] = lane.count
    lane.count += 1


@inner
def place_at(b: int, x: int, i: int, net: Record) -> None:
    """Write down that bundle `b` stands at place `i` of lane `x`."""
    path, hop = views.paths(net), 0
    while path[b, hop] != x:
        hop += 1
    path[b, hop + path.shape[1] // 2] = i


@inner
def place_of(b: int, x: int, net: Record) -> int:
    """Where bundle `b` stands in lane `x`."""
    path, hop = views.paths(net), 0
    while path[b, hop] != x:
        hop += 1
    return int(path[b, hop + path.shape[1] // 2])


@inner
def swap(one: Record, two: Record) -> None:
    """Exchange what two rows of entries say."""
    one.mass, two.mass = two.mass, one.mass
    one.other, two.other = two.other, one.other
    one.keeper, two.keeper = two.keeper, one.keeper


@inner
def exchange(x: int, i: int, j: int, net: Record) -> None:
    """Exchange the entries `i` and `j` of lane `x`."""
    if i == j:
        return
    who, tag, entries, block = views.who(net), views.tags(net), views.entries(net), views.lanes(net)[x].block
    a, b = block + i, block + j
    one, two = who[a], who[b]
    who[a], who[b] = two, one
    place_at(two, x, i, net)
    place_at(one, x, j, net)
    mine, its = tag[a], tag[b]
    tag[a], tag[b] = its, mine
    for k in range(entries.shape[1]):
        swap(entries[a, k], entries[b, k])


@inner
def quit_lane(b: int, hop: int, net: Record) -> None:
    """Take bundle `b`, foreign at this hop, out of its lane."""
    path = views.paths(net)
    x, place = path[b, hop], path[b, hop + path.shape[1] // 2]
    if place >= 0:
        lane = views.lanes(net)[x]
        exchange(x, place, lane.count - 1, net)
        lane.count -= 1


@inner
def bring(x: int, net: Record) -> None:
    """Count what the own bundles of lane `x` have moved up to now."""
    lane, now = views.lanes(net)[x], net.now
    if lane.own > 0 and now > lane.up_to and lane.level < np.inf:
        lane.service += (now - lane.up_to) * lane.level
    lane.up_to = now
