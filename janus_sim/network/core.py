"""What Python calls of the compiled network beside adding flows: run, change, read."""

from __future__ import annotations

import numpy as np

from janus_sim.network import layout as at
from janus_sim.network import views
from janus_sim.network.adding import lacks_room
from janus_sim.network.compiled import Array, Record, compiled, inner
from janus_sim.network.events import first_slot, set_time
from janus_sim.network.lanes import bring, grant
from janus_sim.network.owners import height
from janus_sim.network.running import join, leave, settle
from janus_sim.network.sharing import find_least, schedule


@inner
def strike(g: int, name: int, found: int, net: Record) -> None:
    """A flow of group `g` has ended, held back by link `found`."""
    group = views.groups(net)[g]
    group.members -= 1
    if group.last_event < net.events or group.last_id < name:
        group.last_event, group.last_id, group.last_link = net.events, name, found
    if group.members == 0:
        views.emptied(net)[net.emptying] = g
        net.emptying += 1


@inner
def finish(f: int, found: int, net: Record) -> None:
    """Strike a flow that has ended off its groups, and free its slot."""
    flow = views.flows(net)[f]
    if flow.id < net.ends_rows:
        views.ends(net)[flow.id] = net.now
    if flow.group_a >= 0:
        strike(flow.group_a, flow.id, found, net)
    if flow.group_b >= 0:
        strike(flow.group_b, flow.id, found, net)
    set_time(f, np.inf, views.when(net))
    flow.state, flow.sibling = at.FREE, net.free_flow
    net.free_flow = f
    net.in_flight -= 1


@inner
def ends_at(x: int, until: float, net: Record) -> None:
    """End the flows held back by lane `x` that are through by `until`: at least the first of them."""
    bring(x, net)
    lane, tag, bundles = views.lanes(net)[x], views.tags(net), views.bundles(net)
    find_least(x, net)
    limit = max(lane.least, lane.service + lane.level * (until - net.now))
    for i in range(lane.own - 1, -1, -1):
        row = lane.block + i
        while i < lane.own and tag[row] <= limit:
            b = views.who(net)[row]
            f, more = bundles[b].first, bundles[b].number > 1
            finish(f, leave(f, net), net)
            if not more:
                break
    set_time(x, np.inf, views.due(net))
    if net.tolerance > 0.0 and lane.own > 0:
        schedule(x, net)


@inner
def happen(until: float, net: Record) -> int:
    """All starts and ends up to `until`, taken as one instant."""
    due, when, flows = views.due(net), views.when(net), views.flows(net)
    while due[1] <= until:
        ends_at(first_slot(due), until, net)
    while when[1] <= until:
        f = first_slot(when)
        if flows[f].state == at.WAITING and flows[f].size > 0.0:
            if lacks_room(views.links(net).shape[1], net):
                return at.GROW
            set_time(f, np.inf, when)
            join(f, True, net)
        else:
            finish(f, leave(f, net) if flows[f].state == at.RUNNING else -1, net)
    return at.DONE


@inner
def unsettled(net: Record) -> bool:
    """Whether rates are behind what has happened."""
    return bool(net.dirty > 0 or net.closings > 0 or net.touches > 0)


@inner
def go(until: float, net: Record) -> tuple[int, float, float, int]:
    """Run as `run` says."""
    due, when, code = views.due(net), views.when(net), at.DONE
    limit = until + at.ROUNDING * abs(until) if until > -np.inf else until
    while True:
        time = min(due[1], when[1])
        if unsettled(net) and not time <= net.hold:
            settle(net)
            time = min(due[1], when[1])
        if time > limit or time == np.inf:
            if net.now < until < np.inf:
                net.now = until
            break
        time = min(time, until)
        if time > net.now:
            net.now = time
            net.events += 1
        code = happen(time + at.INSTANT * abs(time), net)
        if code != at.DONE or net.emptying > 0:
            time = -np.inf
            break
    return code, net.now, time, net.emptying


@compiled
def run(memory: Array, until: float) -> tuple[int, float, float, int]:
    """Run to `until` or to the first instant at which a group empties: (code, now, next event, groups emptied).

    With `until` before now, nothing happens and the next event is told. After a GROW, call again.
    """
    net = memory[0]
    told = go(until, net)
    if told[0] == at.DONE:
        net.emptying = 0
    return told


@compiled
def change(memory: Array, target: int, value: float) -> None:
    """Give a link another capacity from now on."""
    net = memory[0]
    link = views.link_records(net)[target]
    link.capacity = value
    net.hold = -np.inf
    if link.top >= 0:
        grant(link.top, value, net)


@compiled
def read_heights(memory: Array, heights: Array) -> None:
    """The level of each running flow, by slot."""
    net = memory[0]
    flows, bundles = views.flows(net), views.bundles(net)
    for f in range(min(net.flows, len(heights))):
        b = flows[f].bundle
        heights[f] = height(b, bundles[b].owner, net)
