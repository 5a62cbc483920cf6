"""Where the answer flips: the value of one axis at which both paradigms take as long, by bisection."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from janus_sim.files import layered
from janus_sim.scenario import Scenario
from janus_sim.topology import Topology
from janus_sim.uncertainty import changed
from janus_sim.workload.workload import Workload

CLOSE = 1.05  #: a crossover is known when the ends around it are within this ratio
WIDEST = 8.0  #: an axis reaches from 1/8 of its value to 8 times
LARGE = 64  #: micro-batches above it are only doubled
MOST_SKEW = 4.0  #: max / mean
NICS = "*.nic*"


@dataclass(frozen=True)
class Axis:
    """What is varied, from `low` over `nominal` (as it stands) to `high`; `put` writes it into a scenario."""

    name: str
    unit: str
    low: float
    nominal: float
    high: float
    whole: bool
    put: Callable[[Scenario, float], Scenario]


@dataclass(frozen=True)
class Crossover:
    """Where data-centric and expert-centric take as long on one axis.

    Attributes
    ----------
    name, unit : str
    nominal, low, high : float
        The value as it stands, and the ends that were searched.
    at : tuple of float
        Where the answer flips, nearest first; empty if it does not between `low` and `high`.
    ratios : tuple of float
        Speedup of data-centric at `low`, at the nominal value and at `high`.
    """

    name: str
    unit: str
    nominal: float
    low: float
    high: float
    at: tuple[float, ...]
    ratios: tuple[float, float, float]


def crossover(axis: Axis, ratio: Callable[[float], Callable[[], float]]) -> Crossover:
    """Look below and above the nominal value for a flip, and close in on it by halving, in the logarithm.

    Of whole numbers, the first beyond the flip is told. One flip on each side is found if the ends
    differ from the middle; two flips on one side are not seen.

    Parameters
    ----------
    axis : Axis
    ratio : callable
        Begins the runs at a value; what it returns waits for the speedup of data-centric there.

    Examples
    --------
    >>> axis = Axis("batch", "", 1, 64, 512, True, lambda scenario, value: scenario)
    >>> crossover(axis, lambda value: lambda: value / 30).at
    (31.0,)
    """
    points = (axis.low, axis.nominal, axis.high)
    low, middle, high = (wait() for wait in [ratio(point) for point in points])
    found = [
        _between(axis, ratio, a, b, at_a)
        for a, b, at_a, at_b in (
            (axis.low, axis.nominal, low, middle),
            (axis.nominal, axis.high, middle, high),
        )
        if (at_a > 1.0) != (at_b > 1.0)
    ]
    found.sort(key=lambda value: abs(math.log(value / axis.nominal)))
    ends = (axis.nominal, axis.low, axis.high)
    return Crossover(axis.name, axis.unit, *ends, tuple(found), (low, middle, high))


def _between(
    axis: Axis, ratio: Callable[[float], Callable[[], float]], a: float, b: float, at_a: float
) -> float:
    while b / a > CLOSE and not (axis.whole and b - a <= 1):
        middle = math.sqrt(a * b)
        if axis.whole:
            middle = float(min(max(round(middle), a + 1), b - 1))
        at_middle = ratio(middle)()
        if (at_middle > 1.0) == (at_a > 1.0):
            a = middle
        else:
            b = middle
    return b if axis.whole else math.sqrt(a * b)


def axes_of(base: Scenario, topology: Topology, workload: Workload) -> tuple[Axis, ...]:
    """Return the axes on which a flip is looked for: micro-batch size, skew, rate of the NICs."""
    batch = workload.spec.micro_batch_size
    axes = []
    if workload.spec.routing.kind != "trace":
        low, high = max(batch / WIDEST, 1.0), batch * (2.0 if batch > LARGE else WIDEST)
        axes.append(Axis("micro_batch_size", "", float(int(low)), float(batch), high, True, _batch))
        top = min(MOST_SKEW, *(experts / workload.spec.model.top_k for experts in workload.experts))
        if top > 1.0:
            axes.append(Axis("routing max/mean", "", 1.0, 1.0, top, False, _skew))
    rates = [link.capacity for link in topology.links if link.kind == "nic"]
    if rates:
        rate = min(rates)

        def nics(scenario: Scenario, value: float) -> Scenario:
            return with_links(scenario, {NICS: value / rate})

        axes.append(Axis("NIC bandwidth", "B/s", rate / WIDEST, rate, rate * WIDEST, False, nics))
    return tuple(axes)


def with_links(scenario: Scenario, scales: dict[str, float]) -> Scenario:
    """Return the scenario with the rates of links scaled, by the pattern of their names."""
    data = layered("topologies", scenario.topology, scenario.beside)[0]
    more = tuple({"links": pattern, "scale": scale} for pattern, scale in scales.items())
    kept: tuple[Any, ...] = tuple(data.get("overrides", ()))
    return changed(scenario, {"topology.overrides": (*kept, *more)}, scenario.name)


def _batch(scenario: Scenario, value: float) -> Scenario:
    return changed(scenario, {"workload.micro_batch_size": int(value)}, scenario.name)


def _skew(scenario: Scenario, value: float) -> Scenario:
    routing = {"kind": "dirichlet", "max_over_mean": value}
    return scenario if value == 1.0 else changed(scenario, {"workload.routing": routing}, scenario.name)
