"""Kernels by number: how long each takes at each share of the SMs, and what its span tells."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from janus_sim.engine.kernel_time import KernelClock
    from janus_sim.workload.kernel import Kernel

Floats = NDArray[np.float64]
Kernels = tuple["Kernel", ...]


class Works:
    """The kernels met so far on GPUs of one kind.

    Parameters
    ----------
    clock : KernelClock
    sms : int
        Of a GPU.

    Attributes
    ----------
    seconds : (shares, works) float64
        At each share of the SMs met so far; all of them first.
    gap : (works,) float64
        Seconds of host time before the first kernel.
    facts : list of tuple of float
        Useful FLOPs, all FLOPs, seconds of launches, and at the peak, of each.
    """

    def __init__(self, clock: KernelClock, sms: int) -> None:
        self.clock, self.sms = clock, sms
        self.seconds: Floats = np.zeros((1, 256))
        self.gap: Floats = np.zeros(256)
        self.facts: list[tuple[float, float, float, float]] = []
        self._kernels: list[Kernels] = []
        self._known: dict[tuple[Kernels, float, float], int] = {}
        self._shares: dict[int, int] = {0: 0}

    def number(self, kernels: Kernels, gap: float, useful: float) -> int:
        """Return the number of kernels that run back to back after `gap` seconds."""
        key = (kernels, gap, useful)
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = self._new(kernels, gap, useful)
        return found

    def _new(self, kernels: Kernels, gap: float, useful: float) -> int:
        number, clock = len(self._kernels), self.clock
        if number == len(self.gap):
            self.seconds = np.concatenate([self.seconds, np.zeros_like(self.seconds)], axis=1)
            self.gap = np.concatenate([self.gap, np.zeros_like(self.gap)])
        self._kernels.append(kernels)
        flops = float(sum(kernel.flops for kernel in kernels))
        launches, ideal = clock.launch_seconds(kernels), clock.ideal_seconds(kernels)
        self.facts.append((flops * useful, flops, launches + gap, ideal * useful))
        self.gap[number] = gap
        for taken, row in self._shares.items():
            self.seconds[row, number] = self._seconds(kernels, taken)
        return number

    def share(self, taken: int) -> int:
        """Return the row of `seconds` in which so many SMs are taken by communication."""
        row = self._shares.get(taken)
        if row is None:
            row = self._shares[taken] = len(self.seconds)
            more = np.zeros((1, self.seconds.shape[1]))
            more[0, : len(self._kernels)] = [self._seconds(one, taken) for one in self._kernels]
            self.seconds = np.concatenate([self.seconds, more])
        return row

    def _seconds(self, kernels: Kernels, taken: int) -> float:
        if not taken:
            return self.clock.seconds(kernels)
        return self.clock.seconds(kernels, max(1.0 - taken / self.sms, 1.0 / self.sms))
