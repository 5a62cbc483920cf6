"""What a run leaves behind: its record, put together from the cluster and the steps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from janus_sim.engine.cluster import Cluster
from janus_sim.record import (
    Columns,
    Facts,
    LayerRecord,
    LinkRecord,
    MemoryRecord,
    Record,
    StepRecord,
    rows_of,
    words_of,
)
from janus_sim.step import Step
from janus_sim.workload.memory import ledger

if TYPE_CHECKING:
    from janus_sim.workload.layer import RoutedLayer
    from janus_sim.workload.workload import Workload


def record_of(cluster: Cluster, workload: Workload, records: list[StepRecord], done: list[Step]) -> Record:
    """Return the record of a run: its spans, steps, links, layers, memory and facts."""
    spans = cluster.log.columns()
    return Record(
        spans,
        tuple(records),
        links(cluster),
        layers(cluster, done, spans),
        memory(cluster, done),
        facts(cluster, workload),
    )


def links(cluster: Cluster) -> tuple[LinkRecord, ...]:
    """Return what each link carried."""
    flows, carried = cluster.flows, cluster.fabric.carried
    series, width = flows.series()
    busy = flows.busy
    return tuple(
        LinkRecord(
            name=link.name,
            kind=link.kind,
            machine=link.machine,
            capacity=link.capacity,
            crosses=link.crosses,
            expert_bytes=int(carried["expert"][link.index]),
            dense_bytes=int(carried["dense"][link.index]),
            busy=float(busy[link.index]),
            series=series[link.index],
            bin_width=width,
        )
        for link in cluster.topology.links
    )


def layers(cluster: Cluster, done: list[Step], spans: Columns) -> tuple[LayerRecord, ...]:
    """Return one row a step and MoE layer: paradigm, R, balance and bytes that left machines."""
    domain = cluster.domain
    far = _far_bytes(spans)
    rows: list[LayerRecord] = []
    for step in done:
        for layer in step.workload.moe_layers:
            visits = [
                _as_ran(cluster, step, batch, layer, group)
                for batch in range(step.workload.micro_batches)
                for group in _groups(cluster, step)
            ]
            alike = len(step.layout.groups) // len(_groups(cluster, step))  # each stands for so many
            balance = [visit.facts() for visit in visits]
            rows.append(
                LayerRecord(
                    step=step.index,
                    layer=layer,
                    paradigm=step.policy.paradigm(visits[0], domain),
                    r=visits[0].traffic_ratio(domain),
                    expert_imbalance=_mean([one["imbalance"] for one in balance]),
                    rank_imbalance=_mean([one["rank_imbalance"] for one in balance]),
                    arriving_imbalance=_mean([one["arriving_imbalance"] for one in balance]),
                    rows=int(sum(one["rows"] for one in balance)) * alike,
                    dropped_rows=int(sum(one["dropped_rows"] for one in balance)) * alike,
                    expert_cross_machine_bytes=far.get((step.index, layer), 0) * cluster.images,
                    token_counts=max(visit.counted for visit in visits),
                )
            )
    return tuple(rows)


def _as_ran(cluster: Cluster, step: Step, batch: int, layer: int, group: int) -> RoutedLayer:
    """Return a visit of the forward with its rows where the policy had them go."""
    visit = step.routed(batch, layer, "forward", group)
    machines = tuple(cluster.topology.gpus[rank].machine for rank in visit.group)
    return step.policy.rerouted(visit, machines, cluster.domain)


def _groups(cluster: Cluster, step: Step) -> range:
    """Return the groups of expert parallelism in which any rank is simulated."""
    return range(step.layout.group_of(cluster.alive - 1) + 1)


def _far_bytes(spans: Columns) -> dict[tuple[int, int], int]:
    """Return bytes of experts and tokens that left machines, by step and layer."""
    far: dict[tuple[int, int], int] = {}
    which = np.flatnonzero((spans["far_bytes"] > 0) & ~words_of(spans, "lane").among("dense"))
    few = rows_of(spans, which)
    for step, layer, size in zip(
        *(few[name].tolist() for name in ("step", "layer", "far_bytes")), strict=True
    ):
        far[step, layer] = far.get((step, layer), 0) + size
    return far


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)


def memory(cluster: Cluster, done: list[Step]) -> tuple[MemoryRecord, ...]:
    """Return the ledger of every GPU and every host: of each component the largest of all steps."""
    peak: dict[tuple[int, int, str], int] = {}
    for step in done:
        held: dict[tuple[int, int, str], int] = {}
        for rank, machine, parts in _ledgers(cluster, step):
            for name, size in parts.items():
                held[rank, machine, name] = held.get((rank, machine, name), 0) + size
        peak |= {key: max(peak.get(key, 0), size) for key, size in held.items()}
    return tuple(
        MemoryRecord(rank=rank, machine=machine, component=name, bytes=size)
        for (rank, machine, name), size in peak.items()
    )


def _ledgers(cluster: Cluster, step: Step) -> Iterator[tuple[int, int, Mapping[str, int]]]:
    """Yield (rank, machine, bytes by component) of one step: GPUs, then hosts with rank -1."""
    workload, policy, layout = step.workload, step.policy, step.layout
    domain = cluster.domain
    visits = [
        [
            _as_ran(cluster, step, batch, layer, group)
            for batch in range(workload.micro_batches)
            for layer in workload.moe_layers
        ]
        for group in _groups(cluster, step)
    ]
    for machine in cluster.machines:
        for rank in machine.ranks:
            mine = visits[layout.group_of(rank)]
            stays = partial(policy.tokens_stay, domain=domain)
            yield rank, machine.index, ledger(workload, rank, mine, stays, plan=step.plan)
            yield rank, machine.index, policy.memory(rank, machine.ranks, mine, domain)
        groups = sorted({layout.group_of(rank) for rank in machine.ranks})
        for group in groups:
            yield -1, machine.index, policy.host_memory(machine.ranks, visits[group], domain)


def facts(cluster: Cluster, workload: Workload) -> Facts:
    """Return what the metrics need besides the spans."""
    gpus, precision = cluster.topology.gpus, workload.spec.precision
    tokens = workload.tokens * workload.micro_batches
    found = Facts(
        world=len(gpus),
        images=cluster.images,
        machine_of=[gpu.machine for gpu in gpus],
        tokens_per_rank=tokens,
        model_flops=workload.kernels.model_flops_per_token() * tokens * len(gpus),
        peak_flops=sum(getattr(gpu.kind.flops, precision) for gpu in gpus),
        hbm_size=[int(gpu.kind.hbm_size) for gpu in gpus],
        host_memory=[int(machine.host_memory) for machine in cluster.topology.machines],
    )
    if cluster.flows.tolerance:
        found["tolerance"] = cluster.flows.tolerance
    return found
