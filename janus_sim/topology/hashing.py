"""Which spine a pair of devices is hashed to: seeded, the same in any process."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from janus_sim.topology.place import Device

Codes = NDArray[np.integer]


def code(device: Device) -> int:
    """Give a device a number of its own: a GPU its rank, host memory -1 - machine.

    Examples
    --------
    >>> code(3), code(("host", 0)), code(("host", 2))
    (3, -1, -3)
    """
    return -1 - device[1] if isinstance(device, tuple) else device


def spines(
    seed: int, sources: Codes, targets: Codes, among: int, numbers: Codes | int = 0
) -> NDArray[np.int32]:
    """Choose the spine of each queue pair of two devices, as a switch hashes its header.

    Both ways of a pair are hashed apart. The mixing is that of splitmix64 (Steele, Lea and Flood, Fast
    Splittable Pseudorandom Number Generators, OOPSLA 2014).

    Parameters
    ----------
    seed : int
        Below 2**63.
    sources, targets : (n,) int
        Codes of devices.
    among : int
        How many spines there are.
    numbers : (n,) int, or int
        Which queue pair of the two devices it is, from 0 on.

    Returns
    -------
    (n,) int32
        From 0 to among - 1.

    Examples
    --------
    >>> spines(0, np.arange(8), np.arange(8) + 8, 4).tolist()
    [2, 1, 2, 1, 1, 1, 0, 2]
    >>> spines(0, np.zeros(8, int), np.full(8, 8), 4, numbers=np.arange(8)).tolist()
    [2, 2, 3, 1, 0, 3, 0, 1]
    """
    mixed = _mix(np.full(1, seed, dtype=np.uint64))
    for codes in (sources, targets):
        mixed = _mix(mixed ^ np.asarray(codes, dtype=np.int64).view(np.uint64))
    which = np.asarray(numbers, dtype=np.uint64)
    mixed = np.where(which > 0, _mix(mixed ^ which), mixed)
    chosen: NDArray[np.int32] = (mixed % np.uint64(among)).astype(np.int32)
    return chosen


def spine(seed: int, source: Device, target: Device, among: int, number: int = 0) -> int:
    """Choose the spine of one queue pair of two devices; see `spines`.

    Examples
    --------
    >>> spine(0, 0, 8, 4), spine(0, 8, 0, 4), spine(0, ("host", 0), 8, 4)
    (2, 3, 0)
    """
    if among == 1:
        return 0
    return int(spines(seed, np.array([code(source)]), np.array([code(target)]), among, number)[0])


def _mix(state: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Give the next number of splitmix64 from each state; integers wrap around at 64 bits."""
    mixed = state + np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))
