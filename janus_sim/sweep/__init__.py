"""Many runs: the grid of an experiment, in one process or many, its table, and the folder of its results."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from janus_sim.scenario import Experiment
from janus_sim.sweep.checking import BASE_BYTES, Checked, Estimate, check, check_experiment
from janus_sim.sweep.origin import done_to_traces, folder_of, model_version, provenance

if TYPE_CHECKING:
    import pandas as pd

    from janus_sim.sweep.sweeping import Progress

__all__ = [
    "BASE_BYTES",
    "Checked",
    "Estimate",
    "check",
    "check_experiment",
    "folder_of",
    "model_version",
    "done_to_traces",
    "provenance",
    "sweep",
]


def sweep(
    experiment: Experiment | str | Path,
    changes: Sequence[str] = (),
    *,
    out: str | Path | None = None,
    jobs: int = 1,
    dask: str | None = None,
    shard: tuple[int, int] | None = None,
    fresh: bool = False,
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
        Folder of the results. Runs that it has already are not computed again; what else an earlier result
        left in it is replaced.
    jobs : int
        Processes; with more than one, a script keeps its own code under ``if __name__ == "__main__":``.
    dask : str, optional
        The address of a Dask scheduler, or ``local``.
    shard : tuple of int, optional
        (i, n): the i-th of n parts of the grid; `open_results` puts their folders together.
    fresh : bool
        Compute everything again.
    progress : callable, optional
        Told how many scenarios have a result, and the last of them.

    Returns
    -------
    DataFrame
        One row a scenario, in the order of the grid; ``speedup`` over the baseline at the same point. A
        scenario that fails is a row with its ``error``. A notebook shows it in words.

    Raises
    ------
    InputError
        With every mistake of every scenario, before anything runs.
    """
    from janus_sim.results.table import Table
    from janus_sim.sweep import sweeping

    if not isinstance(experiment, Experiment):
        experiment = Experiment.load(experiment, changes)
        if experiment.instead:
            warnings.warn(experiment.instead, stacklevel=2)
    settings = sweeping.Settings(jobs=jobs, dask=dask, shard=shard, fresh=fresh)
    return Table(sweeping.run(experiment, settings, out, progress).table)
