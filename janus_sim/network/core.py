"""What Python calls of the compiled network: add flows, run, read."""

from __future__ import annotations

import numpy as np

from janus_sim.network import layout as at
from janus_sim.network.compiled import Array, compiled, inner
from janus_sim.network.events import first, set_next
from janus_sim.network.lanes import bring, grant
from janus_sim.network.owners import height
from janus_sim.network.running import join, leave, settle


@inner
def lacks_room(hops: int, head: Array, pool: Array, lane: Array) -> bool:
    """Whether one more start might not fit."""
    wanted: int = head[at.POOL_TOP] + hops * max(16, 2 * head[at.LARGEST])
    lanes: int = head[at.LANES] + hops
    return wanted > len(pool) or lanes > len(lane)


@inner
def refuses(
    links: Array, size: float, start: float, cap: float, weight: float, a: int, b: int, now: float, links_known: int,
    groups: int
) -> bool:  # fmt: skip
    """Whether a flow says anything impossible."""
    if not (size >= 0.0 and size < np.inf and start >= now and start < np.inf and cap >= 0.0):
        return True
    if not (weight > 0.0 and weight < np.inf) or a >= groups or b >= groups:
        return True
    for x in links:  # noqa: SIM110
        if x < -1 or x >= links_known:
            return True
    return False


@inner
def place(
    links: Array, size: float, start: float, cap: float, weight: float, priority: int, a: int, b: int, head: Array,
    route: Array, whole: Array, real: Array, when: Array, soonest: Array, group: Array
) -> int:  # fmt: skip
    """Write a flow into a free slot, waiting for its start; the slot."""
    f = head[at.FREE_FLOW]
    if f >= 0:
        head[at.FREE_FLOW] = whole[f, at.FOLLOWING]
    else:
        f = head[at.FLOWS]
        head[at.FLOWS] += 1
    hops = 0
    for x in links:
        if x >= 0:
            route[f, hops] = x
            hops += 1
    for hop in range(hops, route.shape[1] // 2):
        route[f, hop] = -1
    whole[f, at.ID], whole[f, at.STATE] = head[at.NEXT_ID], at.WAITING
    whole[f, at.HOPS], whole[f, at.PRIORITY], whole[f, at.GROUP_A], whole[f, at.GROUP_B] = (
        hops,
        priority,
        a,
        b,
    )
    real[f, at.SIZE], real[f, at.WEIGHT], real[f, at.CAP] = size, weight, cap / weight
    set_next(f, start, when, soonest)
    head[at.NEXT_ID] += 1
    head[at.IN_FLIGHT] += 1
    for g in (a, b):
        if g >= 0:
            if group[g, at.EXPECTED] > 0:
                group[g, at.EXPECTED] -= 1
            else:
                group[g, at.MEMBERS] += 1
    return int(f)


@compiled
def add_one(
    head: Array, clock: Array, route: Array, whole: Array, real: Array, when: Array, soonest: Array, lane: Array,
    share: Array, level: Array, due: Array, imminent: Array, link: Array, series: Array, pool: Array, mass: Array,
    left: Array, work: Array, heap: Array, group: Array, emptied: Array, ends: Array,
    links: Array, size: float, start: float, cap: float, weight: float, priority: int, a: int, b: int
) -> int:  # fmt: skip
    """Add one flow; its id, or GROW or WRONG with nothing done. A start of -inf means now."""
    now = clock[at.NOW]
    start = max(start, now) if start == -np.inf else start
    if refuses(links, size, start, cap, weight, a, b, now, len(link), head[at.GROUPS]):
        return at.WRONG
    if (
        (head[at.FREE_FLOW] < 0 and head[at.FLOWS] >= len(whole))
        or 2 * len(links) > route.shape[1]
        or lacks_room(len(links), head, pool, lane)
    ):
        return at.GROW
    f = place(links, size, start, cap, weight, priority, a, b, head, route, whole, real, when, soonest, group)
    if start <= now and size > 0.0:
        join(
            f, head, clock, route, whole, real, when, soonest, lane, share, level, link, pool, mass, left, work
        )  # fmt: skip
    return int(whole[f, at.ID])


@compiled
def add_many(
    head: Array, clock: Array, route: Array, whole: Array, real: Array, when: Array, soonest: Array, lane: Array,
    share: Array, level: Array, due: Array, imminent: Array, link: Array, series: Array, pool: Array, mass: Array,
    left: Array, work: Array, heap: Array, group: Array, emptied: Array, ends: Array,
    begin: int, links: Array, size: Array, start: Array, cap: Array, weight: Array, priority: Array, groups: Array
) -> tuple[int, int]:  # fmt: skip
    """Add flows begin, begin + 1, ...: (DONE, n), or (GROW or WRONG, the flow at which it stopped)."""
    for i in range(begin, len(size)):
        code = add_one(
            head, clock, route, whole, real, when, soonest, lane, share, level, due, imminent, link, series, pool, mass, left,
            work, heap, group, emptied, ends,
            links[i], size[i], start[i], cap[i], weight[i], priority[i], groups[i, 0], groups[i, 1]
        )  # fmt: skip
        if code < 0:
            return code, i
    return at.DONE, len(size)


@inner
def finish(
    f: int, found: int, now: float, head: Array, whole: Array, when: Array, soonest: Array, group: Array, emptied: Array,
    ends: Array
) -> None:  # fmt: skip
    """Strike a flow that has ended off its groups, and free its slot."""
    name = whole[f, at.ID]
    if name < len(ends):
        ends[name] = now
    for column in (at.GROUP_A, at.GROUP_B):
        g = whole[f, column]
        if g < 0:
            continue
        group[g, at.MEMBERS] -= 1
        if group[g, at.LAST_EVENT] < head[at.EVENTS] or group[g, at.LAST_ID] < name:
            group[g, at.LAST_EVENT], group[g, at.LAST_ID], group[g, at.LAST_LINK] = (
                head[at.EVENTS],
                name,
                found,
            )
        if group[g, at.MEMBERS] == 0:
            emptied[head[at.EMPTIED]] = g
            head[at.EMPTIED] += 1
    whole[f, at.STATE] = at.FREE
    whole[f, at.FOLLOWING] = head[at.FREE_FLOW]
    head[at.FREE_FLOW] = f
    head[at.IN_FLIGHT] -= 1
    set_next(f, np.inf, when, soonest)


@inner
def ends_at(
    x: int, until: float, head: Array, clock: Array, route: Array, whole: Array, real: Array, when: Array, soonest: Array,
    lane: Array, share: Array, level: Array, link: Array, pool: Array, mass: Array, left: Array, work: Array, group: Array,
    emptied: Array, ends: Array
) -> None:  # fmt: skip
    """End the own flows of lane `x` that are through by `until`: at least the first of them."""
    now, block = clock[at.NOW], lane[x, at.BLOCK]
    bring(x, now, lane, share, level, left)
    limit = np.inf
    for i in range(block, block + lane[x, at.OWN]):
        limit = min(limit, left[i])
    limit = max(limit, level[x] * (until - now))
    for i in range(lane[x, at.OWN] - 1, -1, -1):
        if left[block + i] <= limit:
            f = pool[block + i] >> at.HOP_BITS
            found = leave(
                f, head, clock, route, whole, real, lane, share, level, link, pool, mass, left, work
            )  # fmt: skip
            finish(f, found, now, head, whole, when, soonest, group, emptied, ends)


@inner
def happen(
    head: Array, clock: Array, route: Array, whole: Array, real: Array, when: Array, soonest: Array, lane: Array,
    share: Array, level: Array, due: Array, imminent: Array, link: Array, series: Array, pool: Array, mass: Array,
    left: Array, work: Array, heap: Array, group: Array, emptied: Array, ends: Array,
    until: float
) -> int:  # fmt: skip
    """All starts and ends up to `until`, taken as one instant."""
    for batch in range((head[at.LANES] + at.BATCH - 1) // at.BATCH):
        if not imminent[batch] <= until:
            continue
        for x in range(batch * at.BATCH, min((batch + 1) * at.BATCH, head[at.LANES])):
            if due[x] <= until:
                ends_at(
                    x, until, head, clock, route, whole, real, when, soonest, lane, share, level, link, pool, mass, left,
                    work, group, emptied, ends
                )  # fmt: skip
                set_next(x, np.inf, due, imminent)
    for batch in range((head[at.FLOWS] + at.BATCH - 1) // at.BATCH):
        if not soonest[batch] <= until:
            continue
        for f in range(batch * at.BATCH, min((batch + 1) * at.BATCH, head[at.FLOWS])):
            if when[f] > until:
                continue
            found = -1
            if whole[f, at.STATE] == at.WAITING and real[f, at.SIZE] > 0.0:
                if lacks_room(whole[f, at.HOPS], head, pool, lane):
                    return at.GROW
                set_next(f, np.inf, when, soonest)
                join(
                    f, head, clock, route, whole, real, when, soonest, lane, share, level, link, pool, mass, left, work
                )  # fmt: skip
                continue
            if whole[f, at.STATE] == at.RUNNING:
                found = leave(
                    f, head, clock, route, whole, real, lane, share, level, link, pool, mass, left, work
                )  # fmt: skip
            finish(f, found, clock[at.NOW], head, whole, when, soonest, group, emptied, ends)
    return at.DONE


@compiled
def run(
    head: Array, clock: Array, route: Array, whole: Array, real: Array, when: Array, soonest: Array, lane: Array,
    share: Array, level: Array, due: Array, imminent: Array, link: Array, series: Array, pool: Array, mass: Array,
    left: Array, work: Array, heap: Array, group: Array, emptied: Array, ends: Array,
    until: float
) -> tuple[int, float, float, int]:  # fmt: skip
    """Run to `until` or to the first instant at which a group empties: (code, now, next event, groups emptied).

    With `until` before now, nothing happens and the next event is told. After a GROW, call again.
    """
    code = at.DONE
    limit = until + at.ROUNDING * abs(until) if until > -np.inf else until
    while True:
        settle(
            head, clock, route, whole, real, when, soonest, lane, share, level, due, imminent, link, series, pool, mass,
            left, work, heap
        )  # fmt: skip
        time = min(first(head[at.FLOWS], when, soonest), first(head[at.LANES], due, imminent))
        if time > limit or time == np.inf:
            if clock[at.NOW] < until < np.inf:
                clock[at.NOW] = until
            break
        time = min(time, until)
        if time > clock[at.NOW]:
            clock[at.NOW] = time
            head[at.EVENTS] += 1
        code = happen(
            head, clock, route, whole, real, when, soonest, lane, share, level, due, imminent, link, series, pool, mass, left,
            work, heap, group, emptied, ends,
            time + at.INSTANT * abs(time)
        )  # fmt: skip
        if code != at.DONE or head[at.EMPTIED] > 0:
            time = -np.inf
            break
    return code, clock[at.NOW], time, head[at.EMPTIED]


@compiled
def change(
    target: int, value: float, head: Array, lane: Array, share: Array, link: Array, work: Array
) -> None:
    """Give a link another capacity from now on."""
    link[target, at.CAPACITY] = value
    if link[target, at.TOP] >= 0.0:
        grant(int(link[target, at.TOP]), value, head, lane, share, work)


@compiled
def read_heights(
    head: Array, clock: Array, route: Array, whole: Array, real: Array, when: Array, soonest: Array, lane: Array,
    share: Array, level: Array, due: Array, imminent: Array, link: Array, series: Array, pool: Array, mass: Array,
    left: Array, work: Array, heap: Array, group: Array, emptied: Array, ends: Array,
    heights: Array
) -> None:  # fmt: skip
    """The level of each running flow, by slot."""
    for f in range(min(head[at.FLOWS], len(heights))):
        heights[f] = height(f, level, whole, real)
