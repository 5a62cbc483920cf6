"""What a workload file says of its routing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Literal

from janus_sim.errors import Mistake
from janus_sim.files import NonNegative, NonNegativeFloat, Positive, PositiveFloat, Spec
from janus_sim.workload.imbalance import Name

_KNOBS = {
    "exponent": ("zipf",),
    "max_over_mean": ("dirichlet",),
    "trace": ("trace",),
    "iterations": ("trace",),
    "fit": ("trace",),
    "hot": ("W1", "W2", "W3", "W6", "W7"),
    "padding": ("W4",),
}


class RoutingSpec(Spec):
    """Which experts the tokens choose.

    Attributes
    ----------
    kind : str
        ``balanced``: equal integer counts, remainders rotated. ``uniform``: multinomial draws. ``zipf``: the
        r-th most popular expert has popularity r ** -exponent. ``dirichlet``: random popularities whose
        largest is ``max_over_mean`` times their mean. ``trace``: recorded counts. ``W0`` to ``W7``: the
        public imbalance workloads (`janus_sim.workload.imbalance`).
    machines : int, optional
        Each token's experts lie on so many machines, ``top_k / machines`` on each; None: wherever.
    drift : float
        From 0 (popularities stay from step to step) to 1 (drawn anew at each step).
    correlation : float
        From 0 (each layer has its own popularities) to 1 (all layers share them).
    seed : int, optional
        None: the seed of the experiment.
    trace : str or tuple of str, optional
        Files of counts (docs/traces.md), .parquet, .npz or .csv; several are laid end to end.
    iterations : int or tuple of int, optional
        So many, spread evenly over the trace, or those of these numbers; None: as many as there are steps,
        from the first.
    fit : str, optional
        ``resample``: a trace of other ranks, tokens, steps or micro-batches is fitted to the workload's, by
        `Fitted`. None: it must have them.
    hot : int, optional
        Hot experts of W1, W2, W3, W6 and W7; None: a quarter of all, at least top_k.
    padding : float
        W4: share of its tokens that every other rank does not route.
    """

    WORD: ClassVar[str] = "kind"

    kind: Literal["balanced", "uniform", "zipf", "dirichlet", "trace"] | Name = "balanced"
    exponent: NonNegativeFloat = 1.0
    max_over_mean: PositiveFloat = 1.0
    machines: Positive | None = None
    drift: NonNegativeFloat = 0.0
    correlation: NonNegativeFloat = 0.0
    seed: NonNegative | None = None
    trace: str | tuple[str, ...] | None = None
    iterations: Positive | tuple[NonNegative, ...] | None = None
    fit: Literal["resample"] | None = None
    hot: Positive | None = None
    padding: NonNegativeFloat = 0.5

    @property
    def files(self) -> tuple[str, ...]:
        """The files of the trace, as written."""
        return self.trace if isinstance(self.trace, tuple) else (self.trace,) if self.trace else ()

    def mistakes(self, where: str) -> Iterator[Mistake]:
        """Tell what contradicts itself in the routing alone."""
        for knob, kinds in _KNOBS.items():
            if knob in self.model_fields_set and self.kind not in kinds and getattr(self, knob) is not None:
                yield Mistake(
                    f"{where}.{knob}", f'belongs to kind "{", ".join(kinds)}", not to "{self.kind}"'
                )
        if self.kind not in ("zipf", "dirichlet"):
            for knob in ("drift", "correlation"):
                if getattr(self, knob):
                    yield Mistake(
                        f"{where}.{knob}", f'does nothing with kind "{self.kind}"; write zipf or dirichlet'
                    )
        for knob in ("drift", "correlation"):
            if getattr(self, knob) > 1:
                yield Mistake(
                    f"{where}.{knob}", f"{getattr(self, knob):g} is above 1; write a number from 0 to 1"
                )
        if self.machines is not None and (self.kind == "trace" or self.kind.startswith("W")):
            found = f'does nothing with kind "{self.kind}", whose tokens have chosen; leave it out'
            yield Mistake(f"{where}.machines", found)
        if self.kind == "trace" and not self.files:
            yield Mistake(f"{where}.trace", "is missing; write the path of a trace")
        if self.max_over_mean < 1:
            yield Mistake(
                f"{where}.max_over_mean",
                f"{self.max_over_mean:g} is below 1; the largest is never below the mean",
            )
