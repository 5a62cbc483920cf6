"""The flows of each (link, priority), a lane: compiled lists that a flow enters and leaves in constant time."""

from __future__ import annotations

import numpy as np

from janus_sim.network import layout as at
from janus_sim.network.compiled import Array, compiled


@compiled
def rest(x: int, level: Array, share: Array) -> float:
    """Bytes/s that lane `x` leaves to larger priorities: nothing where it is saturated."""
    if level[x] < np.inf:
        return 0.0
    left = share[x, at.AVAILABLE] - share[x, at.USED]
    return left if left > at.SAME * share[x, at.AVAILABLE] else 0.0


@compiled
def mark(x: int, head: Array, lane: Array, work: Array) -> None:
    """Put lane `x` among those that wait for a visit."""
    if lane[x, at.IS_DIRTY] == 0:
        lane[x, at.IS_DIRTY] = 1
        work[0, head[at.DIRTY]] = x
        head[at.DIRTY] += 1


@compiled
def offer_below(x: int, head: Array, lane: Array, share: Array, level: Array, work: Array) -> None:
    """Tell the lane below `x` what `x` leaves to it."""
    below = lane[x, at.BELOW]
    if below >= 0:
        left = rest(x, level, share)
        if left != share[below, at.AVAILABLE]:
            share[below, at.AVAILABLE] = left
            mark(below, head, lane, work)


@compiled
def take_block(room: int, head: Array, pool: Array) -> int:
    """First entry of a free block of `room` pool entries, a power of two."""
    kind = at.FREE_BLOCK
    while 1 << (kind - at.FREE_BLOCK) < room:
        kind += 1
    block = head[kind]
    if block >= 0:
        head[kind] = pool[block]
        return int(block)
    block = head[at.POOL_TOP]
    head[at.POOL_TOP] += room
    head[at.LARGEST] = max(head[at.LARGEST], room)
    return int(block)


@compiled
def give_block(block: int, room: int, head: Array, pool: Array) -> None:
    """Put a block back into its free list."""
    kind = at.FREE_BLOCK
    while 1 << (kind - at.FREE_BLOCK) < room:
        kind += 1
    pool[block] = head[kind]
    head[kind] = block


@compiled
def open_lane(
    target: int, ranking: int, head: Array, lane: Array, share: Array, level: Array, link: Array, pool: Array, work: Array
) -> int:
    """The lane of a link for one priority, made if there is none."""
    above, below = -1, int(link[target, at.TOP])
    while below >= 0 and lane[below, at.RANKING] < ranking:
        above, below = below, lane[below, at.BELOW]
    if below >= 0 and lane[below, at.RANKING] == ranking:
        return below
    x = head[at.FREE_LANE]
    if x >= 0:
        head[at.FREE_LANE] = lane[x, at.BELOW]
    else:
        x = head[at.LANES]
        head[at.LANES] += 1
    lane[x, at.LINK], lane[x, at.RANKING], lane[x, at.BELOW], lane[x, at.ABOVE] = target, ranking, below, above
    lane[x, at.ROOM], lane[x, at.COUNT] = 8, 0
    lane[x, at.BLOCK] = take_block(8, head, pool)
    share[x, at.USED], share[x, at.HEAVY] = 0.0, 0.0
    level[x] = np.inf
    if below >= 0:
        lane[below, at.ABOVE] = x
    if above >= 0:
        lane[above, at.BELOW] = x
        mark(above, head, lane, work)  # its use may be a bound only
        share[x, at.AVAILABLE] = rest(above, level, share)
    else:
        link[target, at.TOP] = x
        share[x, at.AVAILABLE] = link[target, at.CAPACITY]
    mark(x, head, lane, work)
    return int(x)


@compiled
def close_lane(
    x: int, head: Array, lane: Array, share: Array, level: Array, link: Array, pool: Array, work: Array
) -> None:
    """Remove an empty lane from its link; what it had goes to the lane below."""
    above, below = lane[x, at.ABOVE], lane[x, at.BELOW]
    level[x], share[x, at.USED] = np.inf, 0.0
    if below >= 0:
        lane[below, at.ABOVE] = above
        if share[below, at.AVAILABLE] != share[x, at.AVAILABLE]:
            share[below, at.AVAILABLE] = share[x, at.AVAILABLE]
            mark(below, head, lane, work)
    if above >= 0:
        lane[above, at.BELOW] = below
    else:
        link[lane[x, at.LINK], at.TOP] = below
    give_block(lane[x, at.BLOCK], lane[x, at.ROOM], head, pool)
    lane[x, at.BELOW] = head[at.FREE_LANE]
    head[at.FREE_LANE] = x


@compiled
def enter(f: int, hop: int, x: int, weight: float, head: Array, lane: Array, share: Array, pool: Array, route: Array) -> None:
    """Append flow `f`, at this hop of its route, to lane `x`."""
    count, room = lane[x, at.COUNT], lane[x, at.ROOM]
    if count == room:
        block = take_block(2 * room, head, pool)
        old = lane[x, at.BLOCK]
        for i in range(count):
            pool[block + i] = pool[old + i]
        give_block(old, room, head, pool)
        lane[x, at.BLOCK], lane[x, at.ROOM] = block, 2 * room
    pool[lane[x, at.BLOCK] + count] = (f << at.HOP_BITS) | hop
    route[f, hop] = x
    route[f, hop + route.shape[1] // 2] = count
    lane[x, at.COUNT] = count + 1
    share[x, at.HEAVY] += weight


@compiled
def quit_lane(f: int, hop: int, weight: float, lane: Array, share: Array, pool: Array, route: Array) -> int:
    """Take flow `f`, at this hop, out of its lane; the last entry fills the gap."""
    x = route[f, hop]
    half = route.shape[1] // 2
    place = route[f, hop + half]
    last = lane[x, at.COUNT] - 1
    moved = pool[lane[x, at.BLOCK] + last]
    pool[lane[x, at.BLOCK] + place] = moved
    route[moved >> at.HOP_BITS, (moved & ((1 << at.HOP_BITS) - 1)) + half] = place
    lane[x, at.COUNT] = last
    share[x, at.HEAVY] -= weight
    return int(x)
