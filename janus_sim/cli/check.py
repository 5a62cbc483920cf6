"""`janus-sim check`: simulated speedups held against baselines, for continuous integration."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from janus_sim.cli import show

if TYPE_CHECKING:
    from janus_sim.regression import Checked

OK, VIOLATION, NOTHING = 0, 1, 5

Files = Annotated[
    list[Path] | None, typer.Argument(metavar="FILE", help="Baseline files, or folders of them.")
]
Only = Annotated[str, typer.Option("--only", "-k", metavar="PATTERN", help="Scenarios by name, as 'janus*'.")]
Junit = Annotated[Path | None, typer.Option("--junit", metavar="FILE", help="Write JUnit XML.")]
Limit = Annotated[
    float | None, typer.Option("--max-seconds", min=0.001, help="Fail when all takes longer than that.")
]
Base = Annotated[
    str | None, typer.Option("--base", metavar="A", help="An experiment or a folder of results ...")
]
Head = Annotated[str | None, typer.Option("--head", metavar="B", help="... that this one is compared with.")]
Tolerance = Annotated[
    float | None, typer.Option("--tolerance", min=0.0, help="Of step times, with --base; default 0.001.")
]
Update = Annotated[bool, typer.Option("--update", help="Write the numbers of the baseline files anew.")]
Jobs = Annotated[int, typer.Option("--jobs", "-j", min=1, help="Processes.")]


def check(
    files: Files = None,
    only: Only = "*",
    junit: Junit = None,
    max_seconds: Limit = None,
    base: Base = None,
    head: Head = None,
    tolerance: Tolerance = None,
    update: Update = False,
    jobs: Jobs = 1,
) -> int:
    """Rerun what baseline files name, and fail when a step time or the traffic has grown.

    Exit status: 0 as expected, 1 a violation, 2 bad input, 5 nothing was selected.
    """
    from janus_sim.files import check_file
    from janus_sim.regression import TimeUpError, report
    from janus_sim.regression.rerun import limit

    if junit is not None:
        check_file(junit, "--junit")
    _fitting(files or [], base, head, tolerance, update)
    checks: list[Checked] = []
    try:
        with limit(max_seconds):
            for one in _checks(files or [], only, base, head, tolerance, update, jobs):
                checks.append(one)
                _print(one)
    except TimeUpError:
        checks.append(report.late(max_seconds or 0.0))
        _print(checks[-1])
    empty = [one.name for one in checks if not (one.findings if update else one.held)]
    if len(empty) == len(checks) or (only == "*" and empty):
        told = f"{', '.join(empty)}: " if empty else ""
        print(f"{told}nothing was selected; an empty check does not pass", file=sys.stderr)
        return NOTHING
    _write(checks, junit)
    if update:
        return _update(checks)
    return VIOLATION if any(one.failed for one in checks) else OK


def _fitting(
    files: Sequence[Path], base: str | None, head: str | None, tolerance: float | None, update: bool
) -> None:
    """Refuse options that do not belong together, or would say nothing here."""
    from janus_sim.errors import InputError, Mistake

    wrong = []
    if (base is None) != (head is None) or (base is not None and files):
        known = "compares baseline files, or --base A with --head B; write one of them"
        wrong.append(Mistake("check", known))
    if base is None and head is None and tolerance is not None:
        found = "belongs to --base A --head B; a baseline file has its own, as tolerance: {step_time_s: 0.01}"
        wrong.append(Mistake("--tolerance", found))
    if update and (base or head):
        wrong.append(Mistake("--update", "writes baseline files anew, and --base A --head B names none"))
    if wrong:
        raise InputError(wrong)


def _checks(
    files: Sequence[Path], only: str, base: str | None, head: str | None, tolerance: float | None,
    update: bool, jobs: int,
) -> Iterator[Checked]:  # fmt: skip
    from janus_sim.regression import Baseline, between, rerun
    from janus_sim.regression.baseline import Tolerance as Tolerances

    if base is not None and head is not None:
        allowed = Tolerances() if tolerance is None else Tolerances(step_time_s=tolerance)
        yield between(base, head, allowed, only, jobs)
        return
    paths = [one for path in files for one in (sorted(path.glob("*.yaml")) if path.is_dir() else [path])]
    for baseline in [Baseline.load(path) for path in paths]:  # all mistakes before anything runs
        yield rerun(baseline, only, jobs, anew=update)


def _print(check: Checked) -> None:
    """Print what moved, and why."""
    from janus_sim.regression.report import HEADS, cells

    moved = [finding for finding in check.findings if finding.verdict != "ok"]
    still = len(check.findings) - len(moved)
    print(f"{check.name}: {still} numbers as expected, {len(moved)} moved, {len(check.failed)} failed")
    if moved:
        show.grid(HEADS, [cells(finding) for finding in moved])
    for finding in moved:
        if finding.words:
            print(finding.told())
    for text in check.explanations:
        print(text)


def _write(checks: Sequence[Checked], junit: Path | None) -> None:
    """Write the reports that machines and GitHub read."""
    from janus_sim.regression import report

    if junit is not None:
        report.junit(checks, junit)
    summary = os.environ.get("GITHUB_STEP_SUMMARY")
    if summary:
        with Path(summary).open("a", encoding="utf-8") as file:
            file.write(report.markdown(checks))


def _update(checks: Sequence[Checked]) -> int:
    """Write the baseline files anew."""
    for check in checks:
        if check.baseline is not None:
            check.baseline.write(Path(check.name))
            print(f"{check.name} is written", file=sys.stderr)
    broken = [finding for check in checks for finding in check.findings if finding.verdict == "failed"]
    return VIOLATION if broken else OK
