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
        metavar="DIR|POLICY",
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
    from janus_sim.files import check_file
    from janus_sim.results import explain as explaining
    from janus_sim.results import figures

    target = figure or folder / "waterfall.png"
    (a, where_a), (b, where_b) = _chosen(folder, names or [])
    check_file(target, "--figure")
    told = (explaining.called(a), explaining.called(b))
    if told[0] == told[1]:
        told = (f"{told[0]} in {where_a}", f"{told[1]} in {where_b}")
    waterfall = explaining.explain(a, b, told)
    drawn = figures.waterfall(waterfall, None if width is None else width.value)
    files = figures.write(drawn, figures.stem(target), waterfall.table())
    if form is Format.json:
        said = {"a": waterfall.a, "b": waterfall.b, "why": explaining.why(waterfall)}
        print(json.dumps({**said, "parts": waterfall.table().to_dict("records")}, indent=1))
        return
    _print(waterfall)
    show.say(f"\n{explaining.why(waterfall)}")
    print(f"figure: {files[0]}")


def _chosen(folder: Path, words: list[str]) -> tuple[tuple[Result, Path], tuple[Result, Path]]:
    """Read the two results that the words of the command line mean, each with its folder."""
    from janus_sim.errors import InputError, Mistake
    from janus_sim.results.choosing import choose, ends
    from janus_sim.results.store import open_one, open_results

    other, names = _folder_and_names(words)
    if other is not None and not names:
        for one in (folder, other):
            if (many := len(open_results(one))) != 1:
                found = f"holds {many} results; name one in each, as janus-sim explain DIR DIR A B"
                raise InputError(Mistake(str(one), found))
        return (open_one(folder), folder), (open_one(other), other)
    results = open_results(folder)
    if not names:
        a, b = ends(results, str(folder))
        return (a, folder), (b, folder)
    a = choose(results, names[0], str(folder))
    there = folder if other is None else other
    b = choose(results if other is None else open_results(other), names[-1], str(there))
    return (a, folder), (b, there)


def _folder_and_names(words: list[str]) -> tuple[Path | None, list[str]]:
    """Tell a second folder from names: one word or the first of three is a folder, that of two may be one."""
    from janus_sim.errors import InputError, Mistake
    from janus_sim.results.reading import INDEX

    first = Path(words[0]) if words else None
    if first is not None and ((first / INDEX).is_file() or (len(words) in {1, 3} and first.is_dir())):
        if len(words) <= 3:
            return first, words[1:]
    elif len(words) in {0, 2}:
        return None, words
    found = {1: "is no folder and is not two names", 3: f'there is no folder "{first}"'}
    told = "write janus-sim explain DIR A B, or explain DIR DIR A B with a second folder"
    raise InputError(Mistake(" ".join(words), f"{found.get(len(words), 'is not two names')}; {told}"))


def _print(waterfall: Waterfall) -> None:
    """Print a row a part, and a bar for what it adds (+) or takes away (-), as wide as there is room."""
    change = waterfall.after - waterfall.before
    rows = [[part.name, *_ms(part.before, part.after, part.change)] for part in waterfall.parts]
    rows.append(["step time", *_ms(waterfall.before, waterfall.after, change)])
    heads = ["critical path", f"{waterfall.a} ms", f"{waterfall.b} ms", "change"]
    taken = sum(max(len(row[column]) + 2 for row in [heads, *rows]) for column in range(4))
    most = max(min(WIDTH, show.width() - taken), 0)
    longest = max((abs(part.change) for part in waterfall.parts), default=0.0) or 1.0
    drawn = [("+" if part.change > 0 else "-") * round(abs(part.change) / longest * most)
             for part in waterfall.parts]  # fmt: skip
    show.grid([*heads, ""], [[*row, bar] for row, bar in zip(rows, [*drawn, ""], strict=True)])


def _ms(*seconds: float) -> list[str]:
    """Write two step times and their difference in milliseconds."""
    before, after, change = (second * 1e3 for second in seconds)
    return [f"{before:.3f}", f"{after:.3f}", f"{change:+.3f}"]
