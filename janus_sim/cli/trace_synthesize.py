"""`janus-sim trace synthesize`: more of a trace, and how far it is from the recorded one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from janus_sim.cli.show import grid

File = Annotated[Path, typer.Argument(metavar="PARQUET", help="A trace in the neutral form.")]
Out = Annotated[Path, typer.Option("--out", "-o", metavar="PARQUET", help="Where the made one goes.")]
Steps = Annotated[int, typer.Option("--steps", min=0, help="How many; 0: as many as recorded.")]
Ranks = Annotated[int, typer.Option("--ranks", min=0, help="How many; 0: as many as recorded.")]
Tokens = Annotated[int, typer.Option("--tokens", min=0, help="Of a rank and micro-batch; 0: as recorded.")]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Of chance.")]


def synthesize(
    file: File, out: Out, steps: Steps = 0, ranks: Ranks = 0, tokens: Tokens = 0, seed: Seed = 0
) -> None:
    """Learn popularity, drift and correlations from a trace, make more of it, and print the distance."""
    from dataclasses import asdict

    from janus_sim.traces import open_trace
    from janus_sim.traces.distance import character
    from janus_sim.traces.synthesize import synthesized

    real = open_trace(file)
    synthesized(real, out, steps=steps, ranks=ranks, tokens=tokens, seed=seed)
    before, after = asdict(character(real)), asdict(character(open_trace(out)))
    rows = [
        [name.replace("_", " "), f"{value:.3f}", f"{after[name]:.3f}", f"{after[name] - value:+.3f}"]
        for name, value in before.items()
    ]
    grid(["", "recorded", "made", "difference"], rows)
