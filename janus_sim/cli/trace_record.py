"""`janus-sim trace record`: a script of one's own, run under the recorder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

Script = Annotated[Path, typer.Argument(metavar="SCRIPT", help="A Python script that trains or generates.")]
Rest = Annotated[
    list[str] | None, typer.Argument(metavar="[-- ARGUMENT...]", help="What the script is given.")
]
Out = Annotated[Path, typer.Option("--out", "-o", metavar="PARQUET", help="Where the trace goes.")]
Routers = Annotated[
    str | None,
    typer.Option("--routers", help="Path of the routers in the model, * for any part; default: found."),
]
Ranks = Annotated[
    int, typer.Option("--ranks", min=1, help="Into how many ranks the tokens of a pass are cut.")
]
Batches = Annotated[int, typer.Option("--micro-batches", min=1, help="Passes of a step.")]
Tokens = Annotated[
    int,
    typer.Option("--tokens", min=0, help="Of a rank: passes are gathered until there are as many. 0: no."),
]
Inference = Annotated[bool, typer.Option("--inference", help="Record evaluation mode; else training mode.")]
Counts = Annotated[bool, typer.Option("--counts", help="Counts alone, without the choices of each token.")]
Model = Annotated[str, typer.Option("--model", help="Whose routing it is; default: the script's name.")]
Licence = Annotated[str, typer.Option("--licence", help="SPDX identifier, or words.")]


def record(
    script: Script, out: Out, rest: Rest = None, routers: Routers = None, ranks: Ranks = 1,
    micro_batches: Batches = 1, tokens: Tokens = 0, inference: Inference = False, counts: Counts = False,
    model: Model = "", licence: Licence = "",
) -> None:  # fmt: skip
    """Run a script, and record the routing of the first MoE model that it calls (needs PyTorch)."""
    from janus_sim.traces import TraceInfo, open_trace
    from janus_sim.traces.script import record_script

    phase: Literal["training", "inference"] = "inference" if inference else "training"
    info = TraceInfo(
        model or script.stem, 0, origin=f"trace record {script.name}", licence=licence, phase=phase
    )
    options = {"routers": routers, "ranks": ranks, "micro_batches": micro_batches, "tokens": tokens or None}
    record_script(script, rest or [], out, info, **options, choices=not counts)
    found = open_trace(out).info
    print(
        f"{out}: {len(found.steps)} steps, {found.layers} MoE layers, {found.ranks} ranks, top-{found.top_k}"
    )
