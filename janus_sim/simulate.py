"""One run: topology, workload, policy and schedule in, a record of facts out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING

from janus_sim.engine.cluster import Cluster
from janus_sim.policies.base import Outcome, Policy
from janus_sim.record import Facts, LayerRecord, LinkRecord, MemoryRecord, Record
from janus_sim.schedules.base import Schedule
from janus_sim.schedules.sequential import Sequential
from janus_sim.step import Step, Training
from janus_sim.workload.memory import ledger

if TYPE_CHECKING:
    from janus_sim.results.result import Result
    from janus_sim.scenario import Scenario
    from janus_sim.topology import Topology
    from janus_sim.workload.workload import Workload

BINS = 512  #: of the series of bytes that each link keeps, at the most


def simulate(scenario: Scenario) -> Result:
    """Run one scenario: a pure function.

    Parameters
    ----------
    scenario : Scenario

    Returns
    -------
    Result

    Raises
    ------
    InputError
        With every mistake in the scenario.
    DeadlockError, PolicyError
        See `run`.

    Examples
    --------
    >>> from janus_sim import Scenario
    >>> result = simulate(Scenario(topology="two_gpus", workload="moe_bert", policy="expert_centric"))
    >>> len(result.steps)
    1
    """
    from janus_sim.results.result import Result

    topology = scenario.build_topology()
    workload = scenario.build_workload(len(topology.gpus))
    record = run(
        topology,
        workload,
        scenario.build_policy(),
        scenario.build_schedule(),
        steps=scenario.steps,
        seed=scenario.seed,
    )
    return Result(record, scenario.described())


def run(
    topology: Topology, workload: Workload, policy: Policy, schedule: Schedule | None = None, *,
    steps: int | None = None, seed: int = 0, bins: int = BINS,
) -> Record:  # fmt: skip
    """Simulate training steps.

    Parameters
    ----------
    topology : Topology
    workload : Workload
        Laid out on the ranks of the topology.
    policy : Policy
        Its trials run first, on balanced routing.
    schedule : Schedule, optional
        Sequential by default.
    steps : int, optional
        As many as the workload says by default.
    seed : int
        Of the start jitter.
    bins : int
        Bins of the series of each link.

    Returns
    -------
    Record

    Raises
    ------
    DeadlockError
        Who waits for what, by name.
    PolicyError
        The policy broke the protocol.
    """
    schedule = schedule or Sequential()
    policy = settle(topology, workload, policy, schedule, seed)
    cluster = Cluster(topology, slowdown=workload.spec.training_slowdown, bins=bins)
    training = Training(cluster, workload, policy, schedule, seed)
    records, done = training.run(steps or workload.steps)
    return Record(
        cluster.log.columns(),
        tuple(records),
        links(cluster),
        layers(cluster, done),
        memory(cluster, done),
        facts(cluster, workload),
    )


def settle(topology: Topology, workload: Workload, policy: Policy, schedule: Schedule, seed: int) -> Policy:
    """Return the policy after all its trials, each one step on balanced routing."""
    balanced = workload.balanced()
    visits = [balanced.moe_layer(0, 0, layer, "forward", 0, balanced.plan) for layer in balanced.moe_layers]
    while trials := policy.trials(visits):
        outcomes = {}
        for name, variant in trials.items():
            cluster = Cluster(topology, slowdown=workload.spec.training_slowdown)
            (record,), _ = Training(cluster, balanced, variant, schedule, seed).run(1)
            outcomes[name] = Outcome(record.seconds)
        policy = policy.settle(outcomes)
    return policy


def links(cluster: Cluster) -> tuple[LinkRecord, ...]:
    """Return what each link carried."""
    flows, carried = cluster.flows, cluster.fabric.carried
    series, width = flows.series()
    busy = flows.busy
    return tuple(
        LinkRecord(
            link.name, link.kind, link.machine, link.capacity, link.crosses, int(carried["expert"][link.index]),
            int(carried["dense"][link.index]), float(busy[link.index]), series[link.index], width,
        )
        for link in cluster.topology.links
    )  # fmt: skip


def layers(cluster: Cluster, done: list[Step]) -> tuple[LayerRecord, ...]:
    """Return one row a step and MoE layer: paradigm, R, balance and bytes that left machines."""
    domain = min(len(machine.ranks) for machine in cluster.machines)
    far = _far_bytes(cluster)
    rows: list[LayerRecord] = []
    for step in done:
        for layer in step.workload.moe_layers:
            visits = [
                step.routed(batch, layer, "forward", group)
                for batch in range(step.workload.micro_batches)
                for group in range(len(step.layout.groups))
            ]
            balance = [visit.facts() for visit in visits]
            rows.append(
                LayerRecord(
                    step=step.index,
                    layer=layer,
                    paradigm=step.policy.paradigm(visits[0], domain),
                    r=visits[0].traffic_ratio(domain),
                    expert_imbalance=_mean([one["imbalance"] for one in balance]),
                    rank_imbalance=_mean([one["rank_imbalance"] for one in balance]),
                    rows=int(sum(one["rows"] for one in balance)),
                    dropped_rows=int(sum(one["dropped_rows"] for one in balance)),
                    expert_cross_machine_bytes=far.get((step.index, layer), 0),
                )
            )
    return tuple(rows)


def _far_bytes(cluster: Cluster) -> dict[tuple[int, int], int]:
    """Return bytes of experts and tokens that left machines, by step and layer."""
    far: dict[tuple[int, int], int] = {}
    for row in cluster.log.rows:
        if row[20] and row[9] != "dense":
            far[row[0], row[2]] = far.get((row[0], row[2]), 0) + row[20]
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
    domain = min(len(machine.ranks) for machine in cluster.machines)
    visits = [
        [step.routed(batch, layer, "forward", group) for batch in range(workload.micro_batches) for layer in workload.moe_layers]
        for group in range(len(layout.groups))
    ]  # fmt: skip
    for machine in cluster.machines:
        for rank in machine.ranks:
            mine = visits[layout.group_of(rank)]
            stays = partial(policy.tokens_stay, domain=domain)
            yield rank, machine.index, ledger(workload, rank, mine, stays, plan=step.plan)
            yield rank, machine.index, policy.memory(rank, machine.ranks, mine)
        groups = sorted({layout.group_of(rank) for rank in machine.ranks})
        for group in groups:
            yield -1, machine.index, policy.host_memory(machine.ranks, visits[group])


def facts(cluster: Cluster, workload: Workload) -> Facts:
    """Return what the metrics need besides the spans."""
    gpus, precision = cluster.topology.gpus, workload.spec.precision
    tokens = workload.tokens * workload.micro_batches
    return Facts(
        world=len(gpus),
        machine_of=[gpu.machine for gpu in gpus],
        tokens_per_rank=tokens,
        model_flops=workload.kernels.model_flops_per_token() * tokens * len(gpus),
        peak_flops=sum(getattr(gpu.kind.flops, precision) for gpu in gpus),
        hbm_size=[int(gpu.kind.hbm_size) for gpu in gpus],
        host_memory=[int(machine.host_memory) for machine in cluster.topology.machines],
    )
