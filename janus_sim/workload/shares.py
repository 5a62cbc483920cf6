"""Which share of the tokens each expert gets, with drift over steps and correlation over layers."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
COMMON = 2**31  #: stands for "all layers" in a seed, beyond any layer's index


def sharpened(weights: Floats, target: float) -> Floats:
    """Return `weights` to the power that makes max / mean equal to `target`, as shares that add up to 1.

    The largest share grows with the power, from 1 / n at 0 towards 1, so that bisection finds it.

    Parameters
    ----------
    weights : (n,) float64
        Above 0, no two alike.
    target : float
        From 1 to n.

    Examples
    --------
    >>> shares = sharpened(np.array([1.0, 2.0, 3.0, 5.0]), 2.0)
    >>> (4 * shares.max()).round(9).item(), shares.sum().round(9).item()
    (2.0, 1.0)
    """
    logs = np.log(weights) - math.log(weights.max())

    def shares(power: float) -> Floats:
        raised = np.exp(power * logs)
        return np.asarray(raised / raised.sum())

    low, high = 0.0, 1.0
    while len(weights) * shares(high).max() < target and high < 1e9:
        low, high = high, 2 * high
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if len(weights) * shares(middle).max() < target else (low, middle)
    return shares(high)


def zipf(order: npt.NDArray[np.int64], exponent: float) -> Floats:
    """Return shares in proportion to 1 / (place ** exponent); `order` lists the experts by place.

    Examples
    --------
    >>> zipf(np.array([1, 0]), exponent=1.0).round(3).tolist()
    [0.333, 0.667]
    """
    weights = np.empty(len(order))
    weights[order] = np.arange(1, len(order) + 1, dtype=np.float64) ** -exponent
    return np.asarray(weights / weights.sum())


def exponential(normal: Floats) -> Floats:
    """Map standard normal values to exponential ones of mean 1, in the same order.

    Divided by their sum they are a draw from Dirichlet(1, ..., 1).

    Examples
    --------
    >>> exponential(np.array([0.0])).round(4).tolist()
    [0.6931]
    """
    return np.array([-math.log(0.5 * math.erfc(value / math.sqrt(2))) for value in normal.tolist()])


@dataclass(frozen=True, eq=False)
class Popularity:
    """A standard normal value an expert, layer and step, from which shares are made.

    Step by step z becomes r z + sqrt(1 - r^2) w with r = 1 - drift and fresh normal w, so that its spread
    stays. Two layers have the given correlation. Any part can be asked for in any order.

    Parameters
    ----------
    experts : tuple of int
        Experts of each MoE layer.
    drift : float
        From 0, stands still, to 1, drawn anew at each step.
    correlation : float
        Between the layers, 0 to 1.
    seed : int

    Examples
    --------
    >>> still = Popularity((4, 4), drift=0.0, correlation=1.0, seed=7)
    >>> bool((still.at(0, 0) == still.at(9, 1)).all())
    True
    """

    experts: tuple[int, ...]
    drift: float
    correlation: float
    seed: int
    _known: dict[tuple[int, int], Floats] = field(default_factory=dict, init=False, repr=False)

    def at(self, step: int, moe: int) -> Floats:
        """Return the values (experts,) of MoE layer `moe` in `step`; the way there is remembered."""
        last = step if self.drift else 0
        known = last
        while known and (known, moe) not in self._known:
            known -= 1
        value = self._known[known, moe] if known else self._draw(0, moe)
        keep = 1 - self.drift
        for index in range(known + 1, last + 1):
            value = keep * value + math.sqrt(1 - keep**2) * self._draw(index, moe)
            self._known[index, moe] = value
        return value

    def _draw(self, index: int, moe: int) -> Floats:
        common = _normal(self.seed, index, COMMON, max(self.experts))[: self.experts[moe]]
        own = _normal(self.seed, index, moe, self.experts[moe])
        return np.asarray(math.sqrt(self.correlation) * common + math.sqrt(1 - self.correlation) * own)


def _normal(seed: int, index: int, moe: int, count: int) -> Floats:
    return np.random.default_rng(np.random.SeedSequence([seed, 1, index, moe])).standard_normal(count)
