"""What each link has carried and when: sums that are brought up to date when its use changes."""

from __future__ import annotations

from janus_sim.network import layout as at
from janus_sim.network import views
from janus_sim.network.compiled import Array, Record, compiled, inner
from janus_sim.network.lanes import place_of


@inner
def double_width(net: Record) -> None:
    """Add neighbouring bins together, so that the same number of bins spans twice the time."""
    series = views.series(net)
    bins = series.shape[1]
    for target in range(series.shape[0]):
        for i in range(bins):
            a = series[target, 2 * i] if 2 * i < bins else 0.0
            b = series[target, 2 * i + 1] if 2 * i + 1 < bins else 0.0
            series[target, i] = a + b
    net.width *= 2.0


@inner
def write_series(target: int, net: Record) -> None:
    """Put what the link carried since its last writing into the bins."""
    series, link, now = views.series(net), views.link_records(net)[target], net.now
    begin, rate = link.written, link.use
    link.written = now
    if not rate > 0.0 or now <= begin:
        return
    while now > net.width * series.shape[1]:
        double_width(net)
    width, bins = net.width, series.shape[1]
    i = max(0, min(int(begin / width), bins - 1))
    while begin < now:
        end = (i + 1) * width
        if end >= now or i == bins - 1:
            end = now
        if end > begin:
            series[target, i] += rate * (end - begin)
            begin = end
        i += 1


@inner
def note_use(target: int, net: Record) -> None:
    """The use of a link may have changed: write what it was into the series, and find what it is."""
    write_series(target, net)
    link, lanes = views.link_records(net)[target], views.lanes(net)
    use, x = 0.0, link.top
    while x >= 0 and link.active > 0:
        if lanes[x].own > 0:
            use += lanes[x].available
            break
        use += lanes[x].available - max(0.0, lanes[x].spare)
        x = lanes[x].below
    link.use = use


@inner
def move(b: int, moves: bool, net: Record) -> None:
    """Bundle `b` starts to move, or stops: on each of its links one more or one less does."""
    path, lanes, link_records, now = views.paths(net), views.lanes(net), views.link_records(net), net.now
    for hop in range(views.bundles(net)[b].hops):
        link = link_records[lanes[path[b, hop]].link]
        if moves:
            if link.active == 0:
                link.busy_since = now
            link.active += 1
        else:
            link.active -= 1
            if link.active == 0:
                link.busy += now - link.busy_since


@inner
def to_go(f: int, net: Record) -> float:
    """Bytes a unit of weight that running flow `f` has left now; changes nothing."""
    flow = views.flows(net)[f]
    b, now = flow.bundle, net.now
    bundle = views.bundles(net)[b]
    if bundle.owner >= 0:
        lane = views.lanes(net)[bundle.owner]
        left: float = views.tags(net)[lane.block + place_of(b, bundle.owner, net)] - lane.service
        if now > lane.up_to:
            left -= lane.level * (now - lane.up_to)
    else:
        left = bundle.left_over
        if bundle.owner == at.CAP and now > bundle.since:
            left -= bundle.cap * (now - bundle.since)
    behind: float = flow.key - views.flows(net)[bundle.first].key
    return max(0.0, left) + behind


@compiled
def read_links(memory: Array, carried: Array, busy: Array) -> None:
    """Bytes carried and busy seconds of every link up to now, flows in flight included."""
    net = memory[0]
    flows, links, link_records = views.flows(net), views.links(net), views.link_records(net)
    for target in range(len(carried)):
        link = link_records[target]
        carried[target], busy[target] = link.carried, link.busy
        if link.active > 0:
            busy[target] += net.now - link.busy_since
        if net.binned > 0:
            write_series(target, net)
    for f in range(net.flows):
        if flows[f].state != at.RUNNING:
            continue
        moved = max(0.0, flows[f].size - flows[f].weight * to_go(f, net))
        for hop in range(links.shape[1]):
            if links[f, hop] >= 0:
                carried[links[f, hop]] += moved
