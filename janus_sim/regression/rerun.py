"""Run what a baseline names, and hold it to the baseline; or run two experiments, one against the other."""

from __future__ import annotations

import fnmatch
import signal
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from janus_sim.errors import InputError, Mistake
from janus_sim.regression.baseline import Baseline, Tolerance, expected_of
from janus_sim.regression.compare import Finding, compare, explained, failures, missing, new
from janus_sim.results.reading import INDEX
from janus_sim.scenario import Experiment
from janus_sim.sweep.sweeping import Settings, run


class TimeUpError(BaseException):
    """The time that was allowed is over; no `Exception`, so that no scenario takes it for its own."""


@dataclass(frozen=True)
class Checked:
    """What one check came to.

    Attributes
    ----------
    name : str
        The baseline file, or what was compared.
    findings : tuple of Finding
    explanations : tuple of str
        Why the step times of what failed moved.
    seconds : float
        Wall time that it took.
    baseline : Baseline, optional
        As it would be written anew.
    """

    name: str
    findings: tuple[Finding, ...]
    explanations: tuple[str, ...] = ()
    seconds: float = 0.0
    baseline: Baseline | None = None

    @property
    def held(self) -> bool:
        """Whether anything was held to what is expected of it."""
        return any(finding.verdict != "new" for finding in self.findings)

    @property
    def failed(self) -> list[Finding]:
        """What fails."""
        return failures(self.findings)


def rerun(baseline: Baseline, only: str = "*", jobs: int = 1, *, anew: bool = False) -> Checked:
    """Run the experiment of a baseline and compare; a baseline that holds nothing is not run.

    Parameters
    ----------
    only : str
        A pattern for the names of the scenarios, as ``janus*``.
    anew : bool
        Run it in any case: it will be written anew.
    """
    begin = time.monotonic()
    rows = rows_of(baseline.source(), baseline.changes, jobs, None if anew else [*baseline.scenarios], only)
    findings: list[Finding] = []
    explanations: list[str] = []
    for name, expected in baseline.scenarios.items():
        if not fnmatch.fnmatchcase(name, only):
            continue
        if name not in rows:
            findings.append(missing(name))
            continue
        found = compare(name, expected, rows[name], baseline.tolerance)
        findings += found
        if any(one.number == "step_time_s" for one in failures(found)):
            explanations.append(explained(name, expected.path, rows[name], ("the baseline", "this run")))
    findings += [new(name) for name in rows if name not in baseline.scenarios]
    found_now = {name: expected_of(row) for name, row in rows.items() if not _error(row)}
    kept = {name: one for name, one in baseline.scenarios.items() if not fnmatch.fnmatchcase(name, only)}
    order = [*baseline.scenarios, *rows]
    both = kept | found_now
    scenarios = {name: both[name] for name in dict.fromkeys(order) if name in both}
    seconds = time.monotonic() - begin
    words = tuple(filter(None, explanations))
    return Checked(baseline.file, tuple(findings), words, seconds, baseline.change(scenarios=scenarios))


def between(base: str, head: str, tolerance: Tolerance, only: str = "*", jobs: int = 1) -> Checked:
    """Compare two experiments, or two folders of results, scenario by scenario of the same name."""
    begin = time.monotonic()
    before, after = (rows_of(source, (), jobs, None, only) for source in (base, head))
    findings: list[Finding] = []
    explanations: list[str] = []
    for name, row in before.items():
        if name not in after:
            findings.append(missing(name))
            continue
        if _error(row):
            raise InputError(Mistake(f"{base}: {name}", "failed; there is nothing to compare with"))
        expected = expected_of(row)
        found = compare(name, expected, after[name], tolerance)
        findings += found
        if any(one.number == "step_time_s" for one in failures(found)):
            explanations.append(explained(name, expected.path, after[name], ("base", "head")))
    findings += [new(name) for name in after if name not in before]
    words = tuple(filter(None, explanations))
    return Checked(f"{base} against {head}", tuple(findings), words, time.monotonic() - begin)


def rows_of(
    source: str | Path, changes: Sequence[str], jobs: int, wanted: Sequence[str] | None, only: str
) -> dict[str, Mapping[str, Any]]:
    """Give the rows of an experiment that is run now, or of a folder of results, by scenario.

    Parameters
    ----------
    wanted : sequence of str, optional
        Nothing is run where `only` selects none of these; by default the scenarios of the experiment.
    """
    if (Path(source) / INDEX).is_file():
        from janus_sim.results.store import open_results

        table = open_results(source).table()
    else:
        experiment = Experiment.load(source, changes)
        if experiment.instead:
            warnings.warn(experiment.instead, stacklevel=2)
        names = [scenario.name for scenario in experiment.scenarios()]
        if not any(fnmatch.fnmatchcase(name, only) for name in (names if wanted is None else wanted)):
            return {}
        table = run(experiment, Settings(jobs=jobs, figures=False)).table
    rows = {str(row["scenario"]): row for row in table.to_dict("records")}
    return {name: row for name, row in rows.items() if fnmatch.fnmatchcase(name, only)}  # type: ignore[misc]


@contextmanager
def limit(seconds: float | None) -> Iterator[None]:
    """Raise `TimeUpError` when a block takes longer, where the system can interrupt."""
    if seconds is None or not hasattr(signal, "setitimer"):
        yield
        return

    def stop(*_: object) -> None:
        raise TimeUpError

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _error(row: Mapping[str, Any]) -> bool:
    return isinstance(row.get("error"), str)
