"""The routing that a workload asks for, checked against its ranks, experts and tokens."""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

from janus_sim.errors import InputError, Mistake
from janus_sim.traces import Chosen, Recorded, read_traces
from janus_sim.workload.fitted import Fitted
from janus_sim.workload.imbalance import ImbalanceRouting
from janus_sim.workload.layout import Layout
from janus_sim.workload.machines import machines_of_group
from janus_sim.workload.spec import RoutingSpec, WorkloadSpec
from janus_sim.workload.synthetic import SyntheticRouting
from janus_sim.workload.trace import Routing

OR_FIT = "or fit: resample"  #: in messages: the knob that mends it


def capacity(factor: float, top_k: int, tokens: int, experts: int) -> int:
    """Return the rows that one rank may send to one expert, ceil(factor k T / E).

    The factor is read as the decimal number that was written, so that 1.2 x 5 / 6 is 1 and not 2.

    Examples
    --------
    >>> capacity(1.0, top_k=2, tokens=8, experts=4), capacity(1.2, top_k=1, tokens=5, experts=6)
    (4, 1)
    """
    return math.ceil(Fraction(str(factor)) * top_k * tokens / experts)


def routing_of(
    spec: WorkloadSpec, layout: Layout, seed: int, where: str, beside: Path | None, width: int | None = None
) -> Routing:
    """Return the routing that a workload asks for, read or made up.

    Parameters
    ----------
    seed : int
        Where the workload names none.
    where : str
        Place of the workload in the user's files.
    beside : path, optional
        Folder from which a trace is looked for first.
    width : int, optional
        GPUs of a machine.

    Raises
    ------
    InputError
        If a trace cannot be read, or belongs to another workload.
    """
    at = f"{where} routing" if where.endswith(":") else f"{where}.routing".lstrip(".")
    if spec.routing.kind != "trace" or not spec.model.moe:
        return _checked_synthetic(spec, layout, seed, at, width)
    trace = _chosen(spec, at, beside)
    mistakes = [*_strangers(trace, spec, layout, at)]
    if spec.routing.fit is None:
        mistakes += _misfits(trace, spec, layout, at)
    if mistakes:
        raise InputError(mistakes)
    return trace if spec.routing.fit is None else fitted(trace, spec, layout.world)


def _chosen(spec: WorkloadSpec, at: str, beside: Path | None) -> Chosen:
    """Return the iterations that are asked for; of a trace that is to be fitted, no more than there are."""
    choice, files = spec.routing.iterations, spec.routing.files
    if isinstance(choice, tuple):
        return read_traces(files, choice, beside=beside, where=at)
    if choice is not None and spec.routing.fit is None:
        return read_traces(files, spread=choice, beside=beside, where=at)
    whole = read_traces(files, beside=beside, where=at)
    return whole.first(spec.steps) if choice is None else whole.spread(min(choice, whole.steps))


def fitted(trace: Recorded, spec: WorkloadSpec, world: int) -> Recorded:
    """Return a trace resampled to a workload on so many ranks; as it is where it fits."""
    choice = spec.routing.iterations
    some = len(choice) if isinstance(choice, tuple) else choice
    steps = spec.steps if some is None or spec.steps > 1 else some
    rows = spec.tokens * spec.model.top_k
    shape = (trace.ranks, trace.info.rows, trace.steps, trace.micro_batches)
    if shape == (world, (rows, rows), steps, spec.micro_batches):
        return trace
    return Fitted(trace, world, spec.tokens, spec.model.top_k, steps, spec.micro_batches)


def _checked_synthetic(spec: WorkloadSpec, layout: Layout, seed: int, at: str, width: int | None) -> Routing:
    if spec.routing.kind.startswith("W"):
        return _imbalance(spec, layout, seed, at)
    top = min(spec.experts(layout.world), default=1) / spec.model.top_k
    if spec.routing.kind == "dirichlet" and spec.routing.max_over_mean > top:
        found = f"{spec.routing.max_over_mean:g} cannot be: a token picks {spec.model.top_k} distinct experts"
        raise InputError(Mistake(f"{at}.max_over_mean", f"{found}; write at most {top:g}"))
    return synthetic(spec, spec.routing, layout, seed, width)


def _imbalance(spec: WorkloadSpec, layout: Layout, seed: int, at: str) -> ImbalanceRouting:
    routing = spec.routing
    try:
        return ImbalanceRouting(
            name=routing.kind,
            hot=routing.hot,
            padding=routing.padding,
            **_gates(spec, routing, layout, seed),
        )
    except ValueError as error:
        raise InputError(Mistake(at, f'"{routing.kind}": {error}')) from None


def synthetic(
    spec: WorkloadSpec, routing: RoutingSpec, layout: Layout, seed: int, width: int | None = None
) -> SyntheticRouting:
    """Return synthetic routing for a workload, by the rule of `routing`."""
    return SyntheticRouting(
        kind=routing.kind if routing.kind != "trace" else "balanced",
        group=layout.ep,
        exponent=routing.exponent,
        max_over_mean=routing.max_over_mean,
        drift=routing.drift,
        correlation=routing.correlation,
        machines=routing.machines,
        spread=machines_of_group(spec, layout.world, width) or 1,
        **_gates(spec, routing, layout, seed),
    )


def _gates(spec: WorkloadSpec, routing: RoutingSpec, layout: Layout, seed: int) -> dict[str, Any]:
    """Return the knobs that all routing by rule has: the shape of the gates, and the seed."""
    return {
        "ranks": layout.world,
        "experts": spec.experts(layout.world),
        "tokens": spec.tokens,
        "top_k": spec.model.top_k,
        "seed": seed if routing.seed is None else routing.seed,
    }


def _strangers(trace: Recorded, spec: WorkloadSpec, layout: Layout, at: str) -> Iterator[Mistake]:
    """Tell where a trace is of another model, which no fitting mends."""
    experts, k = spec.experts(layout.world), spec.model.top_k
    if trace.experts != experts:
        text = f"has {len(trace.experts)} MoE layers of {_several(trace.experts)} experts"
        yield Mistake(f"{at}.trace", f"{text}; the model has {len(experts)} of {_several(experts)}")
    if trace.info.top_k not in (0, k):
        yield Mistake(
            f"{at}.trace", f"is of top-{trace.info.top_k}; write top_k: {trace.info.top_k}, not {k}"
        )


def _misfits(trace: Recorded, spec: WorkloadSpec, layout: Layout, at: str) -> Iterator[Mistake]:
    """Tell where a trace has other numbers than the workload."""
    if trace.ranks != layout.world:
        wanted = f"write a topology of {trace.ranks} GPUs, not {layout.world}"
        yield Mistake(f"{at}.trace", f"has {trace.ranks} ranks; {wanted}, {OR_FIT}")
    if trace.micro_batches < spec.micro_batches:
        wanted = f"write micro_batches: {trace.micro_batches}, not {spec.micro_batches}"
        found = f"the trace has {trace.micro_batches} micro-batches a step"
        yield Mistake(f"{at}.trace", f"{found}; {wanted}, {OR_FIT}")
    if spec.steps > trace.steps or (spec.routing.iterations is not None and 1 < spec.steps != trace.steps):
        found = f"{trace.steps} iterations are chosen; write steps: {trace.steps}, not {spec.steps}"
        yield Mistake(f"{at}.iterations", f"{found}, {OR_FIT}")
    rows, k = spec.tokens * spec.model.top_k, spec.model.top_k
    if trace.info.rows != (rows, rows):
        found = f"its ranks route {_several(trace.info.rows)} rows, the workload {rows} (tokens x top_k)"
        wanted = f"write a micro_batch_size x seq_length of {trace.info.rows[1] // k} tokens"
        yield Mistake(f"{at}.trace", f"{found}; {wanted}, {OR_FIT}")
    elif trace.info.largest > spec.tokens:
        yield Mistake(
            f"{at}.trace", f"an expert has more rows than there are tokens ({spec.tokens}) at a rank"
        )


def _several(numbers: tuple[int, ...]) -> str:
    """Write one number for all, or the first and the last of several."""
    low, high = min(numbers, default=0), max(numbers, default=0)
    return str(low) if low == high else f"{low} to {high}"
