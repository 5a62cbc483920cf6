"""`janus-sim timeline`: what the GPUs did when, for Perfetto."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

Folder = Annotated[Path, typer.Argument(metavar="DIR", help="Results of `janus-sim run`.")]
Names = Annotated[
    list[str] | None, typer.Argument(metavar="[SCENARIO]...", help="Policies or scenarios; default: all.")
]
Out = Annotated[Path | None, typer.Option("--out", metavar="DIR", help="Default: DIR/timeline.")]
Ranks = Annotated[str, typer.Option("--ranks", help="Ranks, as 0,8.")]
Count = Annotated[int, typer.Option("--steps", min=1, help="How many steps, from the first.")]


def timeline(
    folder: Folder, names: Names = None, out: Out = None, ranks: Ranks = "0", steps: Count = 1
) -> None:
    """Write Chrome traces as PyTorch's profiler does; open them at ui.perfetto.dev."""
    from janus_sim.errors import InputError, Mistake
    from janus_sim.results import perfetto
    from janus_sim.results.explain import called, choose
    from janus_sim.results.store import open_results

    if not re.fullmatch(r"\d{1,7}(,\d{1,7})*", ranks):
        raise InputError(Mistake("--ranks", f'"{ranks}" is no list of ranks; write 0,8'))
    results = open_results(folder)
    chosen = [choose(results, name, str(folder)) for name in names] if names else results
    target = out or folder / "timeline"
    for result in chosen:
        place = target / (re.sub(r"[^\w.=]+", "-", called(result)).strip("-.") or "run")
        for path in perfetto.write(result, place, [int(rank) for rank in ranks.split(",")], steps):
            print(path)
