"""Tables of comma-separated values that hold several traces: LAER's and OLMoE's."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from janus_sim.errors import InputError, Mistake
from janus_sim.traces.columns import RefusedError, Table, header, read_columns
from janus_sim.traces.form import Block, TraceInfo
from janus_sim.traces.formats.base import Asked, Format, Read, refuse

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
    path = _one(paths)
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
    path = _one(paths)
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


def _one(paths: Sequence[Path]) -> Path:
    if len(paths) > 1:
        refuse(paths[1], "", "such tables are imported one by one")
    return paths[0]


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
    steps, layers = np.unique(table[step_name]), np.unique(table[layer_name])
    experts = int(table[expert_name].max()) + 1
    places = [np.searchsorted(steps, table[step_name]), np.searchsorted(layers, table[layer_name])]
    wanted = np.arange(len(steps) * len(layers) * experts)
    flat = np.ravel_multi_index((*places, table[expert_name]), (len(steps), len(layers), experts))[order]
    if len(flat) != len(wanted) or (flat != wanted).any():
        row = int(np.argmax(flat != wanted[: len(flat)])) if len(flat) <= len(wanted) else len(wanted)
        line = table["line"][order[min(row, len(order) - 1)]]
        found = f"has {len(flat)} rows; {len(steps)} x {len(layers)} x {experts} are due, each cell once"
        refuse(path, f"line {line}, {', '.join(axes)}", found)
    counts = table[cell][order].reshape(len(steps), len(layers), 1, experts)
    for place, step in enumerate(steps.tolist()):
        for layer in range(len(layers)):
            yield Block(step, 0, layer, counts[place, layer])


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
