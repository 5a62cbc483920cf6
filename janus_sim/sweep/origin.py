"""Where results come from: the version of the model, the hashes of all inputs, the folder's name."""

from __future__ import annotations

import json
import platform
import re
from collections.abc import Sequence
from functools import cache
from importlib.metadata import version
from pathlib import Path

import janus_sim
from janus_sim.files import digest
from janus_sim.scenario import Experiment, Scenario

#: What of the package no simulated number hangs on.
ASIDE = (
    "__main__.py",
    "advise",
    "authoring",
    "bench.py",
    "cli",
    "presets",
    "ranges.py",
    "regression",
    "sweep",
    "testing",
    "uncertainty.py",
)


@cache
def model_version() -> str:
    """Tell this model from every other one: its version, and a hash of its sources.

    Examples
    --------
    >>> model_version().startswith(janus_sim.__version__ + "+")
    True
    """
    home = Path(janus_sim.__file__).parent
    files = sorted(path.relative_to(home) for path in home.rglob("*.py"))
    told = {
        path.as_posix(): digest((home / path).read_bytes()) for path in files if path.parts[0] not in ASIDE
    }
    return f"{janus_sim.__version__}+{digest(json.dumps(told).encode())[:12]}"


def provenance(
    experiment: Experiment, scenarios: Sequence[Scenario], keys: Sequence[str] | None = None
) -> str:
    """Say what the results come from: versions, seed, the SHA-256 of every input; no time, no place.

    Parameters
    ----------
    keys : sequence of str, optional
        Of the scenarios, where they are known.
    """
    keys = [scenario.key() for scenario in scenarios] if keys is None else keys
    inputs: dict[str, str] = {}
    if experiment.file:
        path = Path(experiment.file)
        inputs[f"experiments/{path.name}"] = digest(path.read_bytes())
    for scenario in scenarios:
        inputs |= scenario.inputs()
    told = {
        "janus_sim": janus_sim.__version__,
        "model": model_version(),
        "python": platform.python_version(),
        "packages": {name: version(name) for name in ("matplotlib", "numba", "numpy", "pandas", "simpy")},
        "experiment": experiment.name,
        "baseline": experiment.baseline,
        "seed": experiment.seed,
        "inputs": dict(sorted(inputs.items())),
        **({"instead": experiment.instead} if experiment.instead else {}),
        **({"routing": fitted} if (fitted := done_to_traces(scenarios)) else {}),
        "scenarios": {scenario.name: key for scenario, key in zip(scenarios, keys, strict=True)},
    }
    return json.dumps(told, indent=1) + "\n"


def done_to_traces(scenarios: Sequence[Scenario]) -> dict[str, list[str]]:
    """Say for each scenario with a trace that is fitted what was done to it."""
    known: dict[str, list[str]] = {}
    found = {}
    for scenario in scenarios:
        key = json.dumps([scenario.topology, scenario.workload, scenario.steps], sort_keys=True, default=str)
        if key not in known:
            known[key] = list(scenario.done_to_trace())
        if known[key]:
            found[scenario.name] = known[key]
    return found


def folder_of(experiment: Experiment) -> Path:
    """Give the folder that results go to unless another is named.

    Examples
    --------
    >>> folder_of(
    ...     Experiment(name="A100, 4 x 8", topology="a100_4x8", workload="moe_gpt", policies={})
    ... ).as_posix()
    'results/a100-4-x-8'
    """
    return Path("results") / (re.sub(r"[^\w.]+", "-", experiment.name.lower()).strip("-.") or "experiment")
