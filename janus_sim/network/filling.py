"""Progressive filling of the whole network, priority by priority: the allocation found anew."""

from __future__ import annotations

import numpy as np

from janus_sim.network import layout as at
from janus_sim.network import views
from janus_sim.network.accounts import move
from janus_sim.network.compiled import Array, Record, inner
from janus_sim.network.events import set_time
from janus_sim.network.heap import pop, push
from janus_sim.network.lanes import bring, exchange, feel, rest
from janus_sim.network.marks import forget_marks, spread
from janus_sim.network.owners import height, remaining, set_keeper
from janus_sim.network.sharing import schedule


@inner
def full_at(x: int, net: Record) -> float:
    """The level at which lane `x` is full if its bundles not yet fixed rise together; infinite if none is left."""
    lanes, entries = views.lanes(net), views.entries(net)
    lane = lanes[x]
    held, free = 0.0, 0.0
    for i in range(lane.block, lane.block + lane.count):
        keeper, mass = entries[i, 0].keeper, entries[i, 0].mass
        if keeper >= 0:
            held += lanes[keeper].level * mass
        elif keeper == at.CAP:
            held += views.bundles(net)[views.who(net)[i]].cap * mass
        else:
            free += mass
    return max(lane.available - held, 0.0) / free if free > 0.0 else np.inf


@inner
def line_up(rows: Array, number: int, net: Record) -> int:
    """Put the lanes of one priority, and the caps of their bundles, into a heap by the level at which each may bind."""
    lanes, bundles, who, path = views.lanes(net), views.bundles(net), views.who(net), views.paths(net)
    turns, count = views.turns(net), 0
    for i in range(number):
        x = rows[i]
        lane = lanes[x]
        above = lane.above
        lane.available = rest(above, net) if above >= 0 else views.link_records(net)[lane.link].capacity
        lane.level = np.inf
        for k in range(lane.block, lane.block + lane.count):
            b = who[k]
            views.entries(net)[k, 0].keeper = at.UNFIXED
            if path[b, 0] == x:  # once a bundle
                bundles[b].owner = at.UNFIXED
                if bundles[b].cap < np.inf:
                    count = push(bundles[b].cap, -1 - b, count, turns)
    for i in range(number):
        count = push(full_at(rows[i], net), rows[i], count, turns)
    return count


@inner
def fill_one(rows: Array, number: int, net: Record) -> None:
    """Fill the lanes of one priority from the lowest level up; a lane's turn may come later than it seemed."""
    lanes, bundles, entries, turns = (
        views.lanes(net),
        views.bundles(net),
        views.entries(net),
        views.turns(net),
    )
    count = line_up(rows, number, net)
    while count > 0:
        key, x = turns[0].key, turns[0].item
        count = pop(count, turns)
        if x < 0:
            if bundles[-1 - x].owner == at.UNFIXED:
                set_keeper(-1 - x, at.CAP, net)
            continue
        v = full_at(x, net)
        if v == np.inf:
            continue
        if v > key * (1.0 + at.SAME):
            count = push(v, x, count, turns)
            continue
        lane = lanes[x]
        lane.level = max(v, key)
        for i in range(lane.block, lane.block + lane.count):
            if entries[i, 0].keeper == at.UNFIXED:
                set_keeper(views.who(net)[i], x, net)


@inner
def rebuild(x: int, net: Record) -> None:
    """Put the bundles that lane `x` owns after a filling first in its list, and sum up the others."""
    lane, entries, tag = views.lanes(net)[x], views.entries(net), views.tags(net)
    bundles, own, used, ceiling = views.bundles(net), 0, 0.0, 0.0
    lane.own_mass, lane.worn, lane.slop, lane.service, lane.up_to = 0.0, 0.0, 0.0, 0.0, net.now
    lane.least, lane.low_cap = np.inf, np.inf
    for i in range(lane.count):
        row = lane.block + i
        b, keeper = views.who(net)[row], entries[row, 0].keeper
        if keeper == x:
            exchange(x, i, own, net)
            to_go = bundles[b].left_over
            tag[lane.block + own] = to_go
            lane.least = min(lane.least, to_go)
            lane.low_cap = min(lane.low_cap, bundles[b].cap)
            lane.own_mass += entries[lane.block + own, 0].mass
            own += 1
        else:
            level = height(b, keeper, net)
            used += entries[row, 0].mass * level
            ceiling = max(ceiling, level)
    lane.own, lane.ceiling = own, ceiling
    lane.spare = lane.available - used
    schedule(x, net)


@inner
def lay_down(net: Record) -> None:
    """Write beside each bundle what its first flow has left and at which level it was counted."""
    bundles, now = views.bundles(net), net.now
    for x in range(net.lanes):
        lane = views.lanes(net)[x]
        if lane.count == 0:
            continue
        bring(x, net)
        level = height(-1, x, net)
        for i in range(lane.block, lane.block + lane.own):
            bundle = bundles[views.who(net)[i]]
            bundle.left_over = max(0.0, views.tags(net)[i] - lane.service)
            bundle.counted, bundle.since = level, now
        for i in range(lane.block + lane.own, lane.block + lane.count):
            b = views.who(net)[i]
            if bundles[b].owner < 0 and views.paths(net)[b, 0] == x:
                bundles[b].left_over = remaining(b, net)
                bundles[b].counted, bundles[b].since = height(b, bundles[b].owner, net), now


@inner
def take_up(x: int, net: Record) -> None:
    """After a filling: when bundles held by their own cap end, and which have begun to move or stopped."""
    bundles, who, lane, now = views.bundles(net), views.who(net), views.lanes(net)[x], net.now
    for i in range(lane.block, lane.block + lane.count):
        b = who[i]
        if views.paths(net)[b, 0] != x:
            continue
        bundle, owner = bundles[b], views.entries(net)[i, 0].keeper
        level = height(b, owner, net)
        ends = now + bundle.left_over / level if owner == at.CAP and level > 0.0 else np.inf
        set_time(bundle.first, ends, views.when(net))
        if (level > 0.0) != (bundle.counted > 0.0):
            move(b, level > 0.0, net)


@inner
def fill(net: Record) -> None:
    """Give every lane its level and every bundle its owner from nothing but capacities, priorities, weights and caps."""
    lanes, rows = views.lanes(net), views.closed(net)[net.closings :]
    lay_down(net)
    forget_marks(net)
    net.unshared = 0
    begun, more, ranking = False, True, 0
    while more:
        more, lowest, number = False, 0, 0
        for x in range(net.lanes):
            if lanes[x].count > 0 and (not begun or lanes[x].ranking > ranking):
                if not more or lanes[x].ranking < lowest:
                    more, lowest, number = True, lanes[x].ranking, 0
                if lanes[x].ranking == lowest:
                    rows[number] = x
                    number += 1
        fill_one(rows, number, net)
        for i in range(number):
            rebuild(rows[i], net)
            feel(rows[i], net)
        for i in range(number):
            take_up(rows[i], net)
        begun, ranking = True, lowest
    spread(net)
