"""`janus-sim uncertainty`: how sure a speedup is."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from janus_sim.cli import show
from janus_sim.cli.run import Dask, Fresh, Jobs, tell
from janus_sim.cli.show import Format

if TYPE_CHECKING:
    from janus_sim.results.spread import Spread

MOST = 6  #: constants in the table of what a row hangs on

File = Annotated[str, typer.Argument(metavar="EXPERIMENT", help="A preset or file with `uncertainty:`.")]
Changes = Annotated[list[str] | None, typer.Argument(metavar="key=value", help="Change a value.")]
Count = Annotated[int | None, typer.Option("--draws", min=2, max=10_000, help="Default: the file's, or 100.")]
Out = Annotated[Path | None, typer.Option("--out", metavar="DIR", help="Default: results/NAME-uncertainty.")]
Form = Annotated[Format, typer.Option("--format", help="Tables, or one JSON object and nothing else.")]


def uncertainty(
    experiment: File,
    changes: Changes = None,
    draws: Count = None,
    jobs: Jobs = 1,
    dask: Dask = None,
    fresh: Fresh = False,
    out: Out = None,
    form: Form = Format.table,
) -> int:
    """Draw uncertain constants from their ranges, and tell how sure each speedup is.

    The draws are a sweep: after an interruption the same command goes on.
    """
    from janus_sim import uncertainty as drawing
    from janus_sim.errors import InputError, Mistake
    from janus_sim.files import check_folder
    from janus_sim.scenario import Experiment
    from janus_sim.sweep import folder_of
    from janus_sim.sweep.sweeping import Settings

    loaded = Experiment.load(experiment, changes or ())
    show.instead(loaded)
    if loaded.baseline is None:
        raise InputError(Mistake(loaded.where("baseline"), "is missing; write the policy to compare with"))
    default = folder_of(loaded)
    target = out or default.with_name(f"{default.name}-uncertainty")
    check_folder(target)
    planned = drawing.plan(loaded, draws)
    settings = Settings(jobs=jobs, dask=dask, fresh=fresh)
    begin = time.monotonic()
    try:
        with show.progress(len(planned.scenarios), quiet=False) as progress:
            done = drawing.run(planned, loaded, settings, target, progress)
    except KeyboardInterrupt:
        return show.interrupted(target)
    found = done.found
    if form is Format.json:
        parts = {name: getattr(found, name).to_dict("records") for name in ("intervals", "beats", "tornado")}
        print(json.dumps({"draws": found.draws, **parts}, indent=1, default=str))
    else:
        _print(found)
    tell(done.swept, time.monotonic() - begin, target, quiet=False)
    return done.swept.status


def _print(found: Spread) -> None:
    from janus_sim.results.spread import headline, labels, strongest

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
    for index, name in zip(headline(found).index, labels(headline(found)), strict=True):
        part = strongest(found, index).head(MOST)
        print(f"\nwhat it hangs on: {name}")
        show.grid(
            ["constant", "rank correlation", "upper third less lower third"],
            [
                [str(row["range"]), f"{row['correlation']:+.2f}", f"{row['swing']:+.3f}"]
                for row in part.to_dict("records")
            ],
        )
