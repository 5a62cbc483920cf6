"""Flows on a uniform network: how long they take, and what leaves each port."""

from __future__ import annotations

import numpy as np

from janus_sim.engine.rings import Ints, Pairs
from janus_sim.network import finish_times
from tests.engine.lab import GB, topology


def where(machines: int, gpus: int) -> list[int]:
    """The machine of each member."""
    return [machine for machine in range(machines) for _ in range(gpus)]


def seconds(pairs: Pairs, machines: int, gpus: int, nics: int | None = None) -> float:
    """Until the last flow has ended; every port, NIC and lane carries 1 GB/s, and there is no start time."""
    place = topology(machines, gpus, nics=gpus if nics is None else nics)
    source, target, sizes = pairs
    ends = finish_times(place.capacity, place.routes(source, target), sizes.astype(float))
    return round(float(ends.max(initial=0.0)), 6)


def exchange(table: Ints, machines: int, gpus: int, nics: int | None = None) -> float:
    """The seconds of one table of an All-to-All."""
    source, target = np.nonzero(table * (1 - np.eye(len(table), dtype=np.int64)))
    return seconds((source, target, table[source, target]), machines, gpus, nics)


def alike(machines: int, gpus: int, gigabytes: float) -> Ints:
    """An All-to-All in which each member has so many GB, its own part included."""
    count = machines * gpus
    return np.full((count, count), round(gigabytes * GB / count), dtype=np.int64)


def leaving(pairs: Pairs, places: list[int]) -> Ints:
    """Bytes that leave each machine."""
    source, target, sizes = pairs
    at = np.array(places)
    total = np.zeros(at.max() + 1, dtype=np.int64)
    far = at[source] != at[target]
    np.add.at(total, at[source[far]], sizes[far])
    return total
