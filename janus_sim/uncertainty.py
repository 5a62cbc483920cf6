"""How sure a speedup is: the constants of a scenario drawn from ranges, and the grid run for each draw."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from janus_sim.errors import InputError, Mistake
from janus_sim.files import layered, put
from janus_sim.ranges import Range, Ranges, read_ranges
from janus_sim.scenario import Experiment, Scenario
from janus_sim.scenario.changes import short_forms
from janus_sim.sweep import check

if TYPE_CHECKING:
    import pandas as pd

    from janus_sim.results.spread import Spread
    from janus_sim.sweep.sweeping import Progress, Settings, Swept

DRAW = "uncertainty.draw"  #: the column that tells the draws apart; -1 has the constants as written
NOMINAL = -1
ROOMS = {"topology": "topologies", "workload": "workloads"}


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


@dataclass(frozen=True)
class Uncertain:
    """What the draws came to: the sweep, its table of draws, and what that says."""

    swept: Swept
    draws: pd.DataFrame
    found: Spread


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
        _numbered(scenario, number)
        for number, row in enumerate(quantiles)
        for scenario in _drawn(base, ranges.ranges, row, f"draw {number}")
    ]
    as_written = [_numbered(scenario, NOMINAL) for scenario in base]
    return Draws(ranges, quantiles, (*as_written, *drawn), len(base))


def _numbered(scenario: Scenario, number: int) -> Scenario:
    """Let the draw be a column of the table, so that speedups compare inside a draw."""
    return scenario.change(point={**scenario.point, DRAW: number})


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


def run(
    planned: Draws, experiment: Experiment, settings: Settings | None = None, out: Path | None = None,
    progress: Progress | None = None,
) -> Uncertain:  # fmt: skip
    """Run a plan as a sweep: stored, gone on with, in processes or on a cluster as any other.

    Parameters
    ----------
    settings : Settings, optional
        As of a sweep; no records are kept and the figures are those of uncertainty.
    out : Path, optional
        Folder of the results: a sweep's, with the tables and figures of uncertainty beside them.
    """
    from janus_sim.sweep import sweeping

    settings = replace(settings or sweeping.Settings(), details=0, figures=False)
    seen: list[tuple[pd.DataFrame, Spread]] = []

    def also(folder: Path, table: pd.DataFrame) -> None:
        """Tell what the draws came to, and write it into the folder in the making."""
        seen.append(told(planned, experiment, table))
        save(folder, planned, *seen[0])

    swept = sweeping.run(experiment, settings, out, progress, planned.scenarios, also)
    table, found = seen[0] if seen else told(planned, experiment, swept.table)
    return Uncertain(swept, table, found)


def told(planned: Draws, experiment: Experiment, table: pd.DataFrame) -> tuple[pd.DataFrame, Spread]:
    """Return the table of draws, and the intervals, probabilities and correlations in it.

    Raises
    ------
    InputError
        When too little succeeded to say anything.
    """
    from janus_sim.results.spread import spread
    from janus_sim.results.tables import called

    draws = draws_of(planned, table)
    if NOMINAL not in set(draws[DRAW]) or draws[DRAW].nunique() < 3:
        words = "too many runs failed to tell anything"
        words += f": {table['error'].dropna().iloc[0]}" if "error" in table else ""
        raise InputError(Mistake(experiment.where("uncertainty"), words))
    names = [drawn.name for drawn in planned.ranges.ranges]
    baseline = called(draws, experiment.baseline or "")
    return draws, spread(draws, baseline, DRAW, names, planned.ranges.best_of)


def draws_of(planned: Draws, table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of a sweep as a table of draws; a draw in which a run failed is left out.

    Returns
    -------
    DataFrame
        One row a scenario: the columns that name it, its draw, of each range the value and the quantile, and
        ``step_time_s``.
    """
    import pandas as pd

    base = planned.scenarios[: planned.per_draw]
    axes = dict.fromkeys(path for scenario in base for path in scenario.point)
    names = [scenario.name for scenario in base] * (len(planned.scenarios) // planned.per_draw)
    seconds = table["step_time_s"] if "step_time_s" in table else pd.Series(float("nan"), table.index)
    drawn = pd.DataFrame(
        [
            {} if number == NOMINAL else _columns(planned.ranges.ranges, planned.quantiles[number])
            for number in table[DRAW]
        ],
        index=table.index,
    )
    columns = table[["scenario", *_NAMED, *axes]].assign(scenario=names)
    whole = pd.concat([columns, drawn, seconds.rename("step_time_s")], axis=1)
    failed = set(whole.loc[seconds.isna(), DRAW])
    return whole[~whole[DRAW].isin(failed)].reset_index(drop=True)


_NAMED = ("topology", "workload", "precision", "micro_batch_size", "policy", "schedule", "seed")


def _columns(ranges: Sequence[Range], quantiles: Sequence[float]) -> dict[str, Any]:
    """Return what was drawn: where in its range, and the value."""
    columns: dict[str, Any] = {}
    for drawn, quantile in zip(ranges, quantiles, strict=True):
        columns |= {f"drawn: {drawn.name}": drawn.number(quantile), f"quantile: {drawn.name}": quantile}
    return columns


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
    data: dict[str, Any] = {
        "policies": {scenario.label: dict(scenario.policy)},
        "schedule": scenario.schedule,
    }
    for room in {path.partition(".")[0] for path in values} & {*ROOMS}:
        written = getattr(scenario, room)
        key = json.dumps([room, written], sort_keys=True)
        if key not in cache:
            within = {path.removeprefix(f"{room}."): word for path, word in short_forms().items()}
            cache[key] = layered(ROOMS[room], written, scenario.beside, scenario.where(room), within)[0]
        data[room] = cache[key]
    for path, value in values.items():
        if path.startswith("policies.") and path.split(".")[1] != scenario.label:
            continue
        try:
            data = put(data, path, value, short_forms())
        except ValueError as error:
            raise InputError(Mistake(scenario.where(f"uncertainty.{path}"), str(error))) from error
    policy = data.pop("policies")[scenario.label]
    return scenario.change(**data, policy=policy, name=name)


def save(folder: Path, planned: Draws, table: pd.DataFrame, found: Spread) -> None:
    """Write the tables and figures of uncertainty into a folder."""
    from janus_sim.results import figures, figures_spread
    from janus_sim.results.store import write_csv

    write_csv(table, folder / "draws.csv")
    for name in ("intervals", "beats", "tornado"):
        write_csv(getattr(found, name), folder / f"{name}.csv")
    figures.write(figures_spread.intervals(found), folder / "intervals")
    figures.write(figures_spread.tornado(found), folder / "tornado")
    ranges = {"draws": len(planned.quantiles), "ranges": [drawn.told() for drawn in planned.ranges.ranges]}
    (folder / "ranges.json").write_text(json.dumps(ranges, indent=1) + "\n", encoding="utf-8", newline="\n")
