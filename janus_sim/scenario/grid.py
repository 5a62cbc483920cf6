"""From an experiment to its scenarios: the product of the axes, the policies innermost, equal runs once."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from janus_sim.errors import InputError, Mistake
from janus_sim.files import nearest, put, show
from janus_sim.scenario.changes import short_forms
from janus_sim.scenario.experiment import Experiment
from janus_sim.scenario.plug import named
from janus_sim.scenario.scenario import Scenario, label, plain

LIMIT = 10_000  #: runs of one experiment

#: Axes that the tables show in a column of their own anyway.
OWN_COLUMN = (
    "topology",
    "workload",
    "workload.precision",
    "workload.micro_batch_size",
    "schedule",
    "seed",
    "alike",
    "tolerance",
)


def scenarios(experiment: Experiment) -> tuple[Scenario, ...]:
    """Expand an experiment; see `Experiment.scenarios`."""
    axes = experiment.axes()
    _check(experiment, axes)
    paths = [path for axis in axes for path in axis]
    names = short(paths)
    found: dict[str, Scenario] = {}
    taken: dict[str, str] = {}
    for point in _points(axes):
        for policy in experiment.policies:
            scenario = _scenario(experiment, policy, point, names)
            content = scenario.content()
            if taken.setdefault(scenario.name, content) != content:
                scenario = scenario.change(name=f"{scenario.name} ({len(found) + 1})")
                content = scenario.content()
            found.setdefault(content, scenario)
    return tuple(found.values())


def short(paths: Sequence[str]) -> dict[str, str]:
    """Give each path its shortest ending that no other path shares.

    Examples
    --------
    >>> short(["workload.seed", "seed", "topology.machines"])
    {'workload.seed': 'workload.seed', 'seed': 'seed', 'topology.machines': 'machines'}
    """

    def endings(path: str) -> list[str]:
        parts = path.split(".")
        return [".".join(parts[-count:]) for count in range(1, len(parts) + 1)]

    others = {path: {end for other in paths if other != path for end in endings(other)} for path in paths}
    return {path: next((end for end in endings(path) if end not in others[path]), path) for path in paths}


def _points(axes: Sequence[Mapping[str, Sequence[Any]]]) -> Iterator[dict[str, Any]]:
    rows = [
        [dict(zip(axis, values, strict=True)) for values in zip(*axis.values(), strict=True)] for axis in axes
    ]
    for combination in itertools.product(*rows):
        yield {path: value for row in combination for path, value in row.items()}


def _check(experiment: Experiment, axes: Sequence[Mapping[str, Sequence[Any]]]) -> None:
    """Refuse what can be seen before anything is built."""
    mistakes: list[Mistake] = []
    runs = math.prod(len(next(iter(axis.values()))) for axis in axes if axis) * len(experiment.policies)
    if runs > LIMIT:
        mistakes.append(
            Mistake(experiment.where("vary"), f"makes {runs:,} runs; write a grid of {LIMIT:,} at most")
        )
    if not experiment.policies:
        mistakes.append(
            Mistake(experiment.where("policies"), "is empty; write at least one, as expert_centric: {}")
        )
    known = list(experiment.policies)
    if experiment.baseline is not None and experiment.baseline not in known:
        hint = nearest(experiment.baseline, known) or f"; there are {', '.join(known)}"
        mistakes.append(
            Mistake(experiment.where("baseline"), f'no policy "{experiment.baseline}" here{hint}')
        )
    for path in (path for axis in axes for path in axis if path.startswith("policies.")):
        name = path.split(".")[1]
        if name not in known:
            mistakes.append(
                Mistake(experiment.where(f"vary.{path}"), f'no policy "{name}" here{nearest(name, known)}')
            )
        elif path.count(".") == 1:
            mistakes.append(
                Mistake(
                    experiment.where(f"vary.{path}"), "is a whole policy; write a path to one of its knobs"
                )
            )
    if mistakes:
        raise InputError(mistakes)


def _scenario(
    experiment: Experiment, policy: str, point: Mapping[str, Any], names: Mapping[str, str]
) -> Scenario:
    mine = {path: value for path, value in point.items() if _concerns(path, policy)}
    data: dict[str, Any] = {
        "topology": experiment.topology,
        "workload": experiment.workload,
        "schedule": experiment.schedule,
        "seed": experiment.seed,
        "steps": experiment.steps,
        "alike": experiment.alike,
        "tolerance": experiment.tolerance,
        "policies": {
            policy: named(policy, experiment.policies[policy], experiment.where(f"policies.{policy}"))
        },
    }
    labels = {"topology": label(data["topology"], False), "workload": label(data["workload"], False)}
    for path in sorted(mine, key=lambda path: path.count(".")):
        try:
            data = put(data, path, mine[path], short_forms())
        except ValueError as error:
            raise InputError(Mistake(experiment.where(path), str(error))) from error
        if path in labels:
            labels[path] = label(mine[path])
    shown = [f"{names[path]}={labels.get(path) or plain(value)}" for path, value in mine.items()]
    return _checked(experiment, data, {
        "experiment": experiment.name,
        "name": " ".join([policy, *shown]),
        "label": policy,
        "policy": data["policies"][policy],
        "topology_name": labels["topology"],
        "workload_name": labels["workload"],
        "baseline": policy == experiment.baseline,
        "point": {path: value for path, value in mine.items() if path not in OWN_COLUMN},
        "folders": experiment.folders,
        "file": experiment.file,
    })  # fmt: skip


def _checked(experiment: Experiment, data: Mapping[str, Any], rest: Mapping[str, Any]) -> Scenario:
    """Refuse values of axes that no scenario can have."""
    mistakes = [
        Mistake(experiment.where(part), f"{show(data[part])} is no name and no mapping")
        for part in ("topology", "workload", "schedule")
        if not isinstance(data[part], str | Mapping)
    ]
    for part, least in (("seed", 0), ("steps", 1)):
        value = data[part]
        whole = isinstance(value, int) and not isinstance(value, bool) and value >= least
        if not whole and (value is not None or part == "seed"):
            mistakes.append(
                Mistake(
                    experiment.where(part), f"{show(value)} is wrong; write a whole number from {least} up"
                )
            )
    part = data["tolerance"]
    if not isinstance(part, int | float) or isinstance(part, bool) or not 0.0 <= part <= 0.1:
        wrong = f"{show(part)} is wrong; write a number from 0 (exact) to 0.1"
        mistakes.append(Mistake(experiment.where("tolerance"), wrong))
    if data["alike"] not in (None, "machines"):
        wrong = f"{show(data['alike'])} is wrong; write machines, or leave it out"
        mistakes.append(Mistake(experiment.where("alike"), wrong))
    if mistakes:
        raise InputError(mistakes)
    keys = ("topology", "workload", "schedule", "seed", "steps", "alike", "tolerance")
    return Scenario(**{key: data[key] for key in keys}, **rest)


def _concerns(path: str, policy: str) -> bool:
    parts = path.split(".")
    return parts[0] != "policies" or parts[1] == policy
