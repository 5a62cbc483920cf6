"""One collective alone on a cluster, measured as nccl-tests measures it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from janus_sim.engine.cluster import Cluster
from janus_sim.engine.gpu import Gpu, Shelf
from janus_sim.engine.place import Place
from janus_sim.engine.time import Steps
from janus_sim.errors import InputError, Mistake
from janus_sim.workload.copies import Traffic, frozen

if TYPE_CHECKING:
    from janus_sim.topology import Topology

ELEMENT = 4  #: bytes of a float, the type that nccl-tests uses by default
LOG_LIMIT = 4_000_000  #: bytes of a log, at most

#: Bus bandwidth over algorithm bandwidth for n ranks, as PERFORMANCE.md of nccl-tests defines it.
FACTORS: dict[str, Callable[[int], float]] = {
    "all_to_all": lambda n: (n - 1) / n,
    "all_reduce": lambda n: 2 * (n - 1) / n,
    "sendrecv": lambda n: 1.0,
}

_ROW = re.compile(r"^\s*(\d+)\s+(\d+)\s+(\w+)\s+(\w+)\s+(-?\d+)\s+([\d.]+)\s+([\d.]+)\s+([\d.]+)")


@dataclass(frozen=True, slots=True)
class Row:
    """One size.

    Attributes
    ----------
    size : int
        Bytes: what a rank sends in all (the buffer of an all-reduce).
    count : int
        Elements, as nccl-tests counts them.
    time : float
        Seconds.
    algorithm, bus : float
        Bytes per second: size over time, and what a link sees of it.
    """

    size: int
    count: int
    time: float
    algorithm: float
    bus: float


def sizes(least: int, most: int, factor: int) -> Iterator[int]:
    """Give sizes from `least` to `most`, each `factor` times the one before.

    Examples
    --------
    >>> list(sizes(1, 10, 2))
    [1, 2, 4, 8]
    """
    while least <= most:
        yield least
        least *= factor


def measure(topology: Topology, collective: str, size: int) -> Row:
    """Simulate one collective of all GPUs, each with `size` bytes, on an idle cluster.

    Parameters
    ----------
    topology : Topology
    collective : {"all_to_all", "all_reduce", "sendrecv"}
        ``sendrecv``: each rank sends to the next.
    size : int
        Bytes; rounded down to whole elements for each rank.

    Examples
    --------
    >>> from janus_sim.topology import Topology
    >>> row = measure(Topology.load("two_gpus"), "all_to_all", 2 * 10**9)
    >>> round(row.time, 4), round(row.bus / 1e9, 3)
    (0.1001, 9.99)
    """
    world = len(topology.gpus)
    ranks = tuple(range(world))
    unit = ELEMENT * (world if collective == "all_to_all" else 1)
    size = max(size // unit, 1) * unit
    traffic = Traffic(ranks, frozen(_matrix(collective, world, size)))

    def call(gpu: Gpu) -> Steps:
        if collective == "all_reduce":
            yield gpu.all_reduce(ranks, size, "bench")
        else:
            yield gpu.all_to_all(traffic, "bench")

    cluster = Cluster(topology)
    for rank in ranks:
        cluster.timeline.start(call(Gpu(cluster, rank, Place(0), Shelf(put_off=False))), "rank", rank)
    cluster.timeline.run()
    time = cluster.timeline.now
    algorithm = size / time if time else 0.0
    return Row(size, size // unit, time, algorithm, algorithm * FACTORS[collective](world))


def _matrix(collective: str, world: int, size: int) -> np.ndarray[tuple[int, int], np.dtype[np.int64]]:
    """Return the bytes from each rank to each."""
    if collective == "all_to_all":
        return np.full((world, world), size // world, dtype=np.int64)
    matrix = np.zeros((world, world), dtype=np.int64)
    matrix[np.arange(world), (np.arange(world) + 1) % world] = size
    return matrix


def read_log(path: Path) -> list[Row]:
    """Read the out-of-place columns of a log of nccl-tests.

    Raises
    ------
    InputError
        If it is no such log.
    """
    try:
        if path.stat().st_size > LOG_LIMIT:
            raise InputError(Mistake(f"{path}:", f"is larger than {LOG_LIMIT} bytes; is it a log?"))
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        raise InputError(Mistake(f"{path}:", f"cannot be read: {error.strerror}")) from error
    rows = [_row(found) for found in map(_ROW.match, lines) if found]
    if not rows:
        message = "holds no line of nccl-tests (size, count, type, redop, root, time, algbw, busbw)"
        raise InputError(Mistake(f"{path}:", message))
    return rows


def _row(found: re.Match[str]) -> Row:
    size, count = int(found[1]), int(found[2])
    time, algorithm, bus = (float(found[part]) for part in (6, 7, 8))
    return Row(size, count, time * 1e-6, algorithm * 1e9, bus * 1e9)


def error(ours: Row, theirs: Sequence[Row]) -> float | None:
    """Return our time over the measured one of that size, less one; None where it was not measured."""
    times = [row.time for row in theirs if row.size == ours.size and row.time > 0]
    return ours.time / float(np.median(times)) - 1.0 if times else None
