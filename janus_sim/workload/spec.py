"""What a workload file says: a model, how it is trained and how its tokens are routed, as frozen values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, Self

from janus_sim.errors import InputError, Mistake
from janus_sim.files import (
    Bytes,
    Positive,
    PositiveFloat,
    Spec,
    layered,
    short_forms,
    validate,
)
from janus_sim.workload.kernel import ELEMENT_BYTES
from janus_sim.workload.machines import spread_mistakes
from janus_sim.workload.model_spec import FfnSpec, LatentSpec, ModelSpec
from janus_sim.workload.routing_spec import RoutingSpec

__all__ = ["FfnSpec", "LatentSpec", "ModelSpec", "ParallelSpec", "RoutingSpec", "WorkloadSpec"]


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
        data, paths = layered("workloads", source, beside, where, short_forms(cls), _spelled)
        where = where or (f"{paths[0]}:" if paths else "")
        spec = validate(cls, data, where)
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


def _spelled(data: Mapping[str, Any]) -> dict[str, Any]:
    """Write the kind that ``routing: {trace: FILE}`` implies, whatever the kind of the base."""
    routing = data.get("routing")
    if isinstance(routing, Mapping) and "trace" in routing:
        return {**data, "routing": {"kind": "trace", **routing}}
    return dict(data)
