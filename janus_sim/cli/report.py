"""`janus-sim report`: one HTML page that tells of a folder of results."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

Folder = Annotated[Path, typer.Argument(metavar="DIR", help="Results of `janus-sim run`.")]
Names = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="SCENARIO",
        help="Policies or scenarios whose links and timelines are shown; default: those of the first point.",
    ),
]
Page = Annotated[Path | None, typer.Option("--html", metavar="FILE", help="Default: DIR/report.html.")]


def report(folder: Folder, names: Names = None, html: Page = None) -> None:
    """Write one HTML page: the table, charts and timelines, and what was run; no network is needed."""
    from janus_sim.files import check_file, write_whole
    from janus_sim.results import report as reporting

    path = html or folder / "report.html"
    if html is not None:
        check_file(html, "--html")
    told = reporting.compose(folder, names or ())
    write_whole(path, told.text.encode())
    for words in told.left_out:
        print(f"left out: {words}", file=sys.stderr)
    print(f"{path} ({path.stat().st_size / 1e6:.1f} MB)")
