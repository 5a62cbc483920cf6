"""What each link has carried and when: sums that are brought up to date when a rate changes."""

from __future__ import annotations

from janus_sim.network import layout as at
from janus_sim.network.compiled import Array, compiled


@compiled
def double_width(clock: Array, series: Array) -> None:
    """Add neighbouring bins together, so that the same number of bins spans twice the time."""
    bins = series.shape[1]
    for target in range(series.shape[0]):
        for i in range(bins):
            a = series[target, 2 * i] if 2 * i < bins else 0.0
            b = series[target, 2 * i + 1] if 2 * i + 1 < bins else 0.0
            series[target, i] = a + b
    clock[at.WIDTH] *= 2.0


@compiled
def write_series(target: int, now: float, clock: Array, link: Array, series: Array) -> None:
    """Put what the link carried since its last writing into the bins."""
    begin, rate = link[target, at.UP_TO], link[target, at.USE] + link[target, at.USE_ERROR]
    link[target, at.UP_TO] = now
    if not rate > 0.0 or now <= begin:
        return
    while now > clock[at.WIDTH] * series.shape[1]:
        double_width(clock, series)
    width, bins = clock[at.WIDTH], series.shape[1]
    i = min(int(begin / width), bins - 1)
    while begin < now:
        end = (i + 1) * width
        if end >= now or i == bins - 1:
            end = now
        if end > begin:
            series[target, i] += rate * (end - begin)
            begin = end
        i += 1


@compiled
def add_use(target: int, old: float, new: float, now: float, clock: Array, link: Array, series: Array) -> None:
    """The rate of one flow on this link goes from `old` to `new`; sums keep their rounding error beside them."""
    if old == 0.0 and new > 0.0:
        if link[target, at.ACTIVE] == 0.0:
            link[target, at.BUSY_SINCE] = now
        link[target, at.ACTIVE] += 1.0
    elif old > 0.0 and new == 0.0:
        link[target, at.ACTIVE] -= 1.0
        if link[target, at.ACTIVE] == 0.0:
            link[target, at.BUSY] += now - link[target, at.BUSY_SINCE]
    if series.shape[1] == 0:
        return
    if link[target, at.UP_TO] < now:
        write_series(target, now, clock, link, series)
    change = new - old
    whole = link[target, at.USE] + change
    back = whole - link[target, at.USE]
    link[target, at.USE_ERROR] += (link[target, at.USE] - (whole - back)) + (change - back)
    link[target, at.USE] = whole
    if link[target, at.ACTIVE] == 0.0:
        link[target, at.USE], link[target, at.USE_ERROR] = 0.0, 0.0


@compiled
def read_links(
    head: Array, clock: Array, route: Array, whole: Array, real: Array, lane: Array, link: Array, series: Array,
    carried: Array, busy: Array
) -> None:  # fmt: skip
    """Bytes carried and busy seconds of every link up to now, flows in flight included."""
    now = clock[at.NOW]
    for target in range(link.shape[0]):
        carried[target], busy[target] = link[target, at.CARRIED], link[target, at.BUSY]
        if link[target, at.ACTIVE] > 0.0:
            busy[target] += now - link[target, at.BUSY_SINCE]
        if series.shape[1] > 0:
            write_series(target, now, clock, link, series)
    for f in range(head[at.FLOWS]):
        if whole[f, at.STATE] == at.RUNNING:
            left = real[f, at.LEFT_OVER] - real[f, at.RATE] * (now - real[f, at.SINCE])
            for hop in range(whole[f, at.HOPS]):
                carried[lane[route[f, hop], at.LINK]] += real[f, at.SIZE] - max(0.0, left)
