"""One run: topology, workload, policy and schedule in, a record of facts out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from janus_sim.engine.cluster import Cluster, beltable
from janus_sim.policies.base import Outcome, Policy
from janus_sim.policies.on_belt import on_belt
from janus_sim.record import Record
from janus_sim.schedules.base import Schedule
from janus_sim.schedules.sequential import Sequential
from janus_sim.step import Training
from janus_sim.step.account import record_of
from janus_sim.step.alike import folded
from janus_sim.step.fault import told
from janus_sim.step.one import no_collection

if TYPE_CHECKING:
    from janus_sim.results.result import Result
    from janus_sim.scenario import Scenario
    from janus_sim.topology import Topology
    from janus_sim.workload.workload import Workload

BELT_FROM = 64  #: GPUs from which on the compiled belt is worth its compilation
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
    workload, policy = scenario.build_workload(topology), scenario.build_policy(topology)
    if scenario.alike:
        steps = scenario.steps or workload.steps
        topology = folded(topology, workload, policy, steps, scenario.where("alike"))
    record = run(
        topology,
        workload,
        policy,
        scenario.build_schedule(),
        steps=scenario.steps,
        seed=scenario.seed,
        tolerance=scenario.tolerance,
    )
    return Result(record, scenario.described())


def run(
    topology: Topology, workload: Workload, policy: Policy, schedule: Schedule | None = None, *,
    steps: int | None = None, seed: int = 0, bins: int = BINS, tolerance: float = 0.0,
    belt: bool | None = None,
) -> Record:  # fmt: skip
    """Simulate training steps.

    Parameters
    ----------
    topology : Topology
        Of which one machine is simulated if `folded` folded it.
    workload : Workload
        Laid out on the ranks of the topology.
    policy : Policy
        Its trials run first (`settle`).
    schedule : Schedule, optional
        Sequential by default.
    steps : int, optional
        As many as the workload says by default.
    seed : int
        Of the start jitter.
    bins : int
        Bins of the series of each link.
    tolerance : float
        Of the network; trials are exact.
    belt : bool, optional
        Whether kernels and pulls run in compiled code, where the policy can; by default from `BELT_FROM` GPUs
        on.

    Returns
    -------
    Record

    Raises
    ------
    DeadlockError
        Who waits for what, by name.
    PolicyError
        The policy broke the protocol, or raised an exception.
    """
    schedule = schedule or Sequential()
    with told(policy, schedule):
        policy = settle(topology, workload, policy, schedule, seed, steps=steps or workload.steps)
        belted = belted_policy(topology, workload, policy, schedule, belt)
        slow = workload.spec.training_slowdown
        cluster = Cluster(topology, slowdown=slow, bins=bins, tolerance=tolerance, belt=belted is not None)
        training = Training(cluster, workload, belted or policy, schedule, seed)
        records, done = training.run(steps or workload.steps)
    with no_collection():
        return record_of(cluster, workload, records, done)


def belted_policy(
    topology: Topology, workload: Workload, policy: Policy, schedule: Schedule, belt: bool | None
) -> Policy | None:
    """Return the policy as it runs on the compiled belt; None if it does not."""
    if belt is False or (belt is None and topology.world < BELT_FROM) or not beltable(topology):
        return None
    passes = schedule.order(0, 1, workload.micro_batches)
    if any(len(beside) > 1 or beside[0].kind not in "FB" for beside in passes):
        return None
    return on_belt(policy)


def settle(
    topology: Topology, workload: Workload, policy: Policy, schedule: Schedule, seed: int, *, steps: int = 1
) -> Policy:
    """Return the policy after all its trials, each one step on balanced routing.

    Those of a policy that may see the future are all `steps` on the routing to come.
    """
    workload, steps = (workload, steps) if policy.bound else (workload.balanced(), 1)
    visits = [workload.moe_layer(0, 0, layer, "forward", 0, workload.plan) for layer in workload.moe_layers]
    while trials := policy.trials(visits):
        outcomes = {}
        for name, variant in trials.items():
            cluster = Cluster(topology, slowdown=workload.spec.training_slowdown)
            records, _ = Training(cluster, workload, variant, schedule, seed).run(steps)
            outcomes[name] = Outcome(sum(record.seconds for record in records) / len(records))
        policy = policy.settle(outcomes)
    return policy
