"""What must hold in every run, whatever the policy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from janus_sim.testing.gradients import every_gradient_home_once, no_expert_runs_before_it_came
from janus_sim.testing.rehearsal import Rehearsal
from janus_sim.workload.kernel import total_flops


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
    """Sent is received is counted on links: spans, NICs out, NICs in and the network agree."""
    fabric, links = run.cluster.fabric, run.cluster.topology.links
    given = fabric.carried["expert"] + fabric.carried["dense"]
    out, arrived = (
        int(given[[link.index for link in links if link.kind == "nic" and link.crosses == crosses]].sum())
        for crosses in (True, False)
    )
    sent = int(run.spans["far_bytes"].sum())
    assert sent == out, f"{run.name}: spans sent {sent} bytes to other machines, NICs took {out}"
    assert out == arrived, f"{run.name}: {out} bytes left machines, {arrived} arrived"
    assert np.allclose(run.cluster.flows.carried, given, rtol=1e-9, atol=1.0), (
        f"{run.name}: the network carried other bytes than links were given"
    )


def critical_path_adds_up(run: Rehearsal) -> None:
    """Each span began when the one that caused it ended, back to the beginning of the step."""
    spans, why = run.spans, run.spans["why"]
    assert bool((spans["begin"] <= spans["end"]).all()), f"{run.name}: a span ends before it begins"
    assert bool((spans["joined"] <= spans["begin"]).all()), f"{run.name}: a span begins before it is joined"
    assert bool((why < np.arange(len(why))).all()), f"{run.name}: a span caused one before it"
    begins = np.array([record.begin for record in run.records])
    cause = np.where(why >= 0, spans["end"][np.maximum(why, 0)], begins[spans["step"]])
    late = np.flatnonzero(cause != spans["begin"])
    if len(late):
        label, rank = spans["label"][late[0]], spans["rank"][late[0]]
        raise AssertionError(f"{run.name}: {label!r} on rank {rank} does not begin when its cause ends")


def no_all_to_all_beats_its_port(run: Rehearsal) -> None:
    """In an All-to-All no machine sends more than its NICs can carry meanwhile, no GPU than its ports."""
    spans, topology = run.spans, run.cluster.topology
    every = range(len(topology.gpus))
    ports = [
        sum(
            topology.capacity[link]
            for link in {topology.route(rank, other)[0] for other in every if other != rank}
        )
        for rank in every
    ]
    nics = [
        sum(link.capacity for link in topology.links if link.crosses and link.machine == machine.index)
        for machine in topology.machines
    ]
    groups: dict[Any, list[int]] = {}
    for index in np.flatnonzero(spans["kind"] == "all_to_all").tolist():
        place = tuple(
            spans[name][index] for name in ("step", "micro_batch", "layer", "phase", "label", "lane")
        )
        for where in ("rank", "machine"):
            groups.setdefault((where, spans[where][index], *place), []).append(index)
    for (where, who, *place), members in groups.items():
        size, rate = ("bytes", ports[who]) if where == "rank" else ("far_bytes", nics[who])
        seconds = spans["end"][members].max() - spans["joined"][members].min()
        bound = spans[size][members].sum() / rate
        assert seconds >= bound * (1 - 1e-9), (
            f"{run.name}: {where} {who} took {seconds} s for {place}, its ports need {bound} s"
        )


CLAUSES: tuple[Callable[[Rehearsal], None], ...] = (
    same_useful_flops,
    every_gradient_home_once,
    no_expert_runs_before_it_came,
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
    dense = total_flops(kernels.embedding()) + total_flops(kernels.head())
    dense += total_flops(kernels.embedding_backward()) + sum(map(total_flops, kernels.head_backward()))
    for layer in range(workload.spec.model.layers):
        dense += (1 + again) * (total_flops(kernels.before(layer)) + total_flops(kernels.after(layer)))
        after = kernels.after_backward(layer) if kernels.is_moe(layer) else ()
        dense += sum(map(total_flops, (*kernels.before_backward(layer), *after)))
    total = float(dense * workload.micro_batches * workload.layout.world * len(run.steps))
    for phase in ("forward", "backward", *(("again",) if again else ())):
        total += sum(visit.useful_flops(rank) for visit in run.visits(phase) for rank in visit.group)
    return total
