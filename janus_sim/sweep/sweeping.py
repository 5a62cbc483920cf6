"""A grid to its table: what is known is taken from the store, the rest computed, the folder finished."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from janus_sim.files import write_whole
from janus_sim.results.pack import read_head
from janus_sim.results.reading import MARK
from janus_sim.scenario import Experiment, Scenario
from janus_sim.scenario.written import written
from janus_sim.sweep.checking import check_experiment
from janus_sim.sweep.folder import Folder
from janus_sim.sweep.grid import Grid, Memory, shard
from janus_sim.sweep.origin import provenance
from janus_sim.sweep.work import Task
from janus_sim.sweep.workers import Workers, here, processes

if TYPE_CHECKING:
    import pandas as pd

DETAILS = 256  #: runs whose record is kept, unless told otherwise
Progress = Callable[[int, Scenario], None]
Also = Callable[[Path, "pd.DataFrame"], None]


@dataclass(frozen=True)
class Settings:
    """How a grid is run; none of it changes a number.

    Attributes
    ----------
    jobs : int
        Processes.
    dask : str, optional
        The address of a Dask scheduler, or ``local``.
    shard : tuple of int, optional
        (i, n): run the i-th of n parts of the grid, i from 1.
    fresh : bool
        Compute everything again, also what the folder has already.
    details : int
        Of so many scenarios, from the first, spans and links are kept; of the others the row of the table.
    figures : bool
        Draw.
    """

    jobs: int = 1
    dask: str | None = None
    shard: tuple[int, int] | None = None
    fresh: bool = False
    details: int = DETAILS
    figures: bool = True

    def workers(self) -> Workers:
        """Return what runs the tasks."""
        if self.dask is not None:
            from janus_sim.sweep.cluster import cluster

            return cluster(self.dask, self.jobs)
        return here if self.jobs <= 1 else processes(self.jobs)


@dataclass
class Swept:
    """What a sweep came to.

    Attributes
    ----------
    table : DataFrame
        One row a scenario; a failed one has its words in ``error`` and no figures.
    means : DataFrame, optional
        With ``seeds``: one row for all seeds of a scenario, with intervals; see `results.seeds`.
    failures : mapping
        From the name of a scenario to its error and exit status.
    known, computed, outdated : int
        Runs taken from the folder, computed now, and computed again since the model changed.
    """

    table: pd.DataFrame
    means: pd.DataFrame | None
    failures: dict[str, tuple[str, int]]
    known: int
    computed: int
    outdated: int

    @property
    def status(self) -> int:
        """0, or the gravest exit status of a failure: 3 deadlock, 2 bad input or policy, 1 anything else."""
        return max((status for _, status in self.failures.values()), default=0)


def run(
    experiment: Experiment, settings: Settings, out: str | Path | None = None,
    progress: Progress | None = None, scenarios: Sequence[Scenario] | None = None,
    also: Also | None = None,
) -> Swept:  # fmt: skip
    """Run a grid.

    Parameters
    ----------
    experiment : Experiment
    settings : Settings
    out : str or Path, optional
        Folder of the results.
    progress : callable, optional
        Told how many scenarios have a result, and the last of them.
    scenarios : sequence of Scenario, optional
        Those of the experiment, where they have been checked already, or others made of it.
    also : callable, optional
        Told the folder in the making and the table: writes more files into it.
    """
    folder = None if out is None else Folder(out)
    scenarios = check_experiment(experiment).scenarios if scenarios is None else scenarios
    chosen = shard(scenarios, settings.shard)
    grid = Grid(
        tuple(place for place, _ in chosen), tuple(scenario for _, scenario in chosen),
        tuple(scenario.key() for _, scenario in chosen), folder.store if folder else Memory(),
        settings.details if folder else 0,
    )  # fmt: skip
    if not settings.fresh:
        grid.look()
    tasks, workers = grid.tasks(), settings.workers()
    if folder is not None:
        folder.begin({"experiment": experiment.name, "scenarios": len(chosen)})
    try:
        failures = _compute(grid, tasks, workers, progress)
        table = _table(grid, failures, experiment.baseline)
        means = _means(table, experiment)
        if folder is not None:
            _finish(folder, experiment, grid, failures, table, means, settings, also)
    except BaseException:
        if folder is not None:
            folder.leave()
        raise
    names = dict(zip(reversed(grid.keys), (one.name for one in reversed(grid.scenarios)), strict=True))
    told = {names[key]: failure for key, failure in failures.items()}
    return Swept(
        table, means, told, len(grid.wanted()) - len(tasks), len(tasks) - len(failures), grid.outdated
    )


def _compute(
    grid: Grid, tasks: Sequence[Task], workers: Workers, progress: Progress | None
) -> dict[str, tuple[str, int]]:
    """Run the tasks and keep what comes; return the failures by key."""
    failures: dict[str, tuple[str, int]] = {}
    many = Counter(grid.keys)
    done = sum(many[key] for key in grid.heads)
    for index, outcome in workers(tasks) if tasks else ():
        task = tasks[index]
        if outcome.error:
            failures[task.key] = outcome.error, outcome.status
        else:
            grid.store.put(task.key, outcome.data)
            grid.heads[task.key] = read_head(outcome.data).figures
        if progress is not None:
            done += many[task.key]
            progress(done, task.scenario)
    return failures


def _table(grid: Grid, failures: Mapping[str, tuple[str, int]], baseline: str | None) -> pd.DataFrame:
    from janus_sim.results import tables

    table = tables.frame(
        (told, grid.heads.get(key) or {"error": failures[key][0]})
        for told, key in zip(grid.described, grid.keys, strict=True)
    )
    if baseline is None or "step_time_s" not in table:
        return table
    base = tables.called(table, baseline)
    return tables.add_speedup(table, base) if base in set(table["policy"]) else table


def _means(table: pd.DataFrame, experiment: Experiment) -> pd.DataFrame | None:
    from janus_sim.results import seeds

    if experiment.seeds is None or "step_time_s" not in table:
        return None
    return seeds.means(table, experiment.baseline)


def _finish(
    folder: Folder, experiment: Experiment, grid: Grid, failures: Mapping[str, tuple[str, int]],
    table: pd.DataFrame, means: pd.DataFrame | None, settings: Settings, also: Also | None,
) -> None:  # fmt: skip
    """Write the tables, the figures and what they come from."""
    from janus_sim.results import export, store

    entries = list(grid.entries(failures))
    kept = [one for one in entries if "error" not in one and one["place"] < settings.details]
    origin, texts = provenance(experiment, grid.scenarios, grid.keys), written(experiment, grid.scenarios)

    def fill(new: Path) -> None:
        export.write(new, entries, table, (folder.store.result(one["key"], one["scenario"]) for one in kept))
        good = table[table["error"].isna()] if "error" in table else table
        if settings.figures and len(good):
            from janus_sim.results import figures, tables  # takes half a second

            detailed, rows = Detailed(folder, kept), good.reset_index(drop=True)
            baseline = tables.called(rows, experiment.baseline or "")
            figures.draw(detailed, rows, new, baseline, means, experiment.width)
        if means is not None:
            store.write_csv(means, new / "seeds.csv")
        for name, text in texts.items():
            write_whole(new / "inputs" / name, text.encode())
        if also is not None:
            also(new, table)
        (new / MARK).write_text(origin, encoding="utf-8", newline="\n")

    folder.finish(fill, grid.keys)


class Detailed(Sequence[Any]):
    """The results of a folder whose records were kept, each read when it is looked at."""

    def __init__(self, folder: Folder, entries: Sequence[Mapping[str, Any]]) -> None:
        self.folder = folder
        self.entries = entries

    def __len__(self) -> int:
        return len(self.entries)

    def __getitem__(self, index: Any) -> Any:  # noqa: ANN401
        if isinstance(index, slice):
            return [self[one] for one in range(*index.indices(len(self)))]
        return self.folder.store.result(self.entries[index]["key"], self.entries[index]["scenario"])
