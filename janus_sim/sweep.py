"""Many runs: an experiment's grid in one process, its table, and the folder of its results."""

from __future__ import annotations

import json
import platform
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import janus_sim
from janus_sim.errors import InputError, JanusSimError, Mistake
from janus_sim.files import check_folder, digest, replace_folder, write_whole
from janus_sim.scenario import Experiment, Scenario
from janus_sim.scenario.written import written

if TYPE_CHECKING:
    import pandas as pd

    from janus_sim.results.result import Result
    from janus_sim.topology import Topology

T = TypeVar("T")
Progress = Callable[[int, Scenario], None]

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


def sweep(
    experiment: Experiment | str | Path,
    changes: Sequence[str] = (),
    *,
    out: str | Path | None = None,
    progress: Progress | None = None,
) -> pd.DataFrame:
    """Run the grid of an experiment.

    Parameters
    ----------
    experiment : Experiment, str or Path
        A value, the name of a preset, or a path.
    changes : sequence of str
        ``key=value`` or ``key=a,b,c``, as on the command line.
    out : str or Path, optional
        Folder to write the results to, whole; an earlier result is replaced.
    progress : callable, optional
        Told the number and the scenario of each run before it starts.

    Returns
    -------
    DataFrame
        One row a scenario, in the order of the grid; ``speedup`` over the baseline at the same point.

    Raises
    ------
    InputError
        With every mistake of every scenario, before anything runs.
    DeadlockError
        A simulated system waits for ever.
    """
    if not isinstance(experiment, Experiment):
        experiment = Experiment.load(experiment, changes)
    if out is not None:
        check_folder(out)
    scenarios = check_experiment(experiment).scenarios
    results = run(scenarios, progress)
    summary = table(results, experiment.baseline)
    if out is not None:
        save(out, experiment, scenarios, results, summary)
    return summary


def run(scenarios: Sequence[Scenario], progress: Progress | None = None) -> list[Result]:
    """Simulate scenarios, one after another."""
    from janus_sim.simulate import simulate

    results = []
    for number, scenario in enumerate(scenarios):
        if progress is not None:
            progress(number, scenario)
        results.append(simulate(scenario))
    return results


def table(results: Sequence[Result], baseline: str | None = None) -> pd.DataFrame:
    """Give one row a result, and the speedup over the baseline at the same point of the grid."""
    from janus_sim.results import tables

    summary = tables.summary(results)
    return tables.add_speedup(summary, baseline) if baseline else summary


def save(
    out: str | Path,
    experiment: Experiment,
    scenarios: Sequence[Scenario],
    results: Sequence[Result],
    summary: pd.DataFrame,
) -> None:
    """Write tables, figures and provenance into a folder, whole or not at all."""
    from janus_sim.results import figures, store

    origin, texts = provenance(experiment, scenarios), written(experiment, scenarios)

    def fill(folder: Path) -> None:
        store.save(results, folder, summary)
        figures.draw(results, summary, folder, experiment.baseline or "")
        (folder / "provenance.json").write_text(origin, encoding="utf-8", newline="\n")
        for name, text in texts.items():
            write_whole(folder / "inputs" / name, text.encode())

    replace_folder(out, fill)


def provenance(experiment: Experiment, scenarios: Sequence[Scenario]) -> str:
    """Say what the results come from: versions, seed, the SHA-256 of every input; no time, no place."""
    inputs: dict[str, str] = {}
    if experiment.file:
        path = Path(experiment.file)
        inputs[f"experiments/{path.name}"] = digest(path.read_bytes())
    for scenario in scenarios:
        inputs |= scenario.inputs()
    told = {
        "janus_sim": janus_sim.__version__,
        "python": platform.python_version(),
        "packages": {name: version(name) for name in ("matplotlib", "numba", "numpy", "pandas", "simpy")},
        "experiment": experiment.name,
        "baseline": experiment.baseline,
        "seed": experiment.seed,
        "inputs": dict(sorted(inputs.items())),
        "scenarios": {scenario.name: scenario.key() for scenario in scenarios},
    }
    return json.dumps(told, indent=1) + "\n"


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
    for scenario in scenarios:
        known = json.dumps(scenario.topology, sort_keys=True)
        if known not in topologies:
            topologies[known] = _try(scenario.build_topology, mistakes)
        _try(scenario.build_policy, mistakes)
        _try(scenario.build_schedule, mistakes)
        topology = topologies[known]
        if topology is None:
            _try(scenario.workload_spec, mistakes)
        else:
            world = len(topology.gpus)
            estimate = _try(partial(estimate_of, scenario, world), mistakes)
            estimates += [estimate] if estimate is not None else []
    if mistakes:
        raise InputError(list(dict.fromkeys(mistakes)))
    return Checked(tuple(scenarios), tuple(estimates))


def estimate_of(scenario: Scenario, world: int) -> Estimate:
    """Build the workload for so many ranks, and estimate what its run costs from the number of spans."""
    workload = scenario.build_workload(world)
    spec, written = workload.spec, json.dumps(scenario.policy)
    tokens_travel = not any(word in written for word in ("data_centric", "janus"))
    busy = len(workload.experts) * world // 8 if tokens_travel else 6 * sum(workload.experts)
    spans = world * spec.micro_batches * (12 * spec.model.layers + busy)
    trials = len(workload.experts) + 3 if '"simulated"' in written else 0
    steps = scenario.steps or spec.steps
    return Estimate(world, spans * (steps + trials) * SPAN_SECONDS, spans * steps * SPAN_BYTES)


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


def _try(build: Callable[[], T], mistakes: list[Mistake]) -> T | None:
    """Build something, or note what is wrong with it."""
    try:
        return build()
    except InputError as error:
        mistakes += error.mistakes
    except JanusSimError as error:
        mistakes.append(Mistake("", str(error)))
    return None
