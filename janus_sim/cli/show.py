"""What the command line shows: progress on standard error, tables and bars on standard output."""

from __future__ import annotations

import json
import sys
import textwrap
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
    from janus_sim.cli import bars
    from janus_sim.results import tables

    if form is Format.json:
        print(json.dumps(tables.json_rows(table), indent=1, allow_nan=False))
    elif not quiet:
        table = table if means is None else means
        words = tables.text(table)
        heads = list(words.columns)
        grid(heads, words.to_numpy().tolist(), heads.index("ms") if "ms" in heads else 1)
        bars.draw(table)


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


def grid(columns: Sequence[str], rows: Sequence[Sequence[str]], keys: int = 1) -> None:
    """Print a table, numbers to the right, no blanks at the ends of lines; what marks in it mean, below.

    What is too wide for the terminal is cut into tables below each other, each with the first `keys` columns.
    """
    from janus_sim.record import legend

    cells = [[str(row[index]) for row in rows] for index in range(len(columns))]
    wide = [max(map(len, [str(head), *column])) for head, column in zip(columns, cells, strict=True)]
    tight = [
        max(map(len, [*str(head).split(), "", *column])) for head, column in zip(columns, cells, strict=True)
    ]
    fits = sum(wide) + 2 * len(wide) - 2 <= width()
    parts = [list(range(len(columns)))] if fits else blocks(tight, keys, width())
    for number, part in enumerate(parts):
        if number:
            print()
        _table([(str(columns[at]), (wide if fits else tight)[at], cells[at]) for at in part])
    if marks := legend(cell for row in rows for cell in row):
        print(marks)


def blocks(widths: Sequence[int], keys: int, room: int) -> list[list[int]]:
    """Deal columns out to tables that are as wide as there is room, two blanks between them.

    Examples
    --------
    >>> blocks([6, 8, 8, 8], keys=1, room=26)
    [[0, 1, 2], [0, 3]]
    """
    first = list(range(keys)) if sum(widths[:keys]) + 2 * keys <= room // 2 else []
    found = [list(first)]
    for at in range(len(first), len(widths)):
        taken = sum(widths[other] + 2 for other in found[-1])
        if found[-1] != first and taken + widths[at] > room:
            found.append(list(first))
        found[-1].append(at)
    return found


def _table(columns: Sequence[tuple[str, int, Sequence[str]]]) -> None:
    """Print columns (heading, width, cells) beside each other."""
    table = Table(box=None, pad_edge=False, header_style="bold", show_edge=False)
    for head, wide, cells in columns:
        numbers = bool(cells) and all(_is_number(cell) for cell in cells)
        table.add_column(
            escape(head), justify="right" if numbers else "left", overflow="fold", width=min(wide, width())
        )
    for row in zip(*(cells for _, _, cells in columns), strict=True):
        table.add_row(*map(escape, row))
    screen = console()
    with screen.capture() as captured:
        screen.print(table, highlight=False)
    print("\n".join(line.rstrip() for line in captured.get().splitlines()))


def _is_number(cell: str) -> bool:
    return cell == "-" or cell.removeprefix("+").removeprefix("-")[:1].isdigit()


def say(text: str) -> None:
    """Print sentences: on a terminal lines end between words."""
    wide = width() if sys.stdout.isatty() else 10_000
    print("\n".join(textwrap.fill(line, wide, break_long_words=False) for line in text.splitlines()))


def width() -> int:
    """Return how many characters a line of standard output has room for."""
    return console().width


def console(stderr: bool = False) -> Console:
    """Give a console that is wide where nobody looks at it, so that nothing is cut in a file."""
    stream = sys.stderr if stderr else sys.stdout
    return Console(file=stream, width=None if stream.isatty() else 240, legacy_windows=False)
