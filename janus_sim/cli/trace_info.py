"""`janus-sim trace info` and `trace plot`: what a trace holds, and how unequal it is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from janus_sim.cli import show
from janus_sim.cli.show import Format

if TYPE_CHECKING:
    from janus_sim.traces import Recorded
    from janus_sim.traces.measure import Measured

PLACEMENTS = {
    "contiguous": "contiguous blocks",
    "first": "packed on the first step",
    "hindsight": "packed in hindsight",
}
MOMENTS = 10  #: rows of the table over time, at the most

File = Annotated[
    list[Path], typer.Argument(metavar="FILE...", help="A trace: .parquet, .npz or .csv; several are joined.")
]
Gpus = Annotated[
    int | None, typer.Option("--gpus", min=1, help="GPUs that share the experts; default: the trace's ranks.")
]
Form = Annotated[Format, typer.Option("--format", help="Tables, or one JSON object and nothing else.")]
Layer = Annotated[
    int | None, typer.Option("--layer", min=0, help="MoE layer of the heat map; default: the most unequal.")
]
Out = Annotated[
    Path | None, typer.Option("--out", "-o", metavar="PNG", help="Default: beside the trace, with .png.")
]


def info(files: File, gpus: Gpus = None, form: Form = Format.table) -> None:
    """Print a trace's shape, its imbalance by layer and over time, and what a static placement suffers."""
    from janus_sim.traces import read_traces
    from janus_sim.traces.measure import measured

    trace = read_traces(files)
    found = measured(trace, gpus)
    if form is Format.json:
        print(json.dumps(_plain(trace, found), indent=1))
        return
    _shape(trace)
    print("\nimbalance over the experts, by layer (mean over steps)")
    heads = ["layer", "experts", "max/mean", "largest", "Gini"]
    show.grid(heads, [[_cell(value) for value in row.values()] for row in _layers(trace, found)])
    print("\nover time (mean over layers)")
    rows = _moments(found)
    show.grid(list(rows[0]), [[_cell(value) for value in row.values()] for row in rows])
    print(f"\nmax/mean of the rows of a GPU, experts on {found.placed_on} GPUs (mean, worst)")
    cells = [[word, *(_cell(one) for one in _suffers(found, name))] for name, word in PLACEMENTS.items()]
    show.grid(["static placement", "mean", "worst"], cells)


def plot(files: File, layer: Layer = None, out: Out = None) -> None:
    """Draw the load of each expert over the steps, and the imbalance over time."""
    from janus_sim.errors import InputError, Mistake
    from janus_sim.files import check_file
    from janus_sim.results import figures, figures_trace
    from janus_sim.traces import read_traces
    from janus_sim.traces.measure import loads, measured

    target = out or files[0].with_suffix(".png")
    check_file(target, "--out")
    trace = read_traces(files)
    if layer is not None and layer >= len(trace.experts):
        raise InputError(Mistake("--layer", f"{layer}; the trace has layers 0 to {len(trace.experts) - 1}"))
    found = measured(trace)
    chosen = int(found.max_over_mean.mean(axis=(0, 1)).argmax()) if layer is None else layer
    name = trace.info.model or files[0].stem
    figure = figures_trace.draw(found.steps, loads(trace, chosen), chosen, found.max_over_mean, name)
    numbers = figures_trace.numbers(found.steps, found.max_over_mean)
    print("\n".join(map(str, figures.write(figure, figures.stem(target), numbers))))


def _shape(trace: Recorded) -> None:
    """Print what is told of a trace."""
    told = trace.info
    experts = sorted(set(told.experts))
    lines = {
        "model": told.model,
        "phase": told.phase,
        "origin": told.origin,
        "licence": told.licence,
        "steps": f"{trace.steps}, {told.steps[0]} to {told.steps[-1]}",
        "micro-batches": told.micro_batches,
        "MoE layers": f"{told.layers} of {' or '.join(map(str, experts))} experts",
        "source ranks": told.ranks,
        "tokens": f"{_range(told.tokens)} a rank and micro-batch" if told.tokens else "not told",
        "top-k": told.top_k or "not told",
        "rows": f"{_range(told.rows)} a rank and micro-batch",
        "choices of tokens": "yes" if told.has_choices else "no, counts alone",
        **{f"note {place}": note for place, note in enumerate(told.notes, 1)},
    }
    for name, value in lines.items():
        if value != "":
            print(f"{name:<18} {value}")


def _range(numbers: int | tuple[int, int]) -> str:
    if isinstance(numbers, int) or numbers[0] == numbers[1]:
        return str(numbers if isinstance(numbers, int) else numbers[0])
    return f"{numbers[0]} to {numbers[1]}"


def _layers(trace: Recorded, found: Measured) -> list[dict[str, Any]]:
    return [
        {
            "layer": moe,
            "experts": experts,
            "max_over_mean": float(found.max_over_mean[:, :, moe].mean()),
            "largest": float(found.max_over_mean[:, :, moe].max()),
            "gini": float(found.gini[:, :, moe].mean()),
        }
        for moe, experts in enumerate(trace.experts)
    ]


def _moments(found: Measured) -> list[dict[str, Any]]:
    """Return up to ten spans of steps, evenly cut."""
    import numpy as np

    parts = np.array_split(np.arange(len(found.steps)), min(MOMENTS, len(found.steps)))
    return [
        {
            "steps": f"{found.steps[part[0]]} to {found.steps[part[-1]]}",
            "max/mean": float(found.max_over_mean[part].mean()),
            "Gini": float(found.gini[part].mean()),
            "contiguous placement": float(found.contiguous[part].mean()),
        }
        for part in parts
    ]


def _suffers(found: Measured, name: str) -> tuple[float, float]:
    values = getattr(found, name)
    return float(values.mean()), float(values.max())


def _plain(trace: Recorded, found: Measured) -> dict[str, Any]:
    placements = {
        name: dict(zip(("mean", "worst"), _suffers(found, name), strict=True)) for name in PLACEMENTS
    }
    time = {"steps": list(found.steps), "max_over_mean": found.max_over_mean.mean(axis=(1, 2)).tolist(),
            "gini": found.gini.mean(axis=(1, 2)).tolist()}  # fmt: skip
    return {"info": trace.info.described(), "layers": _layers(trace, found), "time": time,
            "placed_on": found.placed_on, "static_placement": placements}  # fmt: skip


def _cell(value: object) -> str:
    return f"{value:.2f}" if isinstance(value, float) else str(value)
