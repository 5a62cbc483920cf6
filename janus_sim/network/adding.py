"""Flows come in: checked, written into a slot, started if it is time."""

from __future__ import annotations

import numpy as np

from janus_sim.network import layout as at
from janus_sim.network import views
from janus_sim.network.compiled import Array, Record, compiled, inner
from janus_sim.network.events import set_time
from janus_sim.network.running import join


@inner
def lacks_room(hops: int, net: Record) -> bool:
    """Whether one more start might not fit."""
    wanted: int = net.pool_top + hops * max(16, 2 * net.largest)
    lanes: int = net.lanes + hops
    return bool(wanted > net.entry_rows or lanes > net.lane_rows)


@inner
def refuses(
    links: Array, size: float, start: float, cap: float, weight: float, a: int, b: int, net: Record
) -> bool:
    """Whether a flow says anything impossible."""
    if not (size >= 0.0 and size < np.inf and start >= net.now and start < np.inf and cap >= 0.0):
        return True
    if not (weight > 0.0 and weight < np.inf) or a >= net.groups or b >= net.groups:
        return True
    for x in links:  # noqa: SIM110
        if x < -1 or x >= net.link_rows:
            return True
    return False


@inner
def place(
    links: Array, size: float, cap: float, weight: float, priority: int, a: int, b: int, net: Record
) -> int:
    """Write a flow into a free slot; the slot."""
    flows, own_links, groups = views.flows(net), views.links(net), views.groups(net)
    f = int(net.free_flow)
    if f >= 0:
        net.free_flow = flows[f].sibling
    else:
        f = int(net.flows)
        net.flows += 1
    hops = 0
    for x in links:
        if x >= 0:
            own_links[f, hops] = x
            hops += 1
    for hop in range(hops, own_links.shape[1]):
        own_links[f, hop] = -1
    flow = flows[f]
    flow.id, flow.state, flow.size, flow.weight, flow.cap = (
        net.next_id,
        at.WAITING,
        size,
        weight,
        cap / weight,
    )
    flow.priority, flow.group_a, flow.group_b = priority, a, b
    net.next_id += 1
    net.in_flight += 1
    for g in (a, b):
        if g >= 0:
            if groups[g].expected > 0:
                groups[g].expected -= 1
            else:
                groups[g].members += 1
    return f


@inner
def add(
    links: Array, size: float, start: float, cap: float, weight: float, priority: int, a: int, b: int, alone: bool,
    net: Record
) -> int:  # fmt: skip
    """Add one flow; its id, or GROW or WRONG with nothing done. A start of -inf means now."""
    start = max(start, net.now) if start == -np.inf else start
    if refuses(links, size, start, cap, weight, a, b, net):
        return at.WRONG
    full = net.free_flow < 0 and net.flows >= net.flow_rows
    if full or len(links) > net.links_columns or lacks_room(len(links), net):
        return at.GROW
    f = place(links, size, cap, weight, priority, a, b, net)
    if start <= net.now and size > 0.0:
        join(f, alone, net)
    else:
        set_time(f, start, views.when(net))
    return int(views.flows(net)[f].id)


@compiled
def add_one(
    memory: Array, links: Array, size: float, start: float, cap: float, weight: float, priority: int, a: int, b: int
) -> int:  # fmt: skip
    """Add one flow, as `add` says."""
    net = memory[0]
    return add(links, size, start, cap, weight, priority, a, b, True, net)


@compiled
def add_many(
    memory: Array, begin: int, links: Array, size: Array, start: Array, cap: Array, weight: Array, priority: Array,
    groups: Array
) -> tuple[int, int]:  # fmt: skip
    """Add flows begin, begin + 1, ...: (DONE, n), or (GROW or WRONG, the flow at which it stopped).

    An array of one row says the same of every flow.
    """
    net = memory[0]
    count = len(size)
    alone = count <= 16 or 4 * count <= net.moving
    for i in range(begin, count):
        code = add(
            links[i], size[i], start[i if len(start) > 1 else 0], cap[i if len(cap) > 1 else 0],
            weight[i if len(weight) > 1 else 0], priority[i if len(priority) > 1 else 0],
            groups[i if len(groups) > 1 else 0, 0], groups[i if len(groups) > 1 else 0, 1], alone, net
        )  # fmt: skip
        if code < 0:
            return code, i
    return at.DONE, count
