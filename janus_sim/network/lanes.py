"""The flows of each (link, priority), a lane: compiled lists that a flow enters and leaves in constant time.

A lane's entries lie in one block of the pool, its own flows first. Beside each entry stand its weight in this lane
(`mass`: a route may cross a link twice) and, of own flows, the bytes a unit of weight still to go (`left`).
"""

from __future__ import annotations

import numpy as np

from janus_sim.network import layout as at
from janus_sim.network.compiled import Array, inner


@inner
def mark(x: int, head: Array, lane: Array, work: Array) -> None:
    """Put lane `x` among those that wait for a visit."""
    if lane[x, at.IS_DIRTY] == 0:
        lane[x, at.IS_DIRTY] = 1
        work[0, head[at.DIRTY]] = x
        head[at.DIRTY] += 1


@inner
def feel(x: int, head: Array, lane: Array, work: Array) -> None:
    """Put lane `x` among those whose use may have changed."""
    if lane[x, at.IS_TOUCHED] == 0:
        lane[x, at.IS_TOUCHED] = 1
        work[1, head[at.TOUCHED]] = x
        head[at.TOUCHED] += 1


@inner
def rest(x: int, lane: Array, share: Array) -> float:
    """Bytes/s that lane `x` leaves to larger priorities: nothing where it holds flows back."""
    left = share[x, at.SPARE]
    return left if lane[x, at.OWN] == 0 and left > at.SAME * share[x, at.AVAILABLE] else 0.0


@inner
def grant(x: int, available: float, head: Array, lane: Array, share: Array, work: Array) -> None:
    """Tell lane `x` what it may use."""
    change = available - share[x, at.AVAILABLE]
    if change != 0.0:
        share[x, at.AVAILABLE] = available
        share[x, at.SPARE] += change
        share[x, at.SLOP] += abs(change)
        mark(x, head, lane, work)
        feel(x, head, lane, work)


@inner
def take_block(room: int, head: Array, pool: Array) -> int:
    """First entry of a free block of `room` pool entries, a power of two."""
    kind = at.FREE_BLOCK
    while 1 << (kind - at.FREE_BLOCK) < room:
        kind += 1
    block = int(head[kind])
    if block >= 0:
        head[kind] = pool[block]
        return block
    block = int(head[at.POOL_TOP])
    head[at.POOL_TOP] += room
    head[at.LARGEST] = max(head[at.LARGEST], room)
    return block


@inner
def give_block(block: int, room: int, head: Array, pool: Array) -> None:
    """Put a block back into its free list."""
    kind = at.FREE_BLOCK
    while 1 << (kind - at.FREE_BLOCK) < room:
        kind += 1
    pool[block] = head[kind]
    head[kind] = block


@inner
def open_lane(
    target: int, ranking: int, now: float, head: Array, lane: Array, share: Array, level: Array, link: Array, pool: Array,
    work: Array
) -> int:  # fmt: skip
    """The lane of a link for one priority, made if there is none."""
    above, below = -1, int(link[target, at.TOP])
    while below >= 0 and lane[below, at.RANKING] < ranking:
        above, below = below, int(lane[below, at.BELOW])
    if below >= 0 and lane[below, at.RANKING] == ranking:
        return below
    x = int(head[at.FREE_LANE])
    if x >= 0:
        head[at.FREE_LANE] = lane[x, at.BELOW]
    else:
        x = int(head[at.LANES])
        head[at.LANES] += 1
    lane[x, at.LINK], lane[x, at.RANKING], lane[x, at.BELOW], lane[x, at.ABOVE] = (
        target,
        ranking,
        below,
        above,
    )
    lane[x, at.ROOM], lane[x, at.COUNT], lane[x, at.OWN], lane[x, at.STALE] = 8, 0, 0, 0
    lane[x, at.BLOCK] = take_block(8, head, pool)
    share[x, at.OWN_MASS], share[x, at.SLOP], share[x, at.CEILING], share[x, at.UP_TO] = 0.0, 0.0, 0.0, now
    level[x] = np.inf
    if below >= 0:
        lane[below, at.ABOVE] = x
    if above >= 0:
        lane[above, at.BELOW] = x
        share[x, at.AVAILABLE] = rest(above, lane, share)
    else:
        link[target, at.TOP] = x
        share[x, at.AVAILABLE] = link[target, at.CAPACITY]
    share[x, at.SPARE] = share[x, at.AVAILABLE]
    return x


@inner
def close_lane(
    x: int, head: Array, lane: Array, share: Array, level: Array, link: Array, pool: Array, work: Array
) -> None:
    """Remove an empty lane from its link; what it had goes to the lane below. Its slot is freed at the settling."""
    above, below = lane[x, at.ABOVE], lane[x, at.BELOW]
    level[x] = np.inf
    if above >= 0:
        lane[above, at.BELOW] = below
    else:
        link[lane[x, at.LINK], at.TOP] = below
    if below >= 0:
        lane[below, at.ABOVE] = above
        grant(below, share[x, at.AVAILABLE], head, lane, share, work)
    give_block(lane[x, at.BLOCK], lane[x, at.ROOM], head, pool)
    feel(x, head, lane, work)


@inner
def enter(
    f: int,
    hop: int,
    x: int,
    weight: float,
    head: Array,
    lane: Array,
    pool: Array,
    mass: Array,
    left: Array,
    route: Array,
) -> None:
    """Append flow `f` to the foreign flows of lane `x`, or add to its weight there if it crosses the link again."""
    half = route.shape[1] // 2
    for earlier in range(hop):
        if route[f, earlier] == x:
            route[f, hop], route[f, hop + half] = x, -1
            mass[lane[x, at.BLOCK] + route[f, earlier + half]] += weight
            return
    count, room, block = lane[x, at.COUNT], lane[x, at.ROOM], lane[x, at.BLOCK]
    if count == room:
        old, block = block, take_block(2 * room, head, pool)
        for i in range(count):
            pool[block + i], mass[block + i], left[block + i] = pool[old + i], mass[old + i], left[old + i]
        give_block(old, room, head, pool)
        lane[x, at.BLOCK], lane[x, at.ROOM] = block, 2 * room
    pool[block + count] = (f << at.HOP_BITS) | hop
    mass[block + count] = weight
    route[f, hop], route[f, hop + half] = x, count
    lane[x, at.COUNT] = count + 1


@inner
def exchange(
    x: int, i: int, j: int, lane: Array, pool: Array, mass: Array, left: Array, route: Array
) -> None:
    """Exchange the entries `i` and `j` of lane `x`."""
    if i == j:
        return
    a, b = lane[x, at.BLOCK] + i, lane[x, at.BLOCK] + j
    half, hop_mask = route.shape[1] // 2, (1 << at.HOP_BITS) - 1
    pool[a], pool[b] = pool[b], pool[a]
    mass[a], mass[b] = mass[b], mass[a]
    left[a], left[b] = left[b], left[a]
    route[pool[a] >> at.HOP_BITS, (pool[a] & hop_mask) + half] = i
    route[pool[b] >> at.HOP_BITS, (pool[b] & hop_mask) + half] = j


@inner
def quit_lane(f: int, hop: int, lane: Array, pool: Array, mass: Array, left: Array, route: Array) -> None:
    """Take flow `f`, foreign at this hop, out of its lane."""
    x, place = route[f, hop], route[f, hop + route.shape[1] // 2]
    if place >= 0:
        last = lane[x, at.COUNT] - 1
        exchange(x, place, last, lane, pool, mass, left, route)
        lane[x, at.COUNT] = last


@inner
def entry_of(f: int, x: int, whole: Array, route: Array) -> int:
    """Where flow `f` stands in lane `x`."""
    half = route.shape[1] // 2
    for hop in range(whole[f, at.HOPS]):
        if route[f, hop] == x and route[f, hop + half] >= 0:
            return int(route[f, hop + half])
    return -1


@inner
def bring(x: int, now: float, lane: Array, share: Array, level: Array, left: Array) -> None:
    """Take off what the own flows of lane `x` have moved up to now."""
    step = now - share[x, at.UP_TO]
    share[x, at.UP_TO] = now
    if step > 0.0 and lane[x, at.OWN] > 0 and level[x] > 0.0:
        moved = step * level[x]
        block = lane[x, at.BLOCK]
        for i in range(block, block + lane[x, at.OWN]):
            left[i] = max(0.0, left[i] - moved)
