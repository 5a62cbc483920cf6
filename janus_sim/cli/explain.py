"""`janus-sim explain`: why one run is faster than another."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from janus_sim.cli import show
from janus_sim.cli.show import Format

if TYPE_CHECKING:
    from janus_sim.results.explain import Waterfall
    from janus_sim.results.result import Result

WIDTH = 40  #: characters of the longest bar


class Width(StrEnum):
    """How wide a figure for a paper is."""

    column = "column"
    page = "page"


Folder = Annotated[Path, typer.Argument(metavar="DIR", help="Results of `janus-sim run`.")]
Names = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[DIR] [A] [B]",
        help="Two policies or scenarios of the folder; or a second folder, and what to compare in them.",
    ),
]
Picture = Annotated[
    Path | None, typer.Option("--figure", metavar="FILE", help="Default: DIR/waterfall.png, .pdf and .svg.")
]
Wide = Annotated[Width | None, typer.Option("--width", help="Of the figure: as a paper has it.")]
Form = Annotated[Format, typer.Option("--format", help="A table, or one JSON object and nothing else.")]


def explain(
    folder: Folder,
    names: Names = None,
    figure: Picture = None,
    width: Wide = None,
    form: Form = Format.table,
) -> None:
    """Say why one run is faster: the way from one step time to the other, part by part."""
    from janus_sim.results import explain as explaining
    from janus_sim.results import figures

    (a, where_a), (b, where_b) = _chosen(folder, names or [])
    told = (explaining.called(a), explaining.called(b))
    if told[0] == told[1]:
        told = (f"{told[0]} in {where_a}", f"{told[1]} in {where_b}")
    waterfall = explaining.explain(a, b, told)
    target = figure or folder / "waterfall.png"
    drawn = figures.waterfall(waterfall, None if width is None else width.value)
    files = figures.write(drawn, target.with_suffix(""), waterfall.table())
    if form is Format.json:
        said = {"a": waterfall.a, "b": waterfall.b, "why": explaining.why(waterfall)}
        print(json.dumps({**said, "parts": waterfall.table().to_dict("records")}, indent=1))
        return
    _print(waterfall)
    print(f"\n{explaining.why(waterfall)}\nfigure: {files[0]}")


def _chosen(folder: Path, names: list[str]) -> tuple[tuple[Result, Path], tuple[Result, Path]]:
    """Read the two results that the words of the command line mean, each with its folder."""
    from janus_sim.errors import InputError, Mistake
    from janus_sim.results.explain import choose, ends
    from janus_sim.results.store import open_one, open_results

    other = folder
    if names and (Path(names[0]) / "scenarios.json").is_file():
        other, names = Path(names[0]), names[1:]
        if not names:
            return (open_one(folder), folder), (open_one(other), other)
        names = [names[0], names[-1]]
    if len(names) not in {0, 2}:
        raise InputError(Mistake(" ".join(names), "is not two names; write janus-sim explain DIR A B"))
    results = open_results(folder)
    if not names:
        a, b = ends(results, str(folder))
    else:
        a = choose(results, names[0], str(folder))
        b = choose(results if other is folder else open_results(other), names[1], str(other))
    return (a, folder), (b, other)


def _print(waterfall: Waterfall) -> None:
    """Print a row a part, and a bar for what it adds (+) or takes away (-)."""
    longest = max((abs(part.change) for part in waterfall.parts), default=0.0) or 1.0
    rows = [
        [
            part.name,
            f"{part.before * 1e3:.3f}",
            f"{part.after * 1e3:.3f}",
            f"{part.change * 1e3:+.3f}",
            ("+" if part.change > 0 else "-") * round(abs(part.change) / longest * WIDTH),
        ]
        for part in waterfall.parts
    ]
    change = waterfall.after - waterfall.before
    total = [f"{waterfall.before * 1e3:.3f}", f"{waterfall.after * 1e3:.3f}", f"{change * 1e3:+.3f}"]
    rows.append(["step time", *total, ""])
    show.grid(["critical path", f"{waterfall.a} ms", f"{waterfall.b} ms", "change", ""], rows)
