"""The obvious max-min network in exact fractions: slow, short, and right; the twin of `janus_sim.network`."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

Rates = dict[int, Fraction]


def fill(
    flows: Sequence[int],
    left: dict[int, Fraction],
    routes: Sequence[Sequence[int]],
    weight: Sequence[Fraction],
    cap: Sequence[Fraction | None],
) -> Rates:
    """Raise all flows of one priority together, by weight; freeze whoever meets a full link or its cap."""
    rates: Rates = {}
    free = set(flows)
    while free:
        loads: dict[int, Fraction] = {}
        for f in free:
            for link in routes[f]:
                loads[link] = loads.get(link, Fraction(0)) + weight[f]
        bounds = [left[link] / load for link, load in loads.items()]
        bounds += [bound / weight[f] for f in free if (bound := cap[f]) is not None]
        height = min(bounds)
        held = {
            f
            for f in free
            if any(left[link] == height * loads[link] for link in routes[f]) or cap[f] == height * weight[f]
        }
        for f in held:
            rates[f] = height * weight[f]
        for f in held:
            for link in routes[f]:
                left[link] -= rates[f]
        free -= held
    return rates


def share(
    capacity: Sequence[Fraction],
    flows: Sequence[int],
    routes: Sequence[Sequence[int]],
    weight: Sequence[Fraction],
    cap: Sequence[Fraction | None],
    priority: Sequence[int],
) -> Rates:
    """The max-min fair rates: smaller priorities first, the next on what they leave."""
    left = dict(enumerate(capacity))
    rates: Rates = {}
    for rank in sorted({priority[f] for f in flows}):
        rates |= fill([f for f in flows if priority[f] == rank], left, routes, weight, cap)
    return rates


def finish_times(
    capacity: Sequence[Fraction],
    routes: Sequence[Sequence[int]],
    sizes: Sequence[Fraction],
    starts: Sequence[Fraction],
    weight: Sequence[Fraction],
    cap: Sequence[Fraction | None],
    priority: Sequence[int],
    changes: Sequence[tuple[Fraction, int, Fraction]] = (),
    instant: Fraction = Fraction(0),
) -> list[Fraction | None]:
    """When each flow ends; None if it never does. Changes are (time, link, capacity), by time.

    Starts and ends within a relative `instant` of the first of them happen with it.
    """
    capacity, later, to_go = list(capacity), list(changes), dict(enumerate(sizes))
    ends: list[Fraction | None] = [
        start if size == 0 else None for start, size in zip(starts, sizes, strict=True)
    ]
    now = min(starts, default=Fraction(0))
    while True:
        while later and later[0][0] <= now:
            _, link, value = later.pop(0)
            capacity[link] = value
        moving = [f for f in to_go if ends[f] is None and starts[f] <= now + abs(now) * instant]
        loose = [f for f in moving if not routes[f] and cap[f] is None]
        for f in loose:
            ends[f] = now
        moving = [f for f in moving if ends[f] is None]
        rates = share(capacity, moving, routes, weight, cap, priority)
        events = [now + to_go[f] / rates[f] for f in moving if rates[f] > 0]
        events += [start for start in starts if start > now + abs(now) * instant] + [
            time for time, _, _ in later[:1]
        ]
        if not events:
            return ends
        soon = min(events)
        for f in moving:
            to_go[f] -= rates[f] * (soon - now)
            if to_go[f] <= rates[f] * abs(soon) * instant and (to_go[f] == 0 or rates[f] > 0):
                ends[f] = soon
        now = soon
