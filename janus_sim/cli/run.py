"""`janus-sim run`, `sweep` and `demo`: the grid of an experiment to a table and a folder of results."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from janus_sim.cli import show
from janus_sim.cli.show import Format

if TYPE_CHECKING:
    from janus_sim.scenario import Experiment
    from janus_sim.sweep.sweeping import Settings, Swept

INTERRUPTED = 130

Name = Annotated[str, typer.Argument(metavar="EXPERIMENT", help="A preset, or a .yaml file.")]
Changes = Annotated[
    list[str] | None,
    typer.Argument(metavar="[key=value]...", help="Change a value; [b]key=a,b,c[/b] makes it an axis."),
]
Out = Annotated[
    Path | None, typer.Option("--out", metavar="DIR", help="Folder of the results; default results/NAME.")
]
Form = Annotated[Format, typer.Option("--format", help="A table, or one JSON array and nothing else.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors (and JSON).")]
Dry = Annotated[bool, typer.Option("--dry-run", help="Check the file, and show what would be run.")]
Jobs = Annotated[int, typer.Option("--jobs", "-j", min=1, help="Processes.")]
Dask = Annotated[
    str | None,
    typer.Option("--dask", metavar="ADDRESS", help="A scheduler, as tcp://host:8786, or [b]local[/b]."),
]
Shard = Annotated[
    str | None,
    typer.Option("--shard", metavar="i/n", help="Run the i-th of n parts; default folder NAME-i-of-n."),
]
Fresh = Annotated[
    bool, typer.Option("--fresh/--resume", help="Compute all again, or only what the folder lacks.")
]
Details = Annotated[
    int | None,
    typer.Option("--details", min=0, help="Keep spans and links of so many scenarios; default 256."),
]
Draw = Annotated[bool, typer.Option("--figures/--no-figures", help="Draw.")]


def run(
    experiment: Name,
    changes: Changes = None,
    out: Out = None,
    jobs: Jobs = 1,
    dask: Dask = None,
    shard: Shard = None,
    fresh: Fresh = False,
    details: Details = None,
    figures: Draw = True,
    form: Form = Format.table,
    quiet: Quiet = False,
    dry_run: Dry = False,
) -> int:
    """Run all scenarios of an experiment; print the table, write the results.

    Finished runs are kept in the folder as they come: after an interruption the same command goes on.
    """
    from janus_sim.scenario import Experiment
    from janus_sim.sweep.sweeping import DETAILS, Settings

    part = _part(shard)
    settings = Settings(jobs, dask, part, fresh, DETAILS if details is None else details, figures)
    return _run(Experiment.load(experiment, changes or ()), settings, out, form, quiet, dry_run)


def demo(out: Out = None, form: Form = Format.table, quiet: Quiet = False, dry_run: Dry = False) -> int:
    """Run the quickstart: Janus against expert-centric on 32 GPUs."""
    return run("quickstart", out=out, form=form, quiet=quiet, dry_run=dry_run)


def _part(text: str | None) -> tuple[int, int] | None:
    from janus_sim.errors import InputError, Mistake

    if text is None:
        return None
    first, slash, many = text.partition("/")
    if not (slash and first.isdecimal() and many.isdecimal()):
        raise InputError(Mistake("--shard", f'"{text}" is no part; write 1/4 for the first of four'))
    return int(first), int(many)


def _run(
    experiment: Experiment, settings: Settings, out: Path | None, form: Format, quiet: bool, dry_run: bool
) -> int:
    from janus_sim.files import check_folder
    from janus_sim.sweep import check_experiment, folder_of
    from janus_sim.sweep.grid import shard
    from janus_sim.sweep.sweeping import run as sweep

    target = out or folder_of(experiment)
    if out is None and settings.shard is not None:
        target = target.with_name(f"{target.name}-{settings.shard[0]}-of-{settings.shard[1]}")
    checked = check_experiment(experiment)
    chosen = shard(checked.scenarios, settings.shard)
    if dry_run:
        show.dry_run(checked, form)
        return 0
    check_folder(target)
    begin = time.monotonic()
    try:
        with show.progress(len(chosen), quiet) as progress:
            swept = sweep(experiment, settings, target, progress, checked.scenarios)
    except KeyboardInterrupt:
        kept = len(list((target / "runs").glob("*.run")))
        words = (
            f"{kept} runs are kept in {target}, and the same command goes on" if kept else "nothing was kept"
        )
        print(f"interrupted; {words}", file=sys.stderr)
        return INTERRUPTED
    show.summary(swept.table, form, quiet, swept.means)
    _tell(swept, time.monotonic() - begin, target, quiet)
    return swept.status


def _tell(swept: Swept, seconds: float, target: Path, quiet: bool) -> None:
    """Say on standard error what was computed, what failed, and where the results are."""
    for name, (error, _) in list(swept.failures.items())[:10]:
        print(f"{name} failed:\n{error}", file=sys.stderr)
    if len(swept.failures) > 10:
        print(f"... and {len(swept.failures) - 10} more; see the column error", file=sys.stderr)
    if quiet:
        return
    if swept.outdated:
        print(
            f"{swept.outdated} runs were of another version of the model; they are computed again",
            file=sys.stderr,
        )
    if swept.known:
        print(f"{swept.known} runs were there already; --fresh computes them again", file=sys.stderr)
    print(f"{swept.computed} runs computed in {seconds:.1f} s", file=sys.stderr)
    print(f"results are in {target}", file=sys.stderr)
