"""`janus-sim run`, `sweep` and `demo`: the grid of an experiment to a table and a folder of results."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from janus_sim.cli import show
from janus_sim.cli.show import Format
from janus_sim.errors import DEBUG

if TYPE_CHECKING:
    from janus_sim.scenario import Experiment, Scenario
    from janus_sim.sweep.sweeping import Settings, Swept

Traced = tuple[Path, list[int], int]  #: folder, ranks and steps of the timelines

Name = Annotated[str, typer.Argument(metavar="EXPERIMENT", help="A preset, or a .yaml file.")]
Changes = Annotated[
    list[str] | None,
    typer.Argument(metavar="key=value", help="Change a value; [b]key=a,b,c[/b] makes it an axis."),
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
Traces = Annotated[
    Path | None,
    typer.Option("--timeline", metavar="DIR", help="Write a Chrome trace a scenario and rank, for Perfetto."),
]
Ranks = Annotated[str | None, typer.Option("--ranks", help="Of the timelines, as 0,8; default 0.")]
Count = Annotated[int | None, typer.Option("--steps", min=1, help="Of the timelines; default 1.")]


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
    timeline: Traces = None,
    ranks: Ranks = None,
    steps: Count = None,
    form: Form = Format.table,
    quiet: Quiet = False,
    dry_run: Dry = False,
) -> int:
    """Run all scenarios of an experiment; print the table, write the results.

    Finished runs are kept in the folder as they come: after an interruption the same command goes on.
    """
    from janus_sim.scenario import Experiment
    from janus_sim.sweep.sweeping import DETAILS, Settings

    part, traced = _part(shard), _traced(timeline, ranks, steps)
    settings = Settings(jobs, dask, part, fresh, DETAILS if details is None else details, figures)
    return _run(Experiment.load(experiment, changes or ()), settings, out, traced, form, quiet, dry_run)


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


def _traced(folder: Path | None, ranks: str | None, steps: int | None) -> Traced | None:
    from janus_sim.cli.timeline import ranks_of
    from janus_sim.errors import InputError, Mistake

    if folder is None:
        if ranks is not None or steps is not None:
            option = "--ranks" if ranks is not None else "--steps"
            raise InputError(Mistake(option, "belongs to --timeline DIR; write both, or neither"))
        return None
    return folder, ranks_of(ranks or "0"), steps or 1


def _run(
    experiment: Experiment, settings: Settings, out: Path | None, traced: Traced | None, form: Format,
    quiet: bool, dry_run: bool,
) -> int:  # fmt: skip
    from janus_sim.files import check_folder
    from janus_sim.sweep import check_experiment, done_to_traces, folder_of
    from janus_sim.sweep.grid import shard
    from janus_sim.sweep.sweeping import run as sweep

    show.instead(experiment)
    target = out or folder_of(experiment)
    if out is None and settings.shard is not None:
        target = target.with_name(f"{target.name}-{settings.shard[0]}-of-{settings.shard[1]}")
    checked = check_experiment(experiment)
    chosen = shard(checked.scenarios, settings.shard)
    check_folder(target)
    _fitting(traced, [scenario for _, scenario in chosen], settings.details)
    if dry_run:
        show.dry_run(checked, form)
        return 0
    done = done_to_traces([scenario for _, scenario in chosen])
    for note in dict.fromkeys(note for notes in done.values() for note in notes):
        print(f"routing: {note}", file=sys.stderr)
    begin = time.monotonic()
    try:
        with show.progress(len(chosen), quiet) as progress:
            swept = sweep(experiment, settings, target, progress, checked.scenarios)
    except KeyboardInterrupt:
        return show.interrupted(target)
    show.summary(swept.table, form, quiet, swept.means)
    tell(swept, time.monotonic() - begin, target, quiet)
    _trace(target, traced, quiet)
    return swept.status


def _fitting(traced: Traced | None, scenarios: Sequence[Scenario], details: int) -> None:
    """Refuse timelines that cannot be written, or that a run will not have, before anything runs."""
    from janus_sim.cli.timeline import check_target, fitting
    from janus_sim.errors import InputError, Mistake

    if traced is None:
        return
    folder, ranks, steps = traced
    check_target(folder, "--timeline")
    if len(scenarios) > details:
        words = f"of {len(scenarios)} runs {details} keep their spans; write --details {len(scenarios)}"
        raise InputError(Mistake("--timeline", words))
    for scenario in scenarios:
        topology = scenario.build_topology()
        world = topology.world if scenario.alike is None else topology.world // len(topology.machines)
        workload = scenario.build_workload(topology)
        fitting(ranks, steps, [(scenario.name, world, scenario.steps or workload.steps)])


def _trace(results: Path, traced: Traced | None, quiet: bool) -> None:
    """Write the timelines that were asked for."""
    from janus_sim.cli.timeline import write
    from janus_sim.results.store import open_results

    if traced is None:
        return
    folder, ranks, steps = traced
    many = len(list(write(open_results(results), folder, ranks, steps)))
    if not quiet:
        print(f"{show.counted(many, 'timeline')} in {folder}; open them at ui.perfetto.dev", file=sys.stderr)


def tell(swept: Swept, seconds: float, target: Path, quiet: bool) -> None:
    """Say on standard error what was computed, what failed, and where the results are."""
    for name, (error, _) in list(swept.failures.items())[:10]:
        print(f"{name} failed:\n{error}", file=sys.stderr)
    if len(swept.failures) > 10:
        print(f"... and {len(swept.failures) - 10} more; see the column error", file=sys.stderr)
    if swept.failures and not os.environ.get(DEBUG):
        print("janus-sim --debug run ... shows the tracebacks", file=sys.stderr)
    if quiet:
        return
    for words in show.work_done(swept.outdated, swept.known, swept.computed, seconds):
        print(words, file=sys.stderr)
    print(f"results are in {target}", file=sys.stderr)
