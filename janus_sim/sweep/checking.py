"""Before anything runs: everything that the scenarios name is built once, and what each will cost is told."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from janus_sim.errors import InputError, JanusSimError, Mistake
from janus_sim.scenario import Experiment, Scenario

if TYPE_CHECKING:
    from janus_sim.topology import Topology

T = TypeVar("T")

#: What one span of a run costs, measured with `make bench` on one core: for estimates alone.
SPAN_SECONDS, SPAN_BYTES, BASE_BYTES = 50e-6, 600.0, 300e6


@dataclass(frozen=True)
class Estimate:
    """What a run will cost, within a factor of a few.

    Attributes
    ----------
    gpus : int
    seconds, bytes : float
        Of wall time, and of memory that its result takes; beside it the process takes `BASE_BYTES`.
    """

    gpus: int
    seconds: float
    bytes: float


@dataclass
class Checked:
    """Scenarios that can all be built, and what each will cost."""

    scenarios: tuple[Scenario, ...]
    estimates: tuple[Estimate, ...] = field(default_factory=tuple)


def check_experiment(experiment: Experiment) -> Checked:
    """Expand an experiment and build everything that it names, without running it.

    Raises
    ------
    InputError
        With every mistake: a wrong baseline or axis does not hide the others.
    """
    try:
        scenarios = experiment.scenarios()
    except InputError as error:
        mistakes = list(error.mistakes)
        try:
            check(experiment.change(baseline=None, vary={}, zip=()).scenarios())
        except InputError as others:
            mistakes += others.mistakes
        raise InputError(list(dict.fromkeys(mistakes))) from error
    return check(scenarios)


def check(scenarios: Sequence[Scenario]) -> Checked:
    """Build everything that the scenarios name, without running it.

    Raises
    ------
    InputError
        With every mistake.
    """
    mistakes: list[Mistake] = []
    estimates: list[Estimate] = []
    topologies: dict[str, Topology | None] = {}
    known: dict[str, Estimate | None] = {}  # what differs in its seed alone costs the same
    built: set[str] = set()
    for scenario in scenarios:
        place = json.dumps(scenario.topology, sort_keys=True)
        if place not in topologies:
            topologies[place] = _try(scenario.build_topology, mistakes)
        plugs = json.dumps([place, scenario.label, scenario.policy, scenario.schedule], sort_keys=True)
        if plugs not in built:
            built.add(plugs)
            policy = _try(partial(scenario.build_policy, topologies[place]), mistakes)
            if scenario.baseline and policy is not None and policy.bound:
                found = f'"{scenario.label}" may see the future: it is a bound; write one that can be built'
                mistakes.append(Mistake(scenario.where("baseline"), found))
            _try(scenario.build_schedule, mistakes)
        topology = topologies[place]
        if topology is None:
            _try(scenario.workload_spec, mistakes)
            continue
        ground = [topology.world, topology.width]
        run = json.dumps([ground, scenario.workload, scenario.policy, scenario.steps], sort_keys=True)
        if run not in known:
            known[run] = _try(partial(estimate_of, scenario, topology), mistakes)
        estimate = known[run]
        estimates += [estimate] if estimate is not None else []
    if mistakes:
        raise InputError(list(dict.fromkeys(mistakes)))
    return Checked(tuple(scenarios), tuple(estimates))


def estimate_of(scenario: Scenario, topology: Topology) -> Estimate:
    """Build the workload; estimate its cost from the number of spans."""
    workload, world = scenario.build_workload(topology), topology.world
    spec, written = workload.spec, json.dumps(scenario.policy)
    tokens_travel = not any(word in written for word in ("data_centric", "janus"))
    busy = len(workload.experts) * world // 8 if tokens_travel else 6 * sum(workload.experts)
    spans = world * spec.micro_batches * (12 * spec.model.layers + busy)
    trials = len(workload.experts) + 3 if '"simulated"' in written else 0
    steps = scenario.steps or workload.steps
    return Estimate(world, spans * (steps + trials) * SPAN_SECONDS, spans * steps * SPAN_BYTES)


def _try(build: Callable[[], T], mistakes: list[Mistake]) -> T | None:
    """Build something, or note what is wrong with it."""
    try:
        return build()
    except InputError as error:
        mistakes += error.mistakes
    except JanusSimError as error:
        mistakes.append(Mistake("", str(error)))
    return None
