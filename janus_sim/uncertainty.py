"""How sure a speedup is: the constants of a scenario drawn from ranges, and the grid run for each draw."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from janus_sim.errors import InputError, Mistake
from janus_sim.files import layered, put, replace_folder
from janus_sim.ranges import Range, Ranges, read_ranges
from janus_sim.scenario import Experiment, Scenario
from janus_sim.sweep import check, provenance

if TYPE_CHECKING:
    import pandas as pd

    from janus_sim.results.spread import Spread

DRAW = "uncertainty.draw"  #: the column that tells the draws apart; -1 has the constants as written
NOMINAL = -1
ROOMS = {"topology": "topologies", "workload": "workloads"}
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Draws:
    """A plan of many runs.

    Attributes
    ----------
    ranges : Ranges
        What is drawn.
    quantiles : tuple of tuple of float
        (draws, ranges) between 0 and 1, a Latin hypercube.
    scenarios : tuple of Scenario
        The grid as written, then the grid of each draw; `per_draw` of them belong together.
    """

    ranges: Ranges
    quantiles: tuple[tuple[float, ...], ...]
    scenarios: tuple[Scenario, ...]
    per_draw: int


def plan(experiment: Experiment, draws: int | None = None) -> Draws:
    """Draw the constants of an experiment and write its grid once a draw, and once as it stands.

    Raises
    ------
    InputError
        With every mistake in the block ``uncertainty``, and for a range whose end no scenario can have.
    """
    ranges = read_ranges(experiment)
    base = experiment.scenarios()
    many = draws or ranges.draws
    quantiles = latin_hypercube(len(ranges.ranges), many, experiment.seed)
    count = len(ranges.ranges)
    ends = [_drawn(base, ranges.ranges, (end,) * count, word) for end, word in ((0.0, "low"), (1.0, "high"))]
    check([*base, *(scenario for end in ends for scenario in end)])
    drawn = [
        scenario
        for number, row in enumerate(quantiles)
        for scenario in _drawn(base, ranges.ranges, row, f"draw {number}")
    ]
    return Draws(ranges, quantiles, (*base, *drawn), len(base))


def latin_hypercube(dimensions: int, draws: int, seed: int) -> tuple[tuple[float, ...], ...]:
    """Return points whose projection on each axis has one point in each of `draws` equal parts.

    Examples
    --------
    >>> points = latin_hypercube(2, 4, seed=0)
    >>> [sorted(int(4 * point[axis]) for point in points) for axis in (0, 1)]
    [[0, 1, 2, 3], [0, 1, 2, 3]]
    """
    import numpy as np
    from scipy.stats import qmc

    sampler = qmc.LatinHypercube(d=dimensions, rng=np.random.default_rng(seed))
    return tuple(tuple(map(float, row)) for row in sampler.random(draws))


def run(draws: Draws, jobs: int = 1, progress: Progress | None = None) -> pd.DataFrame:
    """Simulate all scenarios of a plan.

    Returns
    -------
    DataFrame
        One row a scenario: draw, the value and the quantile of each range, the columns that name a scenario,
        and ``step_time_s``; in the order of the plan, whatever `jobs`.
    """
    import pandas as pd

    rows = []
    total = len(draws.scenarios)
    for index, seconds in enumerate(_seconds(draws.scenarios, jobs)):
        number = index // draws.per_draw - 1
        scenario = draws.scenarios[index]
        told = scenario.described()
        base = draws.scenarios[index % draws.per_draw]
        row = {"scenario": base.name, **{key: told[key] for key in _NAMED}, **told["point"], DRAW: number}
        if number != NOMINAL:
            row |= _columns(draws.ranges.ranges, draws.quantiles[number])
        rows.append(row | {"step_time_s": seconds})
        if progress is not None:
            progress(index + 1, total)
    return pd.DataFrame(rows)


_NAMED = ("topology", "workload", "precision", "micro_batch_size", "policy", "schedule", "seed")


def _columns(ranges: Sequence[Range], quantiles: Sequence[float]) -> dict[str, Any]:
    """Return what was drawn: where in its range, and the value."""
    columns: dict[str, Any] = {}
    for drawn, quantile in zip(ranges, quantiles, strict=True):
        columns |= {f"drawn: {drawn.name}": drawn.number(quantile), f"quantile: {drawn.name}": quantile}
    return columns


def _seconds(scenarios: Sequence[Scenario], jobs: int) -> Iterator[float]:
    """Return the step time of each scenario, in order."""
    if jobs <= 1:
        yield from map(step_seconds, scenarios)
        return
    with worker_pool(jobs) as workers:
        yield from workers.map(told_seconds, map(tell, scenarios))


def worker_pool(jobs: int) -> Executor:
    """Return so many fresh processes."""
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context

    return ProcessPoolExecutor(jobs, mp_context=get_context("spawn"))


Told = tuple[str, list[str], str]


def tell(scenario: Scenario) -> Told:
    """Write a scenario out for another process."""
    return scenario.model_dump_json(), [str(path) for path in scenario.folders], scenario.file


def told_seconds(told: Told) -> float:
    """Run a scenario that another process has written out."""
    text, folders, file = told
    scenario = Scenario.model_validate(json.loads(text))
    return step_seconds(scenario.change(folders=tuple(map(Path, folders)), file=file))


def step_seconds(scenario: Scenario) -> float:
    """Simulate one scenario and return its mean step time, keeping nothing else."""
    from janus_sim.simulate import run as simulate

    topology = scenario.build_topology()
    record = simulate(
        topology, scenario.build_workload(topology.world, topology.width), scenario.build_policy(),
        scenario.build_schedule(), steps=scenario.steps, seed=scenario.seed, bins=0,
    )  # fmt: skip
    return sum(step.seconds for step in record.steps) / len(record.steps)


def _drawn(
    base: Sequence[Scenario], ranges: Sequence[Range], quantiles: Sequence[float], word: str
) -> list[Scenario]:
    """Write the grid with the values of one draw."""
    values = {
        path: value
        for drawn, quantile in zip(ranges, quantiles, strict=True)
        for path, value in drawn.values(quantile)
    }
    cache: dict[str, Any] = {}
    return [changed(scenario, values, f"{scenario.name} ({word})", cache) for scenario in base]


def changed(
    scenario: Scenario, values: Mapping[str, object], name: str, cache: dict[str, Any] | None = None
) -> Scenario:
    """Put values into a scenario; presets are written out first, so that a path may lead into a list."""
    cache = {} if cache is None else cache
    data: dict[str, Any] = {"policies": {scenario.label: dict(scenario.policy)}}
    for room in {path.partition(".")[0] for path in values} & {*ROOMS}:
        written = getattr(scenario, room)
        key = json.dumps([room, written], sort_keys=True)
        if key not in cache:
            cache[key] = layered(ROOMS[room], written, scenario.beside, scenario.where(room))[0]
        data[room] = cache[key]
    for path, value in values.items():
        if path.startswith("policies.") and path.split(".")[1] != scenario.label:
            continue
        try:
            data = put(data, path, value)
        except ValueError as error:
            raise InputError(Mistake(scenario.where(f"uncertainty.{path}"), str(error))) from error
    policy = data.pop("policies")[scenario.label]
    return scenario.change(**data, policy=policy, name=name)


def spread_of(table: pd.DataFrame, draws: Draws, experiment: Experiment) -> Spread:
    """Return the intervals, probabilities and correlations of a table of draws."""
    from janus_sim.results.spread import spread

    names = [drawn.name for drawn in draws.ranges.ranges]
    return spread(table, experiment.baseline or "", DRAW, names, draws.ranges.best_of)


def save(out: Path, experiment: Experiment, draws: Draws, table: pd.DataFrame, found: Spread) -> None:
    """Write tables, figures and provenance into a folder, whole or not at all."""
    from janus_sim.results import figures, figures_spread
    from janus_sim.results.store import write_csv

    base = draws.scenarios[: draws.per_draw]

    def fill(folder: Path) -> None:
        write_csv(table, folder / "draws.csv")
        for name in ("intervals", "beats", "tornado"):
            write_csv(getattr(found, name), folder / f"{name}.csv")
        figures.write(figures_spread.intervals(found, experiment.width), folder / "intervals")
        figures.write(figures_spread.tornado(found, experiment.width), folder / "tornado")
        told = json.loads(provenance(experiment, base))
        told |= {"draws": len(draws.quantiles), "ranges": [drawn.told() for drawn in draws.ranges.ranges]}
        (folder / "provenance.json").write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")

    replace_folder(out, fill)
