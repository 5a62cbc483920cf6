"""`finish_times`: when each of a given list of flows ends, in one call."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from janus_sim.errors import InputError, Mistake
from janus_sim.network.checks import between, check_capacity, check_flows, columns
from janus_sim.network.flows import Flows


def finish_times(
    capacity: ArrayLike,
    routes: ArrayLike,
    sizes: ArrayLike,
    *,
    starts: ArrayLike | None = None,
    latency: ArrayLike | None = None,
    rate_cap: ArrayLike | None = None,
    weight: ArrayLike | None = None,
    priority: ArrayLike | None = None,
    tolerance: float = 0.0,
) -> NDArray[np.float64]:
    """When each flow ends, all sharing the links max-min fairly.

    Parameters
    ----------
    capacity : (links,) array of float
        Bytes per second.
    routes : (n, hops) array of int
        Links of each flow, padded with -1.
    sizes : (n,) array of float
        Bytes.
    starts : (n,) array of float, optional
        Seconds; default 0.
    latency : (links,) array of float, optional
        Seconds; the latencies of a route add up, and a flow uses no bandwidth until they have passed.
    rate_cap, weight : (n,) array of float, optional
        Bytes per second; share under contention.
    priority : (n,) array of int, optional
        Smaller numbers are served first, strictly.
    tolerance : float
        0 is exact. Else a link keeps its level while it is within this part of the exact one, and ends within this
        part of the time since the network was last idle may share a re-sharing: much faster for many flows of
        different sizes (`docs/model.md` tells the errors).

    Returns
    -------
    (n,) array of float
        Seconds.

    Raises
    ------
    InputError
        Naming every flow and link that is impossible, and flows that could never finish.

    Examples
    --------
    >>> finish_times([10.0, 10.0], [[0, 1], [0, -1], [1, -1]], [100.0, 100.0, 50.0], latency=[0.0, 1.0])
    array([20., 19., 11.])
    """
    values = check_capacity(capacity)
    told = columns(routes, sizes, starts, rate_cap, weight, priority, None, 0.0)
    delays = _delays(latency, len(values))
    mistakes = check_flows(values, *told) or _never(values, *told[:4])
    if mistakes:
        raise InputError(mistakes)
    route, size, start, cap, share, rank, group = told
    begin = start if latency is None else start + np.append(delays, 0.0)[route].sum(axis=1)
    flows = Flows(values, now=float(begin.min()) if len(begin) else 0.0, tolerance=tolerance)
    ends = flows._memory.watch_ends(len(size))
    flows._put((route, size, begin, cap, share, rank, group))
    flows.advance(np.inf)
    unfinished = np.flatnonzero(ends == np.inf)
    if len(unfinished):
        raise InputError(
            [
                Mistake(f"flow {i}", "can never finish: it gets no bandwidth, or too little")
                for i in unfinished
            ]
        )
    return ends


def _delays(latency: ArrayLike | None, links: int) -> NDArray[np.float64]:
    """One latency a link."""
    if latency is None:
        return np.zeros(links)
    delays = np.asarray(latency, dtype=np.float64)
    if delays.shape != (links,):
        raise InputError(Mistake("latency", f"has shape {delays.shape}; {links} links need ({links},)"))
    wrong = np.flatnonzero(~((delays >= 0.0) & (delays < np.inf)))
    if len(wrong):
        raise InputError(
            [Mistake(f"link {i}", f"latency {delays[i]} is impossible; give seconds") for i in wrong]
        )
    return delays


def _never(
    capacity: NDArray[np.float64],
    route: NDArray[Any],
    size: NDArray[Any],
    start: NDArray[Any],
    cap: NDArray[Any],
) -> list[Mistake]:
    """Flows with bytes that nothing could ever move, or that nothing holds."""
    least = np.nextafter(0.0, 1.0)
    if between(least, capacity) and between(least, cap) and between(0, route[:, 0]):
        return []
    moving = size > 0.0
    used = np.unique(route[moving])
    mistakes = [
        Mistake(f"link {i}", "has capacity 0 and flows over it, which can never finish")
        for i in used[used >= 0]
        if capacity[i] == 0.0
    ]
    mistakes += [
        Mistake(f"flow {i}", "has a rate cap of 0 and can never finish")
        for i in np.flatnonzero(moving & (cap == 0.0))
    ]
    loose = moving & (route < 0).all(axis=1) & (cap == np.inf)
    mistakes += [
        Mistake(
            f"flow {i}", f"has {size[i]} bytes, no link on its route and no rate cap; give it one of the two"
        )
        for i in np.flatnonzero(loose)
    ]
    return mistakes
