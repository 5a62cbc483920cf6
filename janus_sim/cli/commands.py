"""The command line: one experiment file to one table and one folder of results."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence
from typing import Annotated

import typer

import janus_sim
from janus_sim.cli import (
    advise,
    bench,
    check,
    explain,
    new,
    report,
    run,
    schema,
    show,
    timeline,
    trace,
    uncertainty,
)
from janus_sim.cli.show import INTERRUPTED, Format
from janus_sim.errors import DEBUG, JanusSimError

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
    debug: Annotated[bool, typer.Option("--debug", help="Show the tracebacks of errors.")] = False,
) -> None:
    if debug:
        os.environ[DEBUG] = "1"  # the processes of a sweep hear it too


app.command()(advise.advise)
app.command()(bench.bench)
app.command()(check.check)
app.command()(explain.explain)
app.command()(new.new)
app.command()(report.report)
app.command()(schema.schema)
app.command()(timeline.timeline)
app.command()(uncertainty.uncertainty)
app.add_typer(trace.app, name="trace")


app.command("run")(run.run)
app.command("sweep", help="The same as [b]run[/b].")(run.run)
app.command()(run.demo)

Form = Annotated[Format, typer.Option("--format", help="A table, or one JSON array and nothing else.")]


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


def _presets(room: str, form: Format) -> None:
    from janus_sim.files import layered, names

    rows = []
    for name in names(room):
        data, _ = layered(room, name)
        rows.append({"name": name, "source": " ".join(str(data.get("source", "")).split())})
    show.listing(room, rows, form)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line, and leave with its exit status.

    0: done; 1: something failed (a scenario, a check); 2: bad input; 3: the simulated system deadlocks;
    5: a check selected nothing; 130: interrupted.
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
        if os.environ.get(DEBUG):
            traceback.print_exc()
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
        print("interrupted", file=sys.stderr)
    return status if isinstance(status, int) else 0
