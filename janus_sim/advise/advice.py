"""The advice: whole simulated steps for no layer, each layer alone and all, and what they say."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from janus_sim.advise.crossover import Axis, Crossover, axes_of, crossover
from janus_sim.advise.interval import DRAWS, interval
from janus_sim.advise.origins import constants_of
from janus_sim.advise.runner import EXPERTS, OTHERS, TOKENS, Seconds, ratio, start, with_policy
from janus_sim.advise.values import Advice, Fit, LayerAdvice, Other
from janus_sim.errors import InputError, JanusSimError, Mistake
from janus_sim.results.reading import MARK
from janus_sim.scenario import Experiment, Scenario
from janus_sim.sweep import check, provenance
from janus_sim.sweep.asking import Asking
from janus_sim.sweep.folder import Folder
from janus_sim.sweep.grid import Memory

if TYPE_CHECKING:
    from janus_sim.results.result import Result

T = TypeVar("T")
Set = tuple[int, ...]  # of MoE layers, by their index among these
BOTH, CLOSE = "mixed", "too close to call"


def advise(base: Scenario, jobs: int = 2, out: Path | str | None = None) -> Advice:
    """Say which paradigm each layer should take, how much it gains, and where the answer flips.

    Parameters
    ----------
    base : Scenario
        Topology and workload; its policy is not asked.
    jobs : int
        Processes; the answer is the same for any number.
    out : Path or str, optional
        A folder that keeps the runs, as that of a sweep; what it has is not computed again.

    Raises
    ------
    InputError
        With every mistake in the topology and the workload, and for a model without MoE layers.
    """
    base = with_policy(base, {"type": TOKENS})
    check([base])
    topology = base.build_topology()
    if not base.build_workload(topology).moe_layers:
        raise InputError(Mistake(base.where("workload.model"), "has no MoE layer: nothing to choose"))
    if out is None:
        return _asked(Asking(Memory(), jobs), base)
    folder = Folder(out)
    folder.begin({"advice": f"{base.workload_name} on {base.topology_name}"})
    try:
        asking = Asking(folder.store, jobs)
        advice = _asked(asking, base)
        folder.finish(partial(save, advice, base), [*asking.scenarios])
    except BaseException:
        folder.leave()
        raise
    return advice


def _asked(asking: Asking, base: Scenario) -> Advice:
    """Run what the advice needs: trials, draws and flips side by side where there are processes."""
    topology = base.build_topology()
    workload = base.build_workload(topology)
    every = tuple(range(len(workload.moe_layers)))
    with ThreadPoolExecutor(8) as threads, asking:
        beside = threads if asking.jobs > 1 else None
        whole = ((), every)
        trials = {
            chosen: start(asking, _janus(base, chosen), detailed=chosen in whole) for chosen in _sets(every)
        }
        others = [
            partial(_other, start(asking, with_policy(base, knobs)), name) for name, knobs in OTHERS.items()
        ]
        flips = [_begin(beside, partial(_flip, asking, base, a)) for a in axes_of(base, topology, workload)]
        draws = _begin(beside, partial(interval, base, topology, partial(ratio, asking)))
        seconds = {chosen: wait() for chosen, wait in trials.items()}
        gained = tuple(layer for layer in every if seconds[(layer,)] < seconds[()])
        seconds[gained] = start(asking, _janus(base, gained))()
        beside_them = tuple(other(seconds[()]) for other in others)
        crossovers, interval_ = tuple(flip() for flip in flips), draws()
        return _advice(asking, base, seconds, every, interval_, crossovers, beside_them)


def _other(wait: Seconds, name: str, slow: float) -> Other:
    try:
        return Other(name, wait(), slow / wait())
    except JanusSimError as error:  # it does not fit this model or cluster
        return Other(name, None, None, " ".join(str(error).split()))


def save(advice: Advice, base: Scenario, folder: Path) -> None:
    """Write the advice and what it comes from into a folder."""
    told = json.dumps(dataclasses.asdict(advice), indent=1) + "\n"
    (folder / "advice.json").write_text(told, encoding="utf-8", newline="\n")
    name = f"advice: {base.workload_name} on {base.topology_name}"
    asked = Experiment(
        name=name, topology=base.topology, workload=base.workload, policies={TOKENS: {}}, seed=base.seed
    )
    (folder / MARK).write_text(provenance(asked, [base]), encoding="utf-8", newline="\n")


def _begin(threads: ThreadPoolExecutor | None, work: Callable[[], T]) -> Callable[[], T]:
    """Do work beside, or when its result is asked for."""
    return work if threads is None else threads.submit(work).result


def _janus(base: Scenario, chosen: Set) -> Scenario:
    return with_policy(base, {"type": "janus", "chosen": chosen})


def _sets(layers: Sequence[int]) -> list[Set]:
    """Return what is tried: no layer, each alone, all."""
    return list(dict.fromkeys([(), *((layer,) for layer in layers), tuple(layers)]))


def _flip(asking: Asking, base: Scenario, axis: Axis) -> Crossover:
    return crossover(axis, lambda value: ratio(asking, axis.put(base, value)))


def _chosen(seconds: Mapping[Set, float], results: Mapping[Set, Result]) -> Set:
    """Return the fastest set of those that fit; the fastest of all if none does."""
    ordered = sorted(seconds, key=lambda chosen: (seconds[chosen], len(chosen)))
    fit = [chosen for chosen in ordered if _memory("", results[chosen]).fits]
    return (fit or ordered)[0]


def _advice(
    asking: Asking, base: Scenario, seconds: Mapping[Set, float], every: Set, draws: tuple[float, float],
    crossovers: tuple[Crossover, ...], others: tuple[Other, ...],
) -> Advice:  # fmt: skip
    from janus_sim.results.explain import explain

    fastest = min(seconds, key=lambda chosen: (seconds[chosen], len(chosen)))
    few = {key: seconds[key] for key in dict.fromkeys([(), every, fastest])}
    results = {key: asking.result(_janus(base, key)) for key in few}
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
        others=others,
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
