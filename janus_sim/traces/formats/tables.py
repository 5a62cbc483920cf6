"""Tables of comma-separated values that hold several traces: LAER's and OLMoE's."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from janus_sim.errors import InputError, Mistake
from janus_sim.traces.columns import RefusedError, Table, header, read_columns
from janus_sim.traces.form import Block, TraceInfo
from janus_sim.traces.formats.base import Asked, Format, Read, only, refuse

LAER_COLUMNS = {"rank": int, "method": str, "model_name": str, "layer": int, "iter": int, "token_num": int}
OLMOE_COLUMNS = {
    "model": str,
    "domain": str,
    "top1_only": int,
    "layer_slot": int,
    "expert": int,
    "count": int,
}


def read_laer(paths: Sequence[Path], asked: Asked) -> Read:
    """Read LAER's token_analysis.csv: the rows that each rank received, whosever tokens they were."""
    path = only(paths, "such tables")
    table = _selected(path, _table(path, LAER_COLUMNS), ("model_name", "method"), asked.select)
    model, method = table["model_name"][0], table["method"][0]
    notes = (
        f"placement {method}; selected from {path.name}",
        "an expert here is all experts of one rank: the file counts rows by receiving rank",
        "one source rank: the file does not tell whose tokens they were",
        "a step here is one captured entry: the artifact's `iter` is no training step",
    )
    info = TraceInfo(
        model=str(model), top_k=0, origin="LAER-MoE's artifact (Fizzmy/LAER-MoE-AE, arXiv 2602.11686)",
        licence="Apache-2.0", notes=notes,
    )  # fmt: skip
    return Read(info, _dense(path, table, ("iter", "layer", "rank"), "token_num"))


def read_olmoe(paths: Sequence[Path], asked: Asked) -> Read:
    """Read counts by text domain of OLMoE's routing analysis, as expert_counts.csv; a domain is a step."""
    path = only(paths, "such tables")
    table = _table(path, OLMOE_COLUMNS)
    table = {name: values[table["top1_only"] == 0] for name, values in table.items()}
    table = _selected(path, table, ("model",), asked.select)
    domains = list(dict.fromkeys(table["domain"].tolist()))
    table["step"] = np.array([domains.index(domain) for domain in table["domain"].tolist()])
    told = ", ".join(f"{step} {domain}" for step, domain in enumerate(domains))
    notes = (f"steps are text domains: {told}", "one source rank; counts of a whole domain, not of a batch")
    origin = "OLMoE's routing analysis (allenai/OLMoE, scripts/run_routing_analysis.py)"
    info = TraceInfo(
        model=str(table["model"][0]), top_k=asked.top_k, origin=origin, licence="Apache-2.0",
        phase="inference", notes=notes,
    )  # fmt: skip
    return Read(info, _dense(path, table, ("step", "layer_slot", "expert"), "count"))


def _table(path: Path, columns: Mapping[str, type]) -> Table:
    try:
        return read_columns(path, columns)
    except RefusedError as error:
        refuse(path, "", str(error))


def _selected(path: Path, table: Table, names: Sequence[str], select: Mapping[str, str]) -> Table:
    """Return the rows of one trace; where there are several, the user says which."""
    unknown = [name for name in select if name not in names]
    if unknown:
        refuse("--select", "", f'"{unknown[0]}" is not known; write {" or ".join(names)}')
    mistakes = []
    for name in names:
        values = sorted(map(str, set(table[name].tolist())))
        wanted = select.get(name, values[0] if len(values) == 1 else None)
        if wanted in values:
            table = {column: cells[table[name] == wanted] for column, cells in table.items()}
        else:
            there = ", ".join(values) or "nothing"
            mistakes.append(Mistake(f"{path}: {name}", f"holds {there}; choose one: --select {name}=..."))
    if mistakes:
        raise InputError(mistakes)
    return table


def _dense(path: Path, table: Table, axes: tuple[str, str, str], cell: str) -> Iterator[Block]:
    """Yield a block for each (step, layer): counts (1, experts); every cell must be written once."""
    step_name, layer_name, expert_name = axes
    order = np.lexsort([table[name] for name in reversed(axes)])
    steps, step = np.unique(table[step_name], return_inverse=True)
    layers, layer = np.unique(table[layer_name], return_inverse=True)
    shape = (len(steps), len(layers), int(table[expert_name].max()) + 1)
    if shape[2] > len(order):
        line = table["line"][int(table[expert_name].argmax())]
        refuse(
            path, f"line {line}, {expert_name}", f"is {shape[2] - 1}, more than there are rows; {_due(shape)}"
        )
    flat = ((step * shape[1] + layer) * shape[2] + table[expert_name])[order]
    wrong = flat != np.arange(len(flat))
    if wrong.any() or len(flat) != math.prod(shape):
        line = table["line"][order[int(np.argmax(wrong)) if wrong.any() else -1]]
        refuse(path, f"line {line}, {', '.join(axes)}", f"has {len(flat)} rows; {_due(shape)}")
    counts = table[cell][order].reshape(*shape[:2], 1, shape[2])
    for place, number in enumerate(steps.tolist()):
        for at in range(len(layers)):
            yield Block(number, 0, at, counts[place, at])


def _due(shape: tuple[int, int, int]) -> str:
    return f"{' x '.join(map(str, shape))} are due, each cell once"


def _knows(columns: Mapping[str, type]) -> Callable[[Path], bool]:
    def knows(path: Path) -> bool:
        """Whether a path is a table that has these columns."""
        if path.is_dir() or not path.name.removesuffix(".gz").endswith(".csv"):
            return False
        try:
            return set(columns) <= set(header(path))
        except RefusedError:
            return False

    return knows


LAER = Format(_knows(LAER_COLUMNS), read_laer, ", ".join(LAER_COLUMNS))
OLMOE = Format(_knows(OLMOE_COLUMNS), read_olmoe, ", ".join(OLMOE_COLUMNS))
