"""How long kernels take on a kind of GPU: matrix products by a model of their tiles, all else by HBM bandwidth."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from janus_sim.topology.gpu import GpuKind
from janus_sim.workload.kernel import Kernel

TILES: tuple[tuple[int, int], ...] = ((256, 128), (128, 256), (128, 128), (128, 64), (64, 128), (64, 64))
SPLITS: tuple[int, ...] = (1, 2, 3, 4, 5, 6, 7, 8)  #: ways in which k may be cut
PARTIAL = 4  #: bytes of a partial result of split-K, kept in single precision


def gemm_parts(gpu: GpuKind, kernel: Kernel) -> tuple[float, float]:
    """Return the seconds of a matrix product on all SMs: those of its tiles, and those of its HBM traffic.

    The tiles of the result run in waves over the SMs; a tile takes as long as the slower of its FLOPs and of the bytes
    that it loads, for k and a constant overhead. The best of a few tile shapes and of cutting k into 1 to 8 parts,
    whose partial results are added at a cost in bytes.
    """
    assert kernel.gemm is not None
    m, n, k, batch = kernel.gemm
    fit = gpu.gemm
    rate = fit.peak * gpu.peak(kernel.precision) / gpu.sms
    load = fit.l2_bandwidth / gpu.sms
    hbm = fit.hbm * gpu.hbm_bandwidth
    best = float("inf")
    for tm, tn in TILES:
        tiles = -(-m // tm) * -(-n // tn) * batch
        step = max(2 * tm * tn / rate, (tm + tn) * kernel.element / load)
        for split in SPLITS:
            waves = -(-tiles * split // gpu.sms)
            seconds = waves * step * (k / split + fit.k_overhead)
            if split > 1:
                seconds += fit.split_cost * PARTIAL * m * n * batch * split / hbm
            best = min(best, seconds)
    return best, kernel.bytes / hbm


class KernelClock:
    """Tells the seconds of kernels on one kind of GPU.

    Parameters
    ----------
    gpu : GpuKind
    launch : float
        Seconds that the host needs for a launch; stands in the place of the launch time in the fitted benchmark.
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
        norm = self.gpu.gemm.norm
        joined = ((compute / share) ** norm + memory**norm) ** (1 / norm)
        return float(launch + self.slowdown * joined)

    def _parts_of(self, kernel: Kernel) -> tuple[float, float]:
        return gemm_parts(self.gpu, kernel)
