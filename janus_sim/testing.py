"""The contract that every policy answers, for authors of policies: `check_policy(MyPolicy())`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from janus_sim.engine.cluster import Cluster
from janus_sim.policies.base import Policy
from janus_sim.schedules.base import Schedule
from janus_sim.schedules.sequential import Sequential
from janus_sim.simulate import settle
from janus_sim.step import Step, Training
from janus_sim.topology import Topology
from janus_sim.workload.kernel import total_flops
from janus_sim.workload.workload import Workload

_MODEL: dict[str, Any] = {
    "layers": 2, "moe_layers": "every 2", "experts_per_rank": 1, "hidden": 256, "ffn": {"width": 1024}, "heads": 4,
    "vocabulary": 1000, "top_k": 2,
}  # fmt: skip
_WORKLOAD: dict[str, Any] = {"model": _MODEL, "precision": "fp16", "micro_batch_size": 4, "seq_length": 64}


def _case(topology: str, model: Mapping[str, Any] | None = None, **workload: Any) -> tuple[str, dict[str, Any]]:
    return topology, {**_WORKLOAD, "model": {**_MODEL, **(model or {})}, **workload}


#: Small clusters and workloads, by name: balanced and padded, skewed and drop-less, several micro-batches, replicas.
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "two GPUs": _case("two_gpus", capacity_factor=1.0),
    "two GPUs, skewed, two micro-batches": _case(
        "two_gpus", {"experts_per_rank": 2}, micro_batches=2, routing={"kind": "zipf", "exponent": 1.0}
    ),
    "2 x 8, balanced": _case("a100_2x8", {"layers": 4}, capacity_factor=1.0),
    "2 x 8, skewed, two experts a rank": _case(
        "a100_2x8", {"experts_per_rank": 2}, routing={"kind": "zipf", "exponent": 1.2}
    ),
    "2 x 8, two groups of experts": _case("a100_2x8", {"experts_per_rank": 1}, parallel={"ep": 8}),
    "2 x 8, recomputed": _case("a100_2x8", recompute="full", capacity_factor=1.25),
}


@dataclass(frozen=True)
class Rehearsal:
    """One small run, alive to be looked into."""

    name: str
    cluster: Cluster
    workload: Workload
    steps: list[Step]
    begin: float
    end: float

    @property
    def spans(self) -> Mapping[str, Any]:
        """The spans as arrays."""
        return self.cluster.log.columns()


def rehearse(
    policy: Policy, case: str, schedule: Schedule | None = None, *, steps: int = 1, changes: Mapping[str, Any] | None = None
) -> Rehearsal:
    """Run a policy on one of the `CASES`.

    Parameters
    ----------
    policy : Policy
    case : str
        A key of `CASES`.
    schedule : Schedule, optional
    steps : int
    changes : mapping, optional
        What differs in the workload.
    """
    name, about = CASES[case]
    topology = Topology.load(name)
    return rehearse_on(topology, {**about, **(changes or {})}, policy, schedule, steps=steps, name=case)


def rehearse_on(
    topology: Topology, about: Mapping[str, Any], policy: Policy, schedule: Schedule | None = None, *,
    steps: int = 1, name: str = "",
) -> Rehearsal:  # fmt: skip
    """Run a policy on any topology and workload."""
    schedule = schedule or Sequential()
    workload = Workload.load(about, world=len(topology.gpus))
    policy = settle(topology, workload, policy, schedule, 0)
    cluster = Cluster(topology)
    records, done = Training(cluster, workload, policy, schedule).run(steps)
    return Rehearsal(name, cluster, workload, done, records[0].begin, records[-1].end)


def check_policy(policy: Policy, *, cases: Mapping[str, Any] | None = None) -> None:
    """Check that a policy keeps the contract; call it in a test of yours.

    Parameters
    ----------
    policy : Policy
    cases : collection of str, optional
        Names of `CASES`; all by default.

    Raises
    ------
    AssertionError
        Names the clause, the case and the figures.

    Examples
    --------
    >>> from janus_sim.policies import ExpertCentric
    >>> check_policy(ExpertCentric(), cases=["two GPUs"])
    """
    for case in cases or CASES:
        run = rehearse(policy, case)
        for clause in CLAUSES:
            clause(run)
        _same_again(policy, run)
        _prefetch_does_not_see_the_gate(policy, case)
    _more_bandwidth_is_not_slower(policy)


def same_useful_flops(run: Rehearsal) -> None:
    """Every kept row goes through its expert once in each pass, wherever that is."""
    flops, found = expected_flops(run), float(run.spans["flops"].sum())
    assert abs(found - flops) <= 1e-9 * flops, f"{run.name}: {found:.6g} useful FLOPs, not {flops:.6g}"


def nothing_in_flight(run: Rehearsal) -> None:
    """All flows have ended."""
    assert run.cluster.flows.in_flight == 0, f"{run.name}: {run.cluster.flows.in_flight} flows are left"


def every_credit_back(run: Rehearsal) -> None:
    """No buffer holds anything after the step."""
    for buffer in run.cluster.buffers:
        assert buffer.full == 0, f"{run.name}: {buffer.full} credits are out at {buffer.name}"


def bytes_agree(run: Rehearsal) -> None:
    """What the spans sent, what links were given and what the network carried are the same bytes."""
    fabric, links = run.cluster.fabric, run.cluster.topology.links
    given = fabric.carried["expert"] + fabric.carried["dense"]
    crossing = np.array([link.crosses for link in links])
    sent = int(run.spans["far_bytes"].sum())
    assert sent == int(given[crossing].sum()), f"{run.name}: spans sent {sent} bytes, NICs took {given[crossing].sum()}"
    assert np.allclose(run.cluster.flows.carried, given, rtol=1e-9, atol=1.0), f"{run.name}: links lost bytes"


def critical_path_adds_up(run: Rehearsal) -> None:
    """From the last span back, each began when the one that caused it ended, down to the beginning of the step."""
    spans = run.spans
    assert bool((spans["begin"] <= spans["end"]).all()) and bool((spans["joined"] <= spans["begin"]).all())
    why = spans["why"]
    caused = why >= 0
    late = np.flatnonzero(caused & (spans["end"][np.where(caused, why, 0)] != spans["begin"]))
    assert not len(late), f"{run.name}: span {late[:1]} does not begin when its cause ends"
    assert bool((why < np.arange(len(why))).all()), f"{run.name}: a span caused one before it"


def no_all_to_all_beats_its_port(run: Rehearsal) -> None:
    """No machine sends more in a collective than its NICs can carry meanwhile."""
    spans, topology = run.spans, run.cluster.topology
    fastest = [
        sum(link.capacity for link in topology.links if link.crosses and link.machine == machine.index)
        for machine in topology.machines
    ]
    groups: dict[Any, list[int]] = {}
    for index in np.flatnonzero(spans["kind"] == "all_to_all").tolist():
        place = tuple(spans[name][index] for name in ("step", "micro_batch", "layer", "phase", "label", "lane"))
        groups.setdefault((*place, spans["machine"][index]), []).append(index)
    for key, members in groups.items():
        calls = len(members) // len(set(spans["rank"][members].tolist()))
        seconds = spans["end"][members].max() - spans["joined"][members].min()
        bound = spans["far_bytes"][members].sum() / fastest[key[-1]]
        assert seconds >= bound * (1 - 1e-9), f"{run.name}: {calls} x {key} took {seconds} s, its NICs need {bound} s"


CLAUSES: tuple[Callable[[Rehearsal], None], ...] = (
    same_useful_flops,
    nothing_in_flight,
    every_credit_back,
    bytes_agree,
    critical_path_adds_up,
    no_all_to_all_beats_its_port,
)


def expected_flops(run: Rehearsal) -> float:
    """Return the useful FLOPs of all steps from the model and the routing alone."""
    workload, kernels = run.workload, run.workload.kernels
    again = workload.spec.recompute == "full"
    layers = range(workload.spec.model.layers)
    dense = total_flops(kernels.embedding()) + total_flops(kernels.head()) + total_flops(kernels.embedding_backward())
    dense += sum(total_flops(part) for part in kernels.head_backward())
    for layer in layers:
        dense += (1 + again) * (total_flops(kernels.before(layer)) + total_flops(kernels.after(layer)))
        backward = (*kernels.before_backward(layer), *(kernels.after_backward(layer) if kernels.is_moe(layer) else ()))
        dense += sum(total_flops(part) for part in backward)
    total = float(dense * workload.micro_batches * workload.layout.world * len(run.steps))
    phases = ("forward", "backward", *(("again",) if again else ()))
    for step in run.steps:
        for batch in range(workload.micro_batches):
            for layer in workload.moe_layers:
                for group in range(len(workload.layout.groups)):
                    visits = [step.routed(batch, layer, phase, group) for phase in phases]
                    total += sum(visit.useful_flops(rank) for visit in visits for rank in visit.group)
    return total


def _same_again(policy: Policy, run: Rehearsal) -> None:
    """The same run gives the same spans, to the last bit."""
    again = rehearse(policy, run.name).spans
    for name, column in run.spans.items():
        assert np.array_equal(column, again[name]), f"{run.name}: {name} differs from run to run"


def _prefetch_does_not_see_the_gate(policy: Policy, case: str) -> None:
    """What runs beside the step moves the same bytes whatever the gates choose."""
    moved = []
    for exponent in (0.5, 1.5):
        spans = rehearse(policy, case, changes={"routing": {"kind": "zipf", "exponent": exponent}}).spans
        beside = spans["lane"] == "beside"
        rows = zip(*(spans[name][beside].tolist() for name in ("rank", "machine", "label", "bytes")), strict=True)
        moved.append(sorted(rows))
    assert moved[0] == moved[1], f"{case}: what is fetched beside the step depends on what the gates will choose"


def _more_bandwidth_is_not_slower(policy: Policy) -> None:
    """On two GPUs with one MoE layer, doubling all bandwidths does not make the step longer."""
    name, about = CASES["two GPUs"]
    slow = rehearse_on(Topology.load(name), about, policy)
    fast = rehearse_on(Topology.load({"base": name, "overrides": [{"links": "*", "scale": 2.0}]}), about, policy)
    assert fast.end <= slow.end * (1 + 1e-9), f"{fast.end} s with twice the bandwidth, {slow.end} s without"
