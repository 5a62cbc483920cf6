"""The files behind an experiment as they were written, to be kept beside its results."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from janus_sim.scenario import builds
from janus_sim.scenario.experiment import Experiment
from janus_sim.scenario.scenario import Scenario


def written(experiment: Experiment, scenarios: Sequence[Scenario]) -> dict[str, str]:
    """Return the text of each YAML file by a name that holds on any machine, and what was made of them.

    `experiment.yaml` is the experiment with the changes of the command line, as JSON (which is YAML): it can
    be run again beside the other files.

    Examples
    --------
    >>> one = Experiment(topology="two_gpus", workload="moe_bert", policies={"janus": {}})
    >>> list(written(one, one.scenarios()))  # doctest: +NORMALIZE_WHITESPACE
    ['experiment.yaml', 'topologies/gpus/a100-sxm4-80gb.yaml', 'topologies/two_gpus.yaml',
     'workloads/moe_bert.yaml']
    """
    told = {
        name: value
        for name, value in experiment.model_dump(mode="json").items()
        if value not in (None, [], {}, "")
    }
    found = {"experiment.yaml": json.dumps(told, indent=1, ensure_ascii=False) + "\n"}
    paths: dict[str, Path] = {}
    if experiment.file:
        paths[f"experiments/{Path(experiment.file).name}"] = Path(experiment.file)
    seen = set()
    for scenario in scenarios:
        for room, value in (("topologies", scenario.topology), ("workloads", scenario.workload)):
            key = json.dumps([room, value, str(scenario.beside)], sort_keys=True)
            if key not in seen:
                seen.add(key)
                paths |= builds.named(room, value, scenario.beside)
    return found | {name: path.read_bytes().decode() for name, path in sorted(paths.items())}
