"""Bundles of alike flows: found by route, weight, cap and priority; their flows in a pairing heap by end."""

from __future__ import annotations

from janus_sim.network import layout as at
from janus_sim.network import views
from janus_sim.network.compiled import Array, Record, compiled, inner
from janus_sim.network.lanes import place_of


@inner
def melded(a: int, b: int, net: Record) -> int:
    """Put one of two heaps of flows under the other; the first of both."""
    flows = views.flows(net)
    if flows[b].key < flows[a].key or (flows[b].key == flows[a].key and flows[b].id < flows[a].id):
        a, b = b, a
    flows[b].sibling = flows[a].child
    flows[a].child = b
    return a


@inner
def behind(f: int, net: Record) -> int:
    """The first of the flows that stand behind `f`, which is taken off; -1 if none does."""
    flows, paired, last = views.flows(net), -1, -1
    following = int(flows[f].child)
    while following >= 0:  # pairs from the left, kept in reverse
        one = following
        two = int(flows[one].sibling)
        following = int(flows[two].sibling) if two >= 0 else -1
        both = melded(one, two, net) if two >= 0 else one
        flows[both].sibling = paired
        paired = both
    while paired >= 0:
        following = int(flows[paired].sibling)
        last = melded(last, paired, net) if last >= 0 else paired
        paired = following
    flows[f].child = -1
    return last


@inner
def table_place(f: int, net: Record) -> int:
    """Where the bundle of flow `f` stands in the table, if there is one."""
    flow, links, table = views.flows(net)[f], views.links(net), views.table(net)
    mixed = flow.priority + int(min(flow.cap, 1e15) * 512.0) + int(min(flow.weight, 1e15) * 1024.0)
    for hop in range(links.shape[1]):
        if links[f, hop] < 0:
            break
        mixed = (mixed ^ links[f, hop]) * 0x5BD1E995
        mixed ^= mixed >> 29
    return int((mixed ^ (mixed >> 15)) & (len(table) - 1))


@inner
def fits(f: int, b: int, net: Record) -> bool:
    """Whether flow `f` is one of bundle `b`."""
    flow, bundle = views.flows(net)[f], views.bundles(net)[b]
    links, path, lanes = views.links(net), views.paths(net), views.lanes(net)
    if flow.priority != bundle.priority or flow.weight != bundle.weight or flow.cap != bundle.cap:
        return False
    for hop in range(links.shape[1]):
        if hop >= bundle.hops or links[f, hop] < 0:
            return bool(hop >= bundle.hops and links[f, hop] < 0)
        if lanes[path[b, hop]].link != links[f, hop]:
            return False
    return True


@inner
def find_bundle(f: int, place: int, net: Record) -> int:
    """The bundle of flow `f`, -1 if there is none."""
    b = int(views.table(net)[place])
    while b >= 0 and not fits(f, b, net):
        b = int(views.bundles(net)[b].next)
    return b


@inner
def new_bundle(f: int, place: int, net: Record) -> int:
    """A bundle of flow `f` alone, in no lane yet."""
    bundles, table = views.bundles(net), views.table(net)
    flow, links, hops = views.flows(net)[f], views.links(net), 0
    b = int(net.free_bundle)
    if b >= 0:
        net.free_bundle = bundles[b].next
    else:
        b = int(net.bundles)
        net.bundles += 1
    while hops < links.shape[1] and links[f, hops] >= 0:
        hops += 1
    bundle = bundles[b]
    bundle.weight, bundle.cap, bundle.priority, bundle.hops = flow.weight, flow.cap, flow.priority, hops
    bundle.number, bundle.owner, bundle.first = 1, at.NOBODY, f
    bundle.place, bundle.next = place, table[place]
    table[place] = b
    return b


@inner
def free_bundle(b: int, net: Record) -> None:
    """Take an empty bundle out of the table; its slot is free."""
    bundles, table = views.bundles(net), views.table(net)
    bundle = bundles[b]
    other = int(table[bundle.place])
    if other == b:
        table[bundle.place] = bundle.next
    else:
        while bundles[other].next != b:
            other = int(bundles[other].next)
        bundles[other].next = bundle.next
    bundle.number, bundle.next = 0, net.free_bundle
    net.free_bundle = b


@compiled
def fill_table(memory: Array) -> None:
    """Put every bundle into a new table."""
    net = memory[0]
    bundles, table = views.bundles(net), views.table(net)
    for i in range(len(table)):
        table[i] = -1
    for b in range(net.bundles):
        if bundles[b].number > 0:
            place = table_place(bundles[b].first, net)
            bundles[b].place, bundles[b].next = place, table[place]
            table[place] = b


@inner
def weigh(b: int, net: Record) -> None:
    """Write the weight of bundle `b` into its entries, twice that where its route crosses a link twice."""
    bundle, path, lanes, entries = (
        views.bundles(net)[b],
        views.paths(net),
        views.lanes(net),
        views.entries(net),
    )
    half, weight = path.shape[1] // 2, bundle.weight * bundle.number
    for hop in range(bundle.hops):
        x, place = path[b, hop], path[b, hop + half]
        i = lanes[x].block + (place if place >= 0 else place_of(b, x, net))
        for k in range(entries.shape[1]):
            entries[i, k].mass = weight if place >= 0 else entries[i, k].mass + weight
