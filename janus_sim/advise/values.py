"""What an advice says, as frozen values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from janus_sim.advise.crossover import Crossover
from janus_sim.advise.origins import Constant


@dataclass(frozen=True)
class LayerAdvice:
    """One MoE layer: its index in the model, its R, the advised paradigm, and what pulling it alone gains.

    `gain` is in seconds of a step against none, below 0 where it loses; `close` where it is less than the
    layer's share of the model's uncertainty.
    """

    layer: int
    experts: int
    r: float
    paradigm: str
    gain: float
    close: bool


@dataclass(frozen=True)
class Fit:
    """Memory of a policy: bytes on the fullest GPU, its HBM, and whether all GPUs and hosts suffice."""

    policy: str
    peak: float
    hbm: float
    fits: bool


@dataclass(frozen=True)
class Other:
    """Another policy to compare with: step time in seconds and speedup over expert-centric, or its error."""

    policy: str
    seconds: float | None
    speedup: float | None
    error: str = ""


@dataclass(frozen=True)
class Advice:
    """What to do.

    Attributes
    ----------
    verdict : str
        "expert_centric", "data_centric", "mixed", or "too close to call" where the interval holds 1.
    best : str
        What is fastest as written and fits, whether or not it is too close to call.
    seconds : mapping
        From "expert_centric", "data_centric" and "advised" to the step time.
    speedup, low, high : float
        Of the layers that pull over expert-centric (of all, if none should): as written; least and most draw.
    bound : mapping
        From the parts of the advised run's critical path to seconds.
    """

    topology: str
    workload: str
    precision: str
    micro_batch_size: int
    gpus: int
    verdict: str
    best: str
    seconds: Mapping[str, float]
    speedup: float
    low: float
    high: float
    draws: int
    layers: tuple[LayerAdvice, ...]
    bound: Mapping[str, float]
    memory: tuple[Fit, ...]
    others: tuple[Other, ...]
    crossovers: tuple[Crossover, ...]
    constants: tuple[Constant, ...]
