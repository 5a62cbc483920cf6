"""How long kernels take on a kind of GPU: matrix products by their tiles, all else by HBM bandwidth."""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

from janus_sim.topology.gpu import GpuKind
from janus_sim.workload.kernel import Kernel

TILES: tuple[tuple[int, int], ...] = ((256, 128), (128, 256), (128, 128), (128, 64), (64, 128), (64, 64))
SPLITS: tuple[int, ...] = (1, 2, 3, 4, 5, 6, 7, 8)  #: ways in which k may be cut
PARTIAL = 4  #: bytes of a partial result of split-K, kept in single precision


class _Tile(NamedTuple):
    """A tile shape and the seconds that it takes for a step along k."""

    tall: int
    wide: int
    step: float


def gemm_parts(gpu: GpuKind, kernel: Kernel) -> tuple[float, float]:
    """Return the seconds of a matrix product on all SMs: those of its tiles, and those of its HBM traffic.

    The tiles of the result run in waves over the SMs. A tile takes k steps and a constant overhead of steps;
    a step takes the p-norm of its FLOPs and of the bytes that it loads from the L2. What counts is the best
    of a few tile shapes and of cutting k into 1 to 8 parts, whose partial results cost HBM traffic.

    Examples
    --------
    >>> product = Kernel.product("fc1", m=32768, n=3072, k=768, precision="fp16")
    >>> compute, memory = gemm_parts(GpuKind.load("a100-sxm4-80gb"), product)
    >>> compute > memory
    True
    """
    return _parts(gpu, kernel, _tiles(gpu, kernel.precision, kernel.element))


def _tiles(gpu: GpuKind, precision: str, element: int) -> tuple[_Tile, ...]:
    fit = gpu.gemm
    rate = fit.peak * gpu.peak(precision) / gpu.sms
    load = fit.l2_bandwidth / gpu.sms
    return tuple(
        _Tile(tall, wide, _joined(2 * tall * wide / rate, (tall + wide) * element / load, fit.norm))
        for tall, wide in TILES
    )


def _parts(gpu: GpuKind, kernel: Kernel, shapes: tuple[_Tile, ...]) -> tuple[float, float]:
    if kernel.gemm is None:
        raise ValueError(f"{kernel.name} is no matrix product")
    m, n, k, batch = kernel.gemm
    fit, sms = gpu.gemm, gpu.sms
    hbm = fit.hbm * gpu.hbm_bandwidth
    partial = fit.split_cost * PARTIAL * m * n * batch / hbm
    best = math.inf
    for tall, wide, step in shapes:
        tiles = -(-m // tall) * -(-n // wide) * batch
        for split in SPLITS:
            waves = -(-tiles * split // sms)
            seconds = waves * step * (k / split + fit.k_overhead)
            if split > 1:
                seconds += partial * split
            if seconds < best:
                best = seconds
    return best, kernel.bytes / hbm


def _joined(one: float, other: float, norm: float) -> float:
    """Join two times that overlap: their p-norm, which lies above the longer and below the sum."""
    longer, shorter = max(one, other), min(one, other)
    return longer * (1 + (shorter / longer) ** norm) ** (1 / norm) if longer else 0.0


class KernelClock:
    """Tells the seconds of kernels on one kind of GPU.

    Parameters
    ----------
    gpu : GpuKind
    launch : float
        Seconds that the host needs for a launch; stands in the place of the launch time of the fit.
    slowdown : float
        Factor on matrix products (``training_slowdown`` of the workload).

    Examples
    --------
    >>> clock = KernelClock(GpuKind.load("a100-sxm4-80gb"), launch=4e-6)
    >>> copy = Kernel.passes("copy", 1_671_980_000, precision="fp16")
    >>> round(clock.seconds((copy,)) * 1e6)
    1004
    >>> round(clock.seconds((copy,), speed=0.5) * 1e6)
    2008
    """

    def __init__(self, gpu: GpuKind, launch: float, slowdown: float = 1.0) -> None:
        self.gpu = gpu
        self.launch = launch
        self.slowdown = slowdown
        self._tiles = lru_cache(maxsize=16)(self._tiles_of)
        self._parts = lru_cache(maxsize=1 << 17)(self._parts_of)
        self._total = lru_cache(maxsize=1 << 17)(self._total_of)

    def seconds(self, kernels: tuple[Kernel, ...], share: float = 1.0, speed: float = 1.0) -> float:
        """Return the seconds of kernels that run back to back.

        Parameters
        ----------
        kernels : tuple of Kernel
        share : float
            Part of the SMs that is left to compute, above 0 and at most 1; slows what is bound by FLOPs.
        speed : float
            Speed of this GPU against its kind; slows all.
        """
        return self._total(kernels, share) / speed

    def launch_seconds(self, kernels: Iterable[Kernel]) -> float:
        """Return the seconds of launches alone."""
        return self.launch * sum(kernel.launches for kernel in kernels)

    def ideal_seconds(self, kernels: Iterable[Kernel]) -> float:
        """Return the seconds of the kernels' FLOPs at the peak of the data sheet."""
        return sum(
            kernel.flops / self.gpu.peak(kernel.precision) for kernel in kernels if kernel.gemm is not None
        )

    def _total_of(self, kernels: tuple[Kernel, ...], share: float) -> float:
        return sum(self._one(kernel, share) for kernel in kernels)

    def _one(self, kernel: Kernel, share: float) -> float:
        launch = self.launch * kernel.launches
        if kernel.gemm is None:
            return launch + kernel.bytes / (self.gpu.hbm_efficiency * self.gpu.hbm_bandwidth)
        compute, memory = self._parts(kernel)
        return launch + self.slowdown * _joined(compute / share, memory, self.gpu.gemm.norm)

    def _parts_of(self, kernel: Kernel) -> tuple[float, float]:
        return _parts(self.gpu, kernel, self._tiles(kernel.precision, kernel.element))

    def _tiles_of(self, precision: str, element: int) -> tuple[_Tile, ...]:
        return _tiles(self.gpu, precision, element)
