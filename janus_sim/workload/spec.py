"""What a workload file says: a model, how it is trained and how its tokens are routed, as frozen values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, Self

from janus_sim.errors import InputError, Mistake
from janus_sim.files import (
    Bytes,
    NonNegative,
    NonNegativeFloat,
    Positive,
    PositiveFloat,
    Spec,
    layered,
    validate,
)
from janus_sim.workload.kernel import ELEMENT_BYTES
from janus_sim.workload.machines import spread_mistakes
from janus_sim.workload.model_spec import FfnSpec, LatentSpec, ModelSpec

__all__ = ["FfnSpec", "LatentSpec", "ModelSpec", "ParallelSpec", "RoutingSpec", "WorkloadSpec"]

_KNOBS = {
    "exponent": "zipf",
    "max_over_mean": "dirichlet",
    "trace": "trace",
    "iterations": "trace",
    "fit": "trace",
}


class ParallelSpec(Spec):
    """Degrees of parallelism; ``ep: all`` shares the experts of a layer among all ranks.

    ``ep_order``: a group of expert parallelism takes ranks one after another, or (``across``) one of every
    machine, which needs as many ranks in a group as there are machines.
    """

    ep: Literal["all"] | Positive = "all"
    ep_order: Literal["within", "across"] = "within"
    etp: Positive = 1
    tp: Positive = 1
    pp: Positive = 1
    cp: Positive = 1


class RoutingSpec(Spec):
    """Which experts the tokens choose.

    Attributes
    ----------
    kind : str
        ``balanced``: equal integer counts, remainders rotated. ``uniform``: multinomial draws. ``zipf``: the
        r-th most popular expert has popularity r ** -exponent. ``dirichlet``: random popularities whose
        largest is ``max_over_mean`` times their mean. ``trace``: recorded counts.
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
    """

    kind: Literal["balanced", "uniform", "zipf", "dirichlet", "trace"] = "balanced"
    exponent: NonNegativeFloat = 1.0
    max_over_mean: PositiveFloat = 1.0
    machines: Positive | None = None
    drift: NonNegativeFloat = 0.0
    correlation: NonNegativeFloat = 0.0
    seed: NonNegative | None = None
    trace: str | tuple[str, ...] | None = None
    iterations: Positive | tuple[NonNegative, ...] | None = None
    fit: Literal["resample"] | None = None

    @property
    def files(self) -> tuple[str, ...]:
        """The files of the trace, as written."""
        return self.trace if isinstance(self.trace, tuple) else (self.trace,) if self.trace else ()

    def mistakes(self, where: str) -> Iterator[Mistake]:
        """Tell what contradicts itself in the routing alone."""
        for knob, kind in _KNOBS.items():
            if knob in self.model_fields_set and self.kind != kind and getattr(self, knob) is not None:
                yield Mistake(f"{where}.{knob}", f'belongs to kind "{kind}", not to "{self.kind}"')
        if self.kind in ("balanced", "uniform", "trace"):
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
        if self.kind == "trace" and self.machines is not None:
            yield Mistake(
                f"{where}.machines", "does nothing with a trace, whose gate has chosen; leave it out"
            )
        if self.kind == "trace" and not self.files:
            yield Mistake(f"{where}.trace", "is missing; write the path of a trace")
        if self.max_over_mean < 1:
            yield Mistake(
                f"{where}.max_over_mean",
                f"{self.max_over_mean:g} is below 1; the largest is never below the mean",
            )


class WorkloadSpec(Spec):
    """A training workload.

    Attributes
    ----------
    precision : str
        Of weights, activations and matrix products. ``tf32`` and ``fp32`` have elements of 4 bytes.
    dispatch_bytes, combine_bytes : int, optional
        Bytes of an element on its way to the experts and back; default the element's own.
    micro_batch_size : int
        Sequences a GPU holds in a micro-batch.
    training_slowdown : float
        Factor on the time of matrix products, 0.95 to 1.25.
    bucket : float
        Bytes of dense gradients that are reduced together.
    capacity_factor : float, optional
        None: drop-less.
    pad : bool
        Whether rows below the capacity are filled up (expert-centric).
    """

    name: str = ""
    source: str = ""
    model: ModelSpec
    precision: Literal["fp16", "bf16", "tf32", "fp32"]
    dispatch_bytes: Positive | None = None
    combine_bytes: Positive | None = None
    micro_batch_size: Positive
    seq_length: Positive
    micro_batches: Positive = 1
    steps: Positive = 1
    parallel: ParallelSpec = ParallelSpec()
    kernels: Literal["eager", "fused"] = "eager"
    recompute: Literal["none", "full"] = "none"
    optimizer: Literal["adam", "sgd"] = "adam"
    distributed_optimizer: bool = False
    training_slowdown: PositiveFloat = 1.0
    bucket: Bytes = 25e6
    routing: RoutingSpec = RoutingSpec()
    capacity_factor: PositiveFloat | None = None
    pad: bool = True

    @classmethod
    def load(
        cls, source: str | Path | Mapping[str, Any], where: str = "", beside: Path | None = None
    ) -> Self:
        """Read a preset by name, a file by path, or a mapping (which may name its ``base``), and check it.

        Raises
        ------
        InputError
            With all mistakes.
        """
        data, paths = layered("workloads", source, beside, where)
        where = where or (f"{paths[0]}:" if paths else "")
        spec = validate(cls, _written_out(data), where)
        mistakes = spec.mistakes(where)
        if mistakes:
            raise InputError(mistakes)
        return spec

    @property
    def tokens(self) -> int:
        """Tokens of a rank in a micro-batch."""
        return self.micro_batch_size * self.seq_length

    @property
    def element(self) -> int:
        """Bytes of an element of weights and activations."""
        return ELEMENT_BYTES[self.precision]

    @property
    def dispatch_width(self) -> int:
        """Bytes of an element on its way to the experts."""
        return self.dispatch_bytes or self.element

    @property
    def combine_width(self) -> int:
        """Bytes of an element on its way back."""
        return self.combine_bytes or self.element

    def ep(self, world: int) -> int:
        """Ranks that share the experts of a layer, of ``world`` ranks."""
        return world if self.parallel.ep == "all" else self.parallel.ep

    def experts(self, world: int) -> tuple[int, ...]:
        """Experts of each MoE layer, shape (MoE layers,)."""
        return self.model.experts_by_layer(self.ep(world))

    def mistakes(self, where: str = "", world: int | None = None, width: int | None = None) -> list[Mistake]:
        """Tell all that contradicts itself, or does not fit ``world`` ranks, ``width`` in each machine."""
        at = where if not where or where.endswith(":") else f"{where}."
        at = f"{where} " if where.endswith(":") else at
        found = [*self.model.mistakes(f"{at}model"), *self.routing.mistakes(f"{at}routing")]
        for degree in ("etp", "tp", "pp", "cp"):
            if getattr(self.parallel, degree) > 1:
                message = f"{getattr(self.parallel, degree)} is not simulated yet; write 1"
                found.append(Mistake(f"{at}parallel.{degree}", message))
        if not found:
            found.extend(self._misfits(at, world))
        if not found and world is not None:
            found.extend(spread_mistakes(self, at, world, width))
        return found

    def _misfits(self, at: str, world: int | None) -> Iterator[Mistake]:
        if world is not None and world % self.ep(world):
            yield Mistake(
                f"{at}parallel.ep", f"{self.ep(world)} does not divide the {world} ranks of the topology"
            )
            return
        if world is None and self.parallel.ep == "all":
            world, numbers = (
                1,
                self.model.experts if isinstance(self.model.experts, tuple) else (self.model.experts,),
            )
            experts = tuple(number for number in numbers if number is not None)
        else:
            experts = self.experts(world or 1)
        ep = self.ep(world or 1)
        if experts and self.model.top_k > min(experts):
            yield Mistake(
                f"{at}model.top_k", f"{self.model.top_k} is more than the {min(experts)} experts of a layer"
            )
        uneven = [number for number in experts if number % ep]
        if uneven:
            yield Mistake(f"{at}model.experts", f"{uneven[0]} experts cannot be shared evenly by {ep} ranks")


def _written_out(data: Mapping[str, Any]) -> dict[str, Any]:
    """Write the short forms of ``routing`` in full: a bare kind, or a trace without its kind."""
    routing = data.get("routing")
    if isinstance(routing, str):
        return {**data, "routing": {"kind": routing}}
    if isinstance(routing, Mapping) and "trace" in routing:
        return {**data, "routing": {"kind": "trace", **routing}}
    return dict(data)
