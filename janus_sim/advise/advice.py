"""The advice: whole simulated steps for no layer, each layer alone and all, and what they say."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from janus_sim.advise.crossover import Axis, Crossover, axes_of, crossover
from janus_sim.advise.interval import DRAWS, interval
from janus_sim.advise.origins import Constant, constants_of
from janus_sim.advise.runner import EXPERTS, TOKENS, Runner, with_policy
from janus_sim.errors import InputError, Mistake
from janus_sim.scenario import Scenario
from janus_sim.sweep import check
from janus_sim.uncertainty import worker_pool

if TYPE_CHECKING:
    from janus_sim.results.result import Result

T = TypeVar("T")
Set = tuple[int, ...]  # of MoE layers, by their index among these
BOTH, CLOSE = "mixed", "too close to call"


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
    crossovers: tuple[Crossover, ...]
    constants: tuple[Constant, ...]


def advise(base: Scenario, jobs: int = 2) -> Advice:
    """Say which paradigm each layer should take, how much it gains, and where the answer flips.

    Parameters
    ----------
    base : Scenario
        Topology and workload; its policy is not asked.
    jobs : int
        Processes; the answer is the same for any number.

    Raises
    ------
    InputError
        With every mistake in the topology and the workload, and for a model without MoE layers.
    """
    base = with_policy(base, {"type": TOKENS})
    check([base])
    topology = base.build_topology()
    workload = base.build_workload(topology.world, topology.width)
    layers = range(len(workload.moe_layers))
    if not layers:
        raise InputError(Mistake(base.where("workload.model"), "has no MoE layer: nothing to choose"))
    pool: AbstractContextManager[Executor | None] = worker_pool(jobs) if jobs > 1 else nullcontext()
    with pool as workers, ThreadPoolExecutor(8) as threads:
        runner = Runner(workers)
        beside = threads if workers is not None else None
        trials = {chosen: runner.start(_janus(base, chosen)) for chosen in _sets(layers)}
        flips = [_begin(beside, partial(_flip, runner, base, a)) for a in axes_of(base, topology, workload)]
        draws = _begin(beside, partial(interval, base, topology, runner.ratio))
        seconds = {chosen: wait() for chosen, wait in trials.items()}
        gained = tuple(layer for layer in layers if seconds[(layer,)] < seconds[()])
        seconds[gained] = runner.start(_janus(base, gained))()
        crossovers, (low, high) = tuple(flip() for flip in flips), draws()
    return _advice(base, seconds, tuple(layers), (low, high), crossovers)


def _begin(threads: ThreadPoolExecutor | None, work: Callable[[], T]) -> Callable[[], T]:
    """Do work beside, or when its result is asked for."""
    return work if threads is None else threads.submit(work).result


def _janus(base: Scenario, chosen: Set) -> Scenario:
    return with_policy(base, {"type": "janus", "chosen": chosen})


def _sets(layers: Sequence[int]) -> list[Set]:
    """Return what is tried: no layer, each alone, all."""
    return list(dict.fromkeys([(), *((layer,) for layer in layers), tuple(layers)]))


def _flip(runner: Runner, base: Scenario, axis: Axis) -> Crossover:
    return crossover(axis, lambda value: runner.ratio(axis.put(base, value)))


def _chosen(seconds: Mapping[Set, float], results: Mapping[Set, Result]) -> Set:
    """Return the fastest set of those that fit; the fastest of all if none does."""
    ordered = sorted(seconds, key=lambda chosen: (seconds[chosen], len(chosen)))
    fit = [chosen for chosen in ordered if _memory("", results[chosen]).fits]
    return (fit or ordered)[0]


def _advice(
    base: Scenario, seconds: Mapping[Set, float], every: Set, draws: tuple[float, float],
    crossovers: tuple[Crossover, ...],
) -> Advice:  # fmt: skip
    from janus_sim.results.explain import explain
    from janus_sim.simulate import simulate

    fastest = min(seconds, key=lambda chosen: (seconds[chosen], len(chosen)))
    few = {key: seconds[key] for key in dict.fromkeys([(), every, fastest])}
    results = {key: simulate(_janus(base, key)) for key in few}
    chosen = _chosen(few, results)
    pulled = chosen or every
    moved = seconds[every] / seconds[pulled]  # the draws are of all layers; a mixed set moves with them
    low, high, speedup = draws[0] * moved, draws[1] * moved, seconds[()] / seconds[pulled]
    best = TOKENS if not chosen else EXPERTS if chosen == every else BOTH
    spec, topology = base.workload_spec(), base.build_topology()
    share = (high - low) / 2 / speedup * seconds[()] / len(every)
    path = explain(results[chosen], results[chosen]).merged()
    return Advice(
        topology=base.topology_name,
        workload=base.workload_name,
        precision=spec.precision,
        micro_batch_size=spec.micro_batch_size,
        gpus=len(topology.gpus),
        verdict=CLOSE if low <= 1.0 <= high else best,
        best=best,
        seconds={TOKENS: seconds[()], EXPERTS: seconds[every], "advised": seconds[chosen]},
        speedup=speedup,
        low=low,
        high=high,
        draws=DRAWS,
        layers=_layers(results[()], seconds, chosen, share),
        bound={part.name: part.before for part in path},
        memory=(_memory(TOKENS, results[()]), _memory(EXPERTS, results[every])),
        crossovers=crossovers,
        constants=constants_of(base, topology),
    )


def _layers(
    result: Result, seconds: Mapping[Set, float], chosen: Set, share: float
) -> tuple[LayerAdvice, ...]:
    rows = result.layers.drop_duplicates("layer").sort_values("layer").to_dict("records")
    gains = [seconds[()] - seconds[(index,)] for index in range(len(rows))]
    spans = result.record.spans
    return tuple(
        LayerAdvice(
            layer=int(row["layer"]),
            experts=len({word for word in spans["label"][spans["layer"] == row["layer"]] if _runs(word)}),
            r=float(row["r"]),
            paradigm=EXPERTS if index in chosen else TOKENS,
            gain=gains[index],
            close=abs(gains[index]) < share,
        )
        for index, row in enumerate(rows)
    )


def _runs(label: object) -> bool:
    """Say whether a label is that of an expert's forward."""
    head, _, number = str(label).rpartition(" ")
    return head == "expert" and number.isdigit()


def _memory(policy: str, result: Result) -> Fit:
    row = result.summary().iloc[0]
    hbm = float(min(result.record.facts["hbm_size"]))
    return Fit(policy, float(row["peak_gpu_memory_bytes"]), hbm, bool(row["fits"]))
