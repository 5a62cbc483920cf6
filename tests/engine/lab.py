"""A small cluster of round numbers to tell stories on: 1 GB over 1 GB/s takes 1 s."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from janus_sim.engine.cluster import Cluster
from janus_sim.engine.gpu import Gpu, Shelf
from janus_sim.engine.place import Place
from janus_sim.engine.time import Steps
from janus_sim.files import merge
from janus_sim.topology import Topology
from janus_sim.workload.copies import Traffic
from janus_sim.workload.kernel import Kernel

GB = 10**9
SMS = 108  #: of the GPU; a collective with 54 leaves half to compute

FLOPS = (
    Kernel.product("a product", m=1000, n=1000, k=500, precision="fp16"),
)  #: 1 s of all SMs, see `Clock`
BYTES = (Kernel.passes("a pass", GB, precision="fp16"),)  #: 1 s, whatever is left of the SMs

Story = Callable[[Gpu], Steps]


class Clock:
    """Tells round numbers: products run at 1 GFLOP/s of all SMs, passes at 1 GB/s."""

    def seconds(self, kernels: tuple[Kernel, ...], share: float = 1.0, speed: float = 1.0) -> float:
        return sum(one.flops / 1e9 / share if one.gemm else one.bytes / 1e9 for one in kernels) / speed

    def launch_seconds(self, kernels: tuple[Kernel, ...]) -> float:
        return 0.0

    def ideal_seconds(self, kernels: tuple[Kernel, ...]) -> float:
        return sum(kernel.flops for kernel in kernels) / 1e9


def topology(
    machines: int = 1,
    gpus: int = 1,
    *,
    start: str = "0 s",
    nics: int = 1,
    changes: Mapping[str, Any] | None = None,
) -> Topology:
    """Machines of some GPUs; every link carries 1 GB/s, and every transfer starts after `start`."""
    rate = "1 GB/s"
    lines = {word: {kind: [{"start": start}] for kind in ("nvlink", "pcie", "rdma")} for word in
             ("all_to_all", "all_reduce", "pull")}  # fmt: skip
    about = {
        "base": "two_gpus",
        "machines": machines,
        "machine": {
            "gpus": {"count": gpus},
            "nvlink": {"bandwidth": rate},
            "pcie": {"switches": 1, "lane": {"bandwidth": rate}, "uplink": {"bandwidth": rate}},
            "host": {"bandwidth": rate},
            "nics": {"count": nics, "bandwidth": rate},
        },
        "communication": {"all_reduce_efficiency": 1.0},
        "transfers": lines,
    }
    return Topology.load(merge(about, changes or {}))


class Lab:
    """A cluster, and stories that run on its GPUs."""

    def __init__(self, where: Topology) -> None:
        self.cluster = Cluster(where)
        for stream in self.cluster.computes:
            stream.clock = Clock()  # type: ignore[assignment]

    def gpu(self, rank: int, lane: str = "F0", layer: int = 0) -> Gpu:
        return Gpu(self.cluster, rank, Place(0, 0, layer, "forward", lane), Shelf(put_off=False))

    def run(self, stories: Mapping[int, Story] | Sequence[Story]) -> Lab:
        """Run a story on each rank named, all from one instant, until nothing moves; check every cause."""
        pairs = stories.items() if isinstance(stories, Mapping) else enumerate(stories)
        for rank, story in pairs:
            self.cluster.timeline.start(story(self.gpu(rank)), "rank", rank)
        self.cluster.timeline.run()
        self.check_causes()
        self.cluster.end_step()
        return self

    @property
    def spans(self) -> list[dict[str, Any]]:
        columns = self.cluster.log.columns()
        rows = zip(*(column.tolist() for column in columns.values()), strict=True)
        return [dict(zip(columns, row, strict=True)) for row in rows]

    def span(self, label: str, rank: int | None = None) -> dict[str, Any]:
        """The only span of that label (on that rank)."""
        (found,) = [one for one in self.spans if one["label"] == label and rank in (None, one["rank"])]
        return found

    def times(self, label: str, rank: int | None = None) -> tuple[float, float, float]:
        """When that span was opened, began and ended; rounded to the nanosecond."""
        span = self.span(label, rank)
        return tuple(round(span[name], 9) for name in ("joined", "begin", "end"))  # type: ignore[return-value]

    def end(self, label: str, rank: int | None = None) -> float:
        return self.times(label, rank)[2]

    def check_causes(self) -> None:
        """Each span began exactly when its cause ended, or at the very start."""
        spans = self.spans
        for index, span in enumerate(spans):
            assert span["joined"] <= span["begin"] <= span["end"]
            assert span["why"] < index
            assert span["begin"] == (spans[span["why"]]["end"] if span["why"] >= 0 else 0.0), span


def table(ranks: Sequence[int], pairs: Mapping[tuple[int, int], float]) -> Traffic:
    """Traffic of some GB from rank to rank."""
    sizes = np.zeros((len(ranks), len(ranks)), dtype=np.int64)
    for (source, target), gigabytes in pairs.items():
        sizes[ranks.index(source), ranks.index(target)] = round(gigabytes * GB)
    return Traffic(tuple(ranks), sizes)


def everyone(ranks: Sequence[int], gigabytes: float = 1.0) -> Traffic:
    """The same from each rank to each other one."""
    return table(ranks, {(a, b): gigabytes for a in ranks for b in ranks if a != b})


def nothing(gpu: Gpu) -> Steps:
    yield from ()
