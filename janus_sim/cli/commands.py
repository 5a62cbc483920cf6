"""The command line: one experiment file to one table and one folder of results."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

import janus_sim
from janus_sim.cli import advise, bench, explain, report, show, timeline, uncertainty
from janus_sim.cli.show import Format
from janus_sim.errors import JanusSimError

if TYPE_CHECKING:
    from janus_sim.scenario import Experiment

INTERRUPTED = 130

app = typer.Typer(
    name="janus-sim",
    help="Simulate the training of Mixture-of-Experts models: do tokens travel, or experts?",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)


def _version(asked: bool) -> None:
    if asked:
        print(f"janus-sim {janus_sim.__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None: ...


app.command()(advise.advise)
app.command()(bench.bench)
app.command()(explain.explain)
app.command()(report.report)
app.command()(timeline.timeline)
app.command()(uncertainty.uncertainty)


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


@app.command("run")
@app.command("sweep", help="The same as [b]run[/b].")
def run(
    experiment: Annotated[str, typer.Argument(metavar="EXPERIMENT", help="A preset, or a .yaml file.")],
    changes: Changes = None,
    out: Out = None,
    form: Form = Format.table,
    quiet: Quiet = False,
    dry_run: Dry = False,
) -> None:
    """Run all scenarios of an experiment; print the table, write the results."""
    from janus_sim.scenario import Experiment

    _run(Experiment.load(experiment, changes or ()), out, form, quiet, dry_run)


@app.command()
def demo(out: Out = None, form: Form = Format.table, quiet: Quiet = False, dry_run: Dry = False) -> None:
    """Run the quickstart: Janus against expert-centric on 32 GPUs."""
    run("quickstart", None, out, form, quiet, dry_run)


@app.command()
def policies(form: Form = Format.table) -> None:
    """List the policies and their knobs."""
    from janus_sim.policies import POLICIES
    from janus_sim.scenario.plug import described

    show.listing("policy", [described(name, policy) for name, policy in POLICIES.items()], form)


@app.command()
def schedules(form: Form = Format.table) -> None:
    """List the schedules and their knobs."""
    from janus_sim.scenario.plug import described
    from janus_sim.schedules import SCHEDULES

    show.listing("schedule", [described(name, schedule) for name, schedule in SCHEDULES.items()], form)


@app.command()
def topologies(form: Form = Format.table) -> None:
    """List the topologies that are shipped, and their sources."""
    _presets("topologies", form)


@app.command()
def workloads(form: Form = Format.table) -> None:
    """List the workloads that are shipped, and their sources."""
    _presets("workloads", form)


def _run(experiment: Experiment, out: Path | None, form: Format, quiet: bool, dry_run: bool) -> None:
    from janus_sim.files import check_folder
    from janus_sim.sweep import check_experiment, folder_of, save, table
    from janus_sim.sweep import run as run_all

    target = out or folder_of(experiment)
    checked = check_experiment(experiment)
    if dry_run:
        show.dry_run(checked, form)
        return
    check_folder(target)
    with show.progress(len(checked.scenarios), quiet) as progress:
        results = run_all(checked.scenarios, progress)
        summary = table(results, experiment.baseline)
    save(target, experiment, checked.scenarios, results, summary)
    show.summary(summary, form, quiet)
    if not quiet:
        print(f"results are in {target}", file=sys.stderr)


def _presets(room: str, form: Format) -> None:
    from janus_sim.files import layered, names

    rows = []
    for name in names(room):
        data, _ = layered(room, name)
        rows.append({"name": name, "source": " ".join(str(data.get("source", "")).split())})
    show.listing(room, rows, form)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line, and leave with its exit status.

    0: done; 2: bad input; 3: the simulated system deadlocks; 130: interrupted.
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    try:
        status = _status(arguments)
        sys.stdout.flush()
    except BrokenPipeError:  # whoever read us has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 0
    sys.exit(status)


def _status(arguments: Sequence[str] | None) -> int:
    try:
        status = app(args=arguments, standalone_mode=False)
    except JanusSimError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    except (KeyboardInterrupt, typer.Abort):
        status = INTERRUPTED
    except (
        SystemExit
    ) as end:  # typer leaves by itself for two reasons: a broken pipe (1) or an interrupt (130)
        if end.code != INTERRUPTED:
            raise BrokenPipeError from end
        status = INTERRUPTED
    except BrokenPipeError:
        raise
    except OSError as error:
        print(f"{error.filename or 'the output'}: {(error.strerror or str(error)).lower()}", file=sys.stderr)
        return JanusSimError.exit_code
    except Exception as error:
        show = getattr(error, "show", None)
        if not callable(show):
            raise
        show()  # a mistake in the use of the command, told by typer itself
        return int(getattr(error, "exit_code", 2))
    if status == INTERRUPTED:
        print("interrupted; nothing was written", file=sys.stderr)
    return status if isinstance(status, int) else 0
