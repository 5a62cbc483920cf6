"""`rates`: what each of a set of flows gets at one instant; arrays in, rates out."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from janus_sim.network import core
from janus_sim.network.flows import Flows


def rates(
    capacity: ArrayLike,
    routes: ArrayLike,
    *,
    rate_cap: ArrayLike | None = None,
    weight: ArrayLike | None = None,
    priority: ArrayLike | None = None,
) -> NDArray[np.float64]:
    """The max-min fair rates of flows that all move at once.

    Parameters
    ----------
    capacity : (links,) array of float
        Bytes per second.
    routes : (n, hops) array of int
        Links of each flow, padded with -1.
    rate_cap, weight : (n,) array of float, optional
        Bytes per second; share under contention.
    priority : (n,) array of int, optional
        Smaller numbers are served first, strictly.

    Returns
    -------
    (n,) array of float
        Bytes per second; infinite for a flow that nothing holds.

    Examples
    --------
    >>> rates([10.0, 4.0], [[0, -1], [0, 1], [1, -1]])
    array([8., 2., 2.])
    >>> rates([10.0], [[0], [0]], weight=[4.0, 1.0])
    array([8., 2.])
    >>> rates([10.0], [[0], [0]], priority=[0, 1], rate_cap=[7.0, np.inf])
    array([7., 3.])
    """
    flows = Flows(capacity)
    count = len(np.asarray(routes))
    flows.add(routes, np.ones(count), rate_cap=rate_cap, weight=weight, priority=priority)
    core.run(flows._net, -np.inf)
    heights = np.empty(count)
    core.read_heights(flows._net, heights)
    return heights * (1.0 if weight is None else np.asarray(weight, dtype=np.float64))
