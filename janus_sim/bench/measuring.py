"""One collective alone on an idle cluster, measured as nccl-tests measures it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from janus_sim.engine.cluster import Cluster
from janus_sim.engine.gpu import Gpu, Shelf
from janus_sim.engine.place import Place
from janus_sim.engine.time import Steps
from janus_sim.workload.copies import Traffic, frozen

if TYPE_CHECKING:
    from janus_sim.engine.hops import AllToAllPath
    from janus_sim.engine.rings import Ints
    from janus_sim.topology import Topology

ALIGNED: Final = 16  #: bytes to whose multiples nccl-tests cuts a buffer that is shared out among ranks

#: Bytes of an element, by the names of nccl-tests.
TYPES: Final = {
    **dict.fromkeys(("int8", "uint8", "char", "f8e4m3", "f8e5m2", "fp8_e4m3", "fp8_e5m2"), 1),
    **dict.fromkeys(("half", "bfloat16"), 2),
    **dict.fromkeys(("int32", "uint32", "int", "float"), 4),
    **dict.fromkeys(("int64", "uint64", "double"), 8),
}


@dataclass(frozen=True, slots=True)
class Kind:
    """What nccl-tests says of a collective.

    Attributes
    ----------
    program : str
        Its test.
    redop, root
        What stands in those columns.
    factor : function
        Bus bandwidth over algorithm bandwidth for n ranks, as PERFORMANCE.md of nccl-tests defines it.
    shared : bool
        Whether the buffer is cut into a part for each rank, and `count` is that of a part.
    """

    program: str
    redop: str
    root: int
    factor: Callable[[int], float]
    shared: bool


KINDS: Final = {
    "all_to_all": Kind("alltoall_perf", "none", -1, lambda n: (n - 1) / n, shared=True),
    "all_reduce": Kind("all_reduce_perf", "sum", -1, lambda n: 2 * (n - 1) / n, shared=False),
    "all_gather": Kind("all_gather_perf", "none", -1, lambda n: (n - 1) / n, shared=True),
    "reduce_scatter": Kind("reduce_scatter_perf", "sum", -1, lambda n: (n - 1) / n, shared=True),
    "broadcast": Kind("broadcast_perf", "none", 0, lambda _: 1.0, shared=False),
    "sendrecv": Kind("sendrecv_perf", "sum", -1, lambda _: 1.0, shared=False),
}


@dataclass(frozen=True, slots=True)
class Row:
    """One size.

    Attributes
    ----------
    size : int
        Bytes, as nccl-tests counts them: the larger of what a rank sends and what it receives.
    count : int
        Elements of the buffer, or of a rank's part of it where it is shared out.
    type : str
        Of the elements.
    time : float
        Seconds.
    algorithm, bus : float
        Bytes per second: size over time, and what a link sees of it.
    """

    size: int
    count: int
    type: str
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


def measure(
    topology: Topology, collective: str, size: int, element: str = "float", path: AllToAllPath = "flat"
) -> Row:
    """Simulate one collective of all GPUs, each with `size` bytes, on an idle cluster.

    Parameters
    ----------
    topology : Topology
    collective : {"all_to_all", "all_reduce", "all_gather", "reduce_scatter", "broadcast", "sendrecv"}
        ``sendrecv``: each rank sends to the next.
    size : int
        Bytes; rounded down to whole elements, or to 16 bytes for each rank where they are shared out.
    element : str
        The type of the elements.
    path : {"flat", "1dh", "2dh", "pairwise"}
        How an All-to-All goes; see `janus_sim.engine.hops`.

    Examples
    --------
    >>> from janus_sim.topology import Topology
    >>> row = measure(Topology.load("two_gpus"), "all_to_all", 2 * 10**9)
    >>> round(row.time, 4), round(row.bus / 1e9, 3)
    (0.1001, 9.99)
    """
    kind, world, width = KINDS[collective], topology.world, TYPES[element]
    unit = ALIGNED * world if kind.shared else width
    size = size // unit * unit
    time = _seconds(topology, collective, size, path)
    algorithm = size / time if time else 0.0
    count = size // (width * world if kind.shared else width)
    return Row(size, count, element, time, algorithm, algorithm * kind.factor(world))


def _seconds(topology: Topology, collective: str, size: int, path: AllToAllPath) -> float:
    ranks = tuple(range(topology.world))
    table = {"all_to_all": _everyone, "sendrecv": _next}.get(collective)
    traffic = Traffic(ranks, frozen(table(len(ranks), size))) if table else None

    def story(gpu: Gpu) -> Steps:
        if traffic:
            yield from gpu.exchange(traffic, "bench", path)
        else:
            yield getattr(gpu, collective)(ranks, size, "bench")

    cluster = Cluster(topology)
    for rank in ranks:
        cluster.timeline.start(story(Gpu(cluster, rank, Place(0), Shelf(put_off=False))), "rank", rank)
    cluster.timeline.run()
    return float(cluster.log.columns()["end"].max(initial=0.0))


def _everyone(world: int, size: int) -> Ints:
    return np.full((world, world), size // world, dtype=np.int64)


def _next(world: int, size: int) -> Ints:
    matrix = np.zeros((world, world), dtype=np.int64)
    matrix[np.arange(world), (np.arange(world) + 1) % world] = size
    return matrix
