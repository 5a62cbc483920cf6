"""`janus-sim uncertainty`: how sure a speedup is."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from janus_sim.cli import show
from janus_sim.cli.show import Format

if TYPE_CHECKING:
    from janus_sim.results.spread import Spread

MOST = 6  #: constants in the table of what a row hangs on

File = Annotated[str, typer.Argument(metavar="EXPERIMENT", help="A preset or file with `uncertainty:`.")]
Changes = Annotated[list[str] | None, typer.Argument(metavar="[key=value]...", help="Change a value.")]
Count = Annotated[int | None, typer.Option("--draws", min=2, max=10_000, help="Default: the file's, or 100.")]
Jobs = Annotated[int, typer.Option("--jobs", "-j", min=1, help="Processes.")]
Out = Annotated[Path | None, typer.Option("--out", metavar="DIR", help="Default: results/NAME-uncertainty.")]
Form = Annotated[Format, typer.Option("--format", help="Tables, or one JSON object and nothing else.")]


def uncertainty(
    experiment: File,
    changes: Changes = None,
    draws: Count = None,
    jobs: Jobs = 1,
    out: Out = None,
    form: Form = Format.table,
) -> None:
    """Draw uncertain constants from their ranges, and tell how sure each speedup is."""
    from janus_sim import uncertainty as drawing
    from janus_sim.errors import InputError, Mistake
    from janus_sim.files import check_folder
    from janus_sim.scenario import Experiment
    from janus_sim.sweep import folder_of

    loaded = Experiment.load(experiment, changes or ())
    if loaded.baseline is None:
        raise InputError(Mistake(loaded.where("baseline"), "is missing; write the policy to compare with"))
    default = folder_of(loaded)
    target = out or default.with_name(f"{default.name}-uncertainty")
    check_folder(target)
    planned = drawing.plan(loaded, draws)
    table = drawing.run(planned, jobs, _progress)
    found = drawing.spread_of(table, planned, loaded)
    drawing.save(target, loaded, planned, table, found)
    if form is Format.json:
        parts = {name: getattr(found, name).to_dict("records") for name in ("intervals", "beats", "tornado")}
        print(json.dumps({"draws": found.draws, **parts}, indent=1, default=str))
    else:
        _print(found)
    print(f"results are in {target}", file=sys.stderr)


def _progress(done: int, total: int) -> None:
    """Tell on standard error each tenth that is done."""
    if done * 10 // total > (done - 1) * 10 // total:
        print(f"{done}/{total} runs", file=sys.stderr, flush=True)


def _print(found: Spread) -> None:
    from janus_sim.results.spread import headline, labels

    rows = [
        [
            name,
            f"{row['nominal']:.2f}x",
            f"{row['p5']:.2f}x",
            f"{row['median']:.2f}x",
            f"{row['p95']:.2f}x",
            f"{row['width']:.2f}",
            f"{row['beats_baseline']:.0%}",
        ]
        for name, row in zip(labels(found.intervals), found.intervals.to_dict("records"), strict=True)
    ]
    heads = ["speedup", "as written", "5 %", "median", "95 %", "width", "beats the baseline"]
    show.grid(heads, rows)
    if found.intervals["policy"].nunique() > 1:
        print("\nprobability that a policy beats another")
        beats = found.beats.assign(share=[f"{share:.0%}" for share in found.beats["share"]])
        cells = [[str(cell) for cell in row] for row in beats.to_numpy()]
        show.grid([str(name) for name in beats.columns], cells)
    many = found.tornado["range"].nunique()
    for index, name in zip(headline(found).index, labels(headline(found)), strict=True):
        part = found.tornado.iloc[index * many : (index + 1) * many]
        part = part.sort_values("correlation", key=abs, ascending=False, kind="stable").head(MOST)
        print(f"\nwhat it hangs on: {name}")
        show.grid(
            ["constant", "rank correlation", "upper third less lower third"],
            [
                [str(row["range"]), f"{row['correlation']:+.2f}", f"{row['swing']:+.3f}"]
                for row in part.to_dict("records")
            ],
        )
