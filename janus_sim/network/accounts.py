"""What each link has carried and when: sums that are brought up to date when its use changes."""

from __future__ import annotations

from janus_sim.network import layout as at
from janus_sim.network.compiled import Array, compiled, inner


@inner
def double_width(clock: Array, series: Array) -> None:
    """Add neighbouring bins together, so that the same number of bins spans twice the time."""
    bins = series.shape[1]
    for target in range(series.shape[0]):
        for i in range(bins):
            a = series[target, 2 * i] if 2 * i < bins else 0.0
            b = series[target, 2 * i + 1] if 2 * i + 1 < bins else 0.0
            series[target, i] = a + b
    clock[at.WIDTH] *= 2.0


@inner
def write_series(target: int, now: float, clock: Array, link: Array, series: Array) -> None:
    """Put what the link carried since its last writing into the bins."""
    begin, rate = link[target, at.WRITTEN], link[target, at.USE]
    link[target, at.WRITTEN] = now
    if not rate > 0.0 or now <= begin:
        return
    while now > clock[at.WIDTH] * series.shape[1]:
        double_width(clock, series)
    width, bins = clock[at.WIDTH], series.shape[1]
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
def note_use(target: int, clock: Array, lane: Array, share: Array, link: Array, series: Array) -> None:
    """The use of a link may have changed: write what it was into the series, and find what it is."""
    write_series(target, clock[at.NOW], clock, link, series)
    use, x = 0.0, int(link[target, at.TOP])
    while x >= 0 and link[target, at.ACTIVE] > 0.0:
        if lane[x, at.OWN] > 0:
            use += share[x, at.AVAILABLE]
            break
        use += share[x, at.AVAILABLE] - max(0.0, share[x, at.SPARE])
        x = int(lane[x, at.BELOW])
    link[target, at.USE] = use


@inner
def move(f: int, moves: bool, now: float, lane: Array, link: Array, route: Array, whole: Array) -> None:
    """Flow `f` starts to move, or stops: on each of its links one more or one less does."""
    for hop in range(whole[f, at.HOPS]):
        target = lane[route[f, hop], at.LINK]
        if moves:
            if link[target, at.ACTIVE] == 0.0:
                link[target, at.BUSY_SINCE] = now
            link[target, at.ACTIVE] += 1.0
        else:
            link[target, at.ACTIVE] -= 1.0
            if link[target, at.ACTIVE] == 0.0:
                link[target, at.BUSY] += now - link[target, at.BUSY_SINCE]


@compiled
def read_links(
    head: Array, clock: Array, route: Array, whole: Array, real: Array, lane: Array, share: Array, level: Array,
    link: Array, series: Array, pool: Array, left: Array, carried: Array, busy: Array
) -> None:  # fmt: skip
    """Bytes carried and busy seconds of every link up to now, flows in flight included."""
    now, half = clock[at.NOW], route.shape[1] // 2
    for target in range(link.shape[0]):
        carried[target], busy[target] = link[target, at.CARRIED], link[target, at.BUSY]
        if link[target, at.ACTIVE] > 0.0:
            busy[target] += now - link[target, at.BUSY_SINCE]
        if series.shape[1] > 0:
            write_series(target, now, clock, link, series)
    for f in range(head[at.FLOWS]):
        if whole[f, at.STATE] != at.RUNNING:
            continue
        x, to_go = whole[f, at.OWNER], 0.0
        if x < 0:
            to_go = real[f, at.LEFT_OVER] - real[f, at.CAP] * (now - real[f, at.SINCE])
        for hop in range(whole[f, at.HOPS]):
            if route[f, hop] == x and route[f, hop + half] >= 0:
                to_go = left[lane[x, at.BLOCK] + route[f, hop + half]]
                if now > share[x, at.UP_TO]:
                    to_go -= level[x] * (now - share[x, at.UP_TO])
        for hop in range(whole[f, at.HOPS]):
            moved = real[f, at.SIZE] - real[f, at.WEIGHT] * max(0.0, to_go)
            carried[lane[route[f, hop], at.LINK]] += max(0.0, moved)
