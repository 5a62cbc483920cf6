"""Whether flows and links can be: shapes, signs and numbers, told flow by flow."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from janus_sim.errors import InputError, Mistake

_MOST = 20  # mistakes of one kind told in full


def check_capacity(capacity: ArrayLike) -> NDArray[np.float64]:
    """The capacities as an array, each finite and not negative."""
    values = _numbers("capacity", capacity)
    if values.ndim != 1:
        raise InputError(Mistake("capacity", f"has shape {values.shape}; give one number a link"))
    wrong = np.flatnonzero(~((values >= 0.0) & (values < np.inf)))
    if len(wrong):
        raise InputError(
            [
                Mistake(f"link {i}", f"capacity {values[i]} is impossible; give bytes per second")
                for i in wrong
            ]
        )
    return values.copy()


def check_tolerance(tolerance: float) -> float:
    """The tolerance, a part between 0 and 0.1."""
    if not 0.0 <= tolerance <= 0.1:
        raise InputError(
            Mistake("tolerance", f"{tolerance!r} is impossible; give a part between 0 (exact) and 0.1")
        )
    return float(tolerance)


def _numbers(name: str, given: ArrayLike) -> NDArray[np.float64]:
    """An array of float, or a mistake that names the argument."""
    try:
        return np.ascontiguousarray(given, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(Mistake(name, f"is not an array of numbers: {error}")) from None


def _wholes(name: str, given: ArrayLike, kind: type[np.signedinteger[Any]]) -> NDArray[Any]:
    """An array of integers, or a mistake that names the argument."""
    try:
        values = np.asarray(given)
    except ValueError as error:
        raise InputError(Mistake(name, f"is not an array of whole numbers: {error}")) from None
    if values.size and not np.issubdtype(values.dtype, np.integer):
        raise InputError(Mistake(name, f"holds {values.dtype}; give whole numbers"))
    bounds = np.iinfo(kind)
    fits = np.can_cast(values.dtype, kind)
    if values.size and not fits and (values.min() < bounds.min or values.max() > bounds.max):
        raise InputError(Mistake(name, "holds a number that is no index"))
    return np.ascontiguousarray(values, dtype=kind)


def columns(
    routes: ArrayLike,
    sizes: ArrayLike,
    starts: ArrayLike | None,
    rate_cap: ArrayLike | None,
    weight: ArrayLike | None,
    priority: ArrayLike | None,
    groups: ArrayLike | None,
    now: float,
) -> tuple[NDArray[Any], ...]:
    """Every argument as an array of one row a flow, or of a single row where it is the default for all."""
    size = np.atleast_1d(_numbers("sizes", sizes))
    count = len(size)
    route = _wholes("routes", routes, np.int32)
    if route.size == 0:
        route = np.full((count, 1), -1, np.int32)
    start = np.full(1, now) if starts is None else _numbers("starts", starts)
    cap = np.full(1, np.inf) if rate_cap is None else _numbers("rate_cap", rate_cap)
    share = np.ones(1) if weight is None else _numbers("weight", weight)
    rank = np.zeros(1, np.int64) if priority is None else _wholes("priority", priority, np.int64)
    group = np.full((1, 2), -1, np.int64) if groups is None else _wholes("groups", groups, np.int64)
    if group.ndim == 1 and len(group) == count:
        group = np.column_stack((group, np.full(count, -1, np.int64)))
    shapes = [
        ("sizes", sizes, size, (count,)),
        ("starts", starts, start, (count,)),
        ("rate_cap", rate_cap, cap, (count,)),
        ("weight", weight, share, (count,)),
        ("priority", priority, rank, (count,)),
        ("groups", groups, group, (count, 2)),
    ]
    wrong = [
        Mistake(name, f"has shape {values.shape}; {count} flows need {shape}")
        for name, given, values, shape in shapes
        if given is not None and values.shape != shape
    ]
    if route.ndim != 2 or len(route) != count:
        wrong.insert(
            0,
            Mistake("routes", f"has shape {route.shape}; {count} flows need ({count}, hops), padded with -1"),
        )
    elif route.shape[1] >= 1 << 8:
        wrong.insert(0, Mistake("routes", f"has {route.shape[1]} links; the longest route has 255"))
    if wrong:
        raise InputError(wrong)
    return route, size, start, cap, share, rank, group


def between(low: float, values: NDArray[Any], high: float = np.inf) -> bool:
    """Whether all of some numbers are from `low` to `high`; in one pass, without temporaries. NaN is not."""
    return values.size == 0 or bool(values.min() >= low and values.max() <= high)


def _sound(
    links: int,
    route: NDArray[np.int32],
    size: NDArray[np.float64],
    start: NDArray[np.float64],
    cap: NDArray[np.float64],
    weight: NDArray[np.float64],
    group: NDArray[np.int64],
    now: float,
    groups: int,
) -> bool:
    """Whether no flow is wrong, found out quickly: a million flows cost a few milliseconds."""
    most = float(np.finfo(np.float64).max)
    return (
        between(0.0, size, most)
        and between(max(now, -most), start, most)
        and between(0.0, cap)
        and between(np.nextafter(0.0, 1.0), weight, most)
        and between(-1, route, links - 1)
        and between(-np.inf, group, groups - 1)
    )


def check_flows(
    capacity: NDArray[np.float64],
    route: NDArray[np.int32],
    size: NDArray[np.float64],
    start: NDArray[np.float64],
    cap: NDArray[np.float64],
    weight: NDArray[np.float64],
    priority: NDArray[np.int64],
    group: NDArray[np.int64],
    *,
    now: float = -np.inf,
    groups: int = 0,
) -> list[Mistake]:
    """What is wrong with each flow, in words."""
    links = len(capacity)
    if _sound(links, route, size, start, cap, weight, group, now, groups):
        return []
    outside = (route < -1) | (route >= links)
    tests: list[tuple[Any, Callable[[int], str]]] = [
        (
            ~((size >= 0.0) & (size < np.inf)),
            lambda i: f"size {size[i]} is impossible; give bytes, 0 or more",
        ),
        (~(np.isfinite(start)), lambda i: f"start {start[i]} is impossible; give seconds"),
        (start < now, lambda i: f"starts at {start[i]} s, but it is already {now} s"),
        (~(cap >= 0.0), lambda i: f"rate cap {cap[i]} is impossible; give bytes per second"),
        (
            ~((weight > 0.0) & (weight < np.inf)),
            lambda i: f"weight {weight[i]} is impossible; give a number above 0",
        ),
        (
            outside.any(axis=1),
            lambda i: f"its route names link {route[i][outside[i]][0]}, but there are {links} links, from 0",
        ),
        (
            (group >= groups).any(axis=1),
            lambda i: f"belongs to group {group[i].max()}, but {groups} are reserved",
        ),
    ]
    mistakes = []
    for wrong, say in tests:
        found = np.flatnonzero(wrong)
        mistakes += [Mistake(f"flow {i}", say(i)) for i in found[:_MOST]]
        if len(found) > _MOST:
            mistakes.append(Mistake("flows", f"{len(found) - _MOST} more like the last one"))
    return mistakes
