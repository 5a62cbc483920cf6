"""The lanes that wait for a visit: taken out by priority, then by level, the lowest first.

Lanes of the priority that is being repaired stand in buckets by level, a list each, with a bit for each bucket that
is not empty and a bit for each word of bits. The buckets span the levels that occurred lately.
"""

from __future__ import annotations

import numpy as np

from janus_sim.network import layout as at
from janus_sim.network import views
from janus_sim.network.bits import bits_of, trailing_zeros
from janus_sim.network.compiled import Record, inner


@inner
def put(x: int, net: Record) -> None:
    """Put lane `x` into its bucket."""
    lane, heads, words = views.lanes(net)[x], views.heads(net), views.words(net)
    key = lane.level
    if key == np.inf:
        key = max(lane.spare, 0.0) / lane.own_mass if lane.own > 0 else lane.ceiling
    bucket = min(max((bits_of(key) - net.lowest_bits) >> net.shift, 0), at.BUCKETS - 1)
    lane.next_marked = heads[bucket]
    heads[bucket] = x
    words[bucket >> 6] |= 1 << (bucket & 63)
    words[at.BUCKETS >> 6] |= 1 << (bucket >> 6)


@inner
def mark(x: int, net: Record) -> None:
    """Let lane `x` wait for a visit."""
    lane = views.lanes(net)[x]
    if lane.is_dirty != 0:
        return
    lane.is_dirty = 1
    net.dirty += 1
    if net.repairs != 0 and lane.ranking == net.current:
        put(x, net)
    else:
        views.later(net)[net.laters] = x
        net.laters += 1


@inner
def take_lowest(bucket: int, net: Record) -> int:
    """Take the lane of the lowest level out of a bucket."""
    lanes, heads = views.lanes(net), views.heads(net)
    best, before_best, before = heads[bucket], -1, heads[bucket]
    x = lanes[before].next_marked
    while x >= 0:
        if lanes[x].level < lanes[best].level:
            best, before_best = x, before
        before, x = x, lanes[x].next_marked
    if before_best < 0:
        heads[bucket] = lanes[best].next_marked
    else:
        lanes[before_best].next_marked = lanes[best].next_marked
    return int(best)


@inner
def take(net: Record) -> int:
    """Take out a marked lane of the priority that is being repaired, of the lowest level; -1 if there is none."""
    heads, words = views.heads(net), views.words(net)
    if words[at.BUCKETS >> 6] == 0:
        return -1
    w = trailing_zeros(words[at.BUCKETS >> 6])
    bucket = (w << 6) + trailing_zeros(words[w])
    x = take_lowest(bucket, net)
    if heads[bucket] < 0:
        words[w] &= words[w] - 1
        if words[w] == 0:
            words[at.BUCKETS >> 6] &= words[at.BUCKETS >> 6] - 1
    net.dirty -= 1
    return int(x)


@inner
def turn_to_next(net: Record) -> None:
    """Go on to the smallest priority number of the lanes that wait, which must be some."""
    lanes, later = views.lanes(net), views.later(net)
    lowest = lanes[later[0]].ranking
    for i in range(1, net.laters):
        lowest = min(lowest, lanes[later[i]].ranking)
    net.current, kept = lowest, 0
    for i in range(net.laters):
        x = later[i]
        if lanes[x].ranking == lowest:
            put(x, net)
        else:
            later[kept] = x
            kept += 1
    net.laters = kept


@inner
def spread(net: Record) -> None:
    """Let the buckets span the levels of all lanes as they are now."""
    low, high = np.inf, 0.0
    for x in range(net.lanes):
        level = views.lanes(net)[x].level
        if 0.0 < level < np.inf:
            low, high = min(low, level), max(high, level)
    if low < np.inf:
        net.lowest_bits, net.shift = bits_of(low), 0
        while (bits_of(high) - net.lowest_bits) >> net.shift >= at.BUCKETS:
            net.shift += 1


@inner
def forget_marks(net: Record) -> None:
    """Nobody waits for a visit any more."""
    lanes = views.lanes(net)
    for i in range(net.laters):
        lanes[views.later(net)[i]].is_dirty = 0
    net.laters, x = 0, take(net)
    while x >= 0:
        lanes[x].is_dirty = 0
        x = take(net)
    net.dirty = 0
