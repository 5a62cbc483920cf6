"""The views of other GPUs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from janus_sim.engine.gpu import Gpu

G = TypeVar("G", bound="Gpu")


class Peers(Generic[G]):
    """`gpu.peers[rank]`: the views of other GPUs at the same place, or of those whose images they are."""

    __slots__ = ("_gpu",)

    def __init__(self, gpu: G) -> None:
        self._gpu = gpu

    def __getitem__(self, rank: int) -> G:
        gpu, cluster = self._gpu, self._gpu._cluster
        image = rank % cluster.alive if cluster.images > 1 else rank
        return type(gpu)(cluster, image, gpu.place, gpu._shelf)
