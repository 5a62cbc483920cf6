"""Small runs to look into: clusters, workloads, and what was sent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from janus_sim.engine.cluster import Cluster
from janus_sim.engine.fabric import Device, Fabric
from janus_sim.policies.base import Policy
from janus_sim.record import StepRecord
from janus_sim.schedules.base import Schedule
from janus_sim.schedules.sequential import Sequential
from janus_sim.simulate import settle
from janus_sim.step import Step, Training
from janus_sim.topology import Topology
from janus_sim.workload.workload import Workload

if TYPE_CHECKING:
    from janus_sim.engine.place import Place
    from janus_sim.engine.time import Activity
    from janus_sim.workload.layer import RoutedLayer

_MODEL: dict[str, Any] = {
    "layers": 2, "moe_layers": "every 2", "experts_per_rank": 1, "top_k": 2,
    "hidden": 256, "ffn": {"width": 1024}, "heads": 4, "vocabulary": 1000,
}  # fmt: skip
_WORKLOAD: dict[str, Any] = {"model": _MODEL, "precision": "fp16", "micro_batch_size": 4, "seq_length": 64}


def _case(
    topology: str,
    model: Mapping[str, Any] | None = None,
    **workload: Any,  # noqa: ANN401
) -> tuple[str, dict[str, Any]]:
    return topology, {**_WORKLOAD, "model": {**_MODEL, **(model or {})}, **workload}


#: Small clusters and workloads: balanced and padded, skewed and drop-less, several micro-batches, replicas.
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
class Sent:
    """One transfer, as it was ordered.

    Attributes
    ----------
    source, target : Device
        A rank, or ("host", machine).
    size : int
        Bytes.
    label : str
    place : Place
    begin : float
        When it was ordered, in seconds.
    """

    source: Device
    target: Device
    size: int
    label: str
    place: Place
    begin: float
    activity: Activity

    def end(self, cluster: Cluster) -> float:
        """Return when it was over, in seconds."""
        return cluster.log.end(self.activity.why)


@dataclass(frozen=True)
class Rehearsal:
    """One small run, to be looked into.

    Attributes
    ----------
    name : str
        Of the case.
    cluster : Cluster
    workload : Workload
    steps : list of Step
    records : list of StepRecord
    sent : list of Sent
        All transfers of single experts or gradients, in the order in which they began.
    """

    name: str
    cluster: Cluster
    workload: Workload
    steps: list[Step]
    records: list[StepRecord]
    sent: list[Sent]

    @cached_property
    def spans(self) -> Mapping[str, Any]:
        """The spans as arrays."""
        return self.cluster.log.columns()

    def visits(self, phase: str) -> list[RoutedLayer]:
        """Return the visits of all steps, micro-batches, layers and groups in a phase."""
        workload = self.workload
        return [
            step.routed(batch, layer, phase, group)
            for step in self.steps
            for batch in range(workload.micro_batches)
            for layer in workload.moe_layers
            for group in range(len(workload.layout.groups))
        ]

    @property
    def end(self) -> float:
        """When the last step was over, in seconds."""
        return self.records[-1].end


def rehearse(
    policy: Policy, case: str, schedule: Schedule | None = None, *,
    steps: int = 1, changes: Mapping[str, Any] | None = None,
) -> Rehearsal:  # fmt: skip
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
    """Run a policy on any topology and workload.

    Parameters
    ----------
    topology : Topology
    about : mapping
        The workload, as in a file.
    policy : Policy
    schedule : Schedule, optional
        Sequential by default.
    steps : int
    name : str
        What complaints call it.
    """
    schedule = schedule or Sequential()
    workload = Workload.load(about, topology.world, width=topology.width)
    policy = settle(topology, workload, policy, schedule, 0)
    cluster = Cluster(topology)
    sent = overheard(cluster.fabric)
    records, done = Training(cluster, workload, policy, schedule).run(steps)
    return Rehearsal(name, cluster, workload, done, records, sent)


def overheard(fabric: Fabric) -> list[Sent]:
    """Return a list to which every transfer of the fabric is added from now on."""
    sent: list[Sent] = []
    transfer = fabric.transfer

    def listen(source: Device, target: Device, size: int, place: Place, label: str, **about: Any) -> Activity:  # noqa: ANN401
        begin = fabric.timeline.now
        activity = transfer(source, target, size, place, label, **about)
        sent.append(Sent(source, target, size, label, place, begin, activity))
        return activity

    anything: Any = fabric
    anything.transfer = listen
    return sent
