"""What the command line shows: progress on standard error, tables and bars on standard output."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    import pandas as pd

    from janus_sim.scenario import Experiment
    from janus_sim.sweep import Checked
    from janus_sim.sweep.sweeping import Progress

INTERRUPTED = 130  #: exit status
BAR = 60  #: characters of the longest bar
MARGIN = 48  #: characters of a scenario's name, at the most
#: How each part of a step is drawn.
PARTS = {"compute": ("#", "green"), "exposed communication": ("=", "red"), "waiting": (".", "yellow")}


class Format(StrEnum):
    """What is printed on standard output."""

    table = "table"
    json = "json"


class Rate(ProgressColumn):
    """Runs a second of late."""

    def render(self, task: Task) -> Text:
        """Draw it."""
        speed = task.finished_speed or task.speed
        return Text(f"{speed:.3g}/s" if speed else "")


@contextmanager
def progress(total: int, quiet: bool) -> Iterator[Progress | None]:
    """Show on standard error how far the grid is: a bar with rate and time left, or a line a run."""
    screen = console(stderr=True)
    if quiet:
        yield None
    elif not screen.is_terminal:
        yield lambda done, scenario: print(f"{done}/{total} {scenario.name}", file=sys.stderr, flush=True)
    else:
        columns = (
            BarColumn(),
            MofNCompleteColumn(),
            Rate(),
            TimeRemainingColumn(),
            TextColumn("{task.description}"),
        )
        with RichProgress(*columns, console=screen, transient=True) as bar:
            task = bar.add_task("", total=total)
            yield lambda done, scenario: bar.update(task, completed=done, description=escape(scenario.name))


def instead(experiment: Experiment) -> None:
    """Tell on standard error what is run instead of what the file asks for first."""
    if experiment.instead:
        print(experiment.instead, file=sys.stderr)


def summary(table: pd.DataFrame, form: Format, quiet: bool, means: pd.DataFrame | None = None) -> None:
    """Print the rows as JSON, or in words with bars: the table, or with seeds the means over them."""
    from janus_sim.results import tables

    if form is Format.json:
        print(json.dumps(tables.json_rows(table), indent=1, allow_nan=False))
    elif not quiet:
        table = table if means is None else means
        words = tables.text(table)
        grid(list(words.columns), words.to_numpy().tolist())
        bars(table)


def bars(table: pd.DataFrame) -> None:
    """Draw where each step went: one bar a row, as long as its step."""
    from janus_sim.results import tables

    table = table[table["error"].isna()] if "error" in table else table
    if not len(table):
        return
    screen = console()
    parts = tables.breakdown(table)
    labels = [str(name) for name in table["scenario"]]
    margin = min(max(map(len, labels)), MARGIN)
    seconds = parts["seconds"].to_numpy(float).reshape(len(labels), -1)
    names = [str(part) for part in parts["part"][: seconds.shape[1]]]
    scale = BAR / max(float(table["step_time_s"].max()), 1e-12)
    screen.print("\n" + "  ".join(f"{PARTS[name][0] * 3} {name}" for name in names), highlight=False)
    for label, row in zip(labels, seconds, strict=True):
        line = Text(f"{shortened(label, margin):<{margin}}  ")
        at = 0.0
        for name, part in zip(names, row, strict=True):
            start, at = at, at + max(float(part), 0.0) * scale
            line.append(PARTS[name][0] * (round(at) - round(start)), style=PARTS[name][1])
        screen.print(line, soft_wrap=True)


def shortened(label: str, width: int) -> str:
    """Leave out the middle of a label: its end tells the points of a grid apart.

    Examples
    --------
    >>> shortened("janus workload=moe_bert micro_batch_size=512", 30)
    'janus work..cro_batch_size=512'
    """
    head = width // 3
    return label if len(label) <= width else f"{label[:head]}..{label[head + 2 - width :]}"


def dry_run(checked: Checked, form: Format) -> None:
    """Print the scenarios of a grid, their number and what they will cost."""
    from janus_sim.sweep import BASE_BYTES
    from janus_sim.units import format_bytes, format_time

    rows = [
        {
            **scenario.described(),
            "gpus": estimate.gpus,
            "estimated_s": estimate.seconds,
            "estimated_bytes": estimate.bytes,
        }
        for scenario, estimate in zip(checked.scenarios, checked.estimates, strict=True)
    ]
    if form is Format.json:
        print(json.dumps(rows, indent=1, default=str))
        return
    shown = ("name", "topology", "gpus", "workload", "precision", "micro_batch_size", "policy", "knobs")
    grid([name.replace("_", " ") for name in shown], [[cell(row[name]) for name in shown] for row in rows])
    seconds = sum(estimate.seconds for estimate in checked.estimates)
    memory = BASE_BYTES + sum(estimate.bytes for estimate in checked.estimates)
    print(
        f"{counted(len(rows), 'scenario')}; roughly {format_time(float(f'{seconds:.1g}'))} "
        f"and {format_bytes(float(f'{memory:.2g}'))} of memory"
    )


def counted(many: int, word: str) -> str:
    """Write a number of things.

    Examples
    --------
    >>> counted(1, "scenario"), counted(1200, "run")
    ('1 scenario', '1,200 runs')
    """
    return f"{many:,} {word}{'' if many == 1 else 's'}"


def interrupted(target: Path) -> int:
    """Say on standard error what of a sweep is kept, and give the exit status."""
    kept = len(list((target / "runs").glob("*.run")))
    words = f"{counted(kept, 'run')} kept in {target}, and the same command goes on"
    print(f"interrupted; {words if kept else 'nothing was kept'}", file=sys.stderr)
    return INTERRUPTED


def work_done(outdated: int, known: int, computed: int, seconds: float) -> Iterator[str]:
    """Say which runs of a sweep were taken from the folder, and which were computed."""
    if outdated:
        yield f"{counted(outdated, 'run')} of another version of the model: computed again"
    if known:
        yield f"{counted(known, 'run')} there already; --fresh computes again"
    yield f"{counted(computed, 'run')} computed in {seconds:.1f} s"


def cell(value: object) -> str:
    """Write one value of a list."""
    if isinstance(value, dict):
        return ", ".join(f"{key}={inner}" for key, inner in value.items())
    return str(value)


def listing(heading: str, rows: Sequence[dict[str, Any]], form: Format) -> None:
    """Print rows of one shape as a table or as JSON."""
    if form is Format.json:
        print(json.dumps(rows, indent=1, default=str))
        return
    columns = list(rows[0]) if rows else [heading]
    grid(columns, [[cell(row[column]) for column in columns] for row in rows])


def grid(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table, numbers to the right, no blanks at the ends of lines; what marks in it mean, below."""
    table = Table(box=None, pad_edge=False, header_style="bold", show_edge=False)
    for index, column in enumerate(columns):
        numbers = bool(rows) and all(str(row[index])[:1].isdigit() or row[index] == "-" for row in rows)
        table.add_column(escape(str(column)), justify="right" if numbers else "left", overflow="fold")
    for row in rows:
        table.add_row(*(escape(str(cell)) for cell in row))
    screen = console()
    with screen.capture() as captured:
        screen.print(table, highlight=False)
    print("\n".join(line.rstrip() for line in captured.get().splitlines()))
    from janus_sim.record import legend  # the package brings NumPy, which --help must not

    if marks := legend(cell for row in rows for cell in row):
        print(marks)


def console(stderr: bool = False) -> Console:
    """Give a console that is wide where nobody looks at it, so that nothing is cut in a file."""
    stream = sys.stderr if stderr else sys.stdout
    return Console(file=stream, width=None if stream.isatty() else 240, legacy_windows=False)
