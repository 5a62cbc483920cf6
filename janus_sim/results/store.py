"""Results as files: CSV and JSON for people and other tools, Parquet for spans; written alike run to run."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from janus_sim.errors import InputError, Mistake
from janus_sim.record import SPAN_COLUMNS, Facts, LinkRecord, Record, StepRecord
from janus_sim.results import tables
from janus_sim.results.result import Result

CSV_TABLES = ("links", "layers", "memory", "steps")
PARQUET_TABLES = ("spans", "link_series")


def save(results: Sequence[Result], folder: Path | str, summary: pd.DataFrame | None = None) -> None:
    """Write summary, links, layers, memory, steps as CSV, spans and link series as Parquet, scenarios.json.

    Each table holds all results and names the scenario in its first column. The folder must exist or have a
    parent.

    Parameters
    ----------
    summary
        The table with its speedups; by default the plain rows of the results.
    """
    folder = Path(folder)
    folder.mkdir(exist_ok=True)
    write_csv(tables.summary(results) if summary is None else summary, folder / "summary.csv")
    for name in CSV_TABLES:
        write_csv(tables.gather(results, name), folder / f"{name}.csv")
    for name in PARQUET_TABLES:
        table = tables.gather(results, name)
        for column in table.columns:
            if not pd.api.types.is_numeric_dtype(table[column]):
                table[column] = pd.Categorical(table[column].astype(str).tolist())
        table.to_parquet(folder / f"{name}.parquet", index=False, engine="pyarrow")
    described = [
        {"scenario": _plain(result.scenario), "facts": _plain(result.record.facts)} for result in results
    ]
    bins = [
        {link.name: [len(link.series), link.bin_width] for link in result.record.links} for result in results
    ]
    last = [[step.last_span for step in result.record.steps] for result in results]
    for entry, width, spans in zip(described, bins, last, strict=True):
        entry |= {"bins": width, "last_spans": spans}
    (folder / "scenarios.json").write_text(
        json.dumps(described, indent=1) + "\n", encoding="utf-8", newline="\n"
    )


def write_csv(table: pd.DataFrame, path: Path) -> None:
    """Write a table with the shortest digits that read back as the same float, whole bytes without point."""
    table = table.copy()
    for name in table.columns:
        if str(name).endswith("_bytes") and table[name].dtype == np.float64 and (table[name] % 1 == 0).all():
            table[name] = table[name].astype(np.int64)
    path.write_text(table.to_csv(index=False, lineterminator="\n"), encoding="utf-8", newline="\n")


def open_results(folder: Path | str) -> list[Result]:
    """Read the results that `save` wrote, without the simulator.

    Raises
    ------
    InputError
        If the folder holds no results.
    """
    folder = Path(folder)
    if not (folder / "scenarios.json").is_file():
        raise InputError(
            Mistake(str(folder), "holds no results; write a folder that `janus-sim run` has filled")
        )
    described = json.loads((folder / "scenarios.json").read_text(encoding="utf-8"))
    read: dict[str, pd.DataFrame] = {}
    for name in CSV_TABLES:
        read[name] = pd.read_csv(
            folder / f"{name}.csv", keep_default_na=False, na_values={"utilization_peak": [""]}
        )
    for name in PARQUET_TABLES:
        read[name] = pd.read_parquet(folder / f"{name}.parquet", engine="pyarrow")
    return [_result(entry, {name: _of(table, entry) for name, table in read.items()}) for entry in described]


def open_one(folder: Path | str) -> Result:
    """Read the one result of a folder."""
    results = open_results(folder)
    if len(results) != 1:
        raise InputError(Mistake(str(folder), f"holds {len(results)} results; read them with open_results"))
    return results[0]


def _of(table: pd.DataFrame, entry: dict[str, Any]) -> pd.DataFrame:
    name = str(entry["scenario"].get("name", ""))
    return (
        table[table["scenario"].astype(str) == name].drop(columns="scenario")
        if "scenario" in table
        else table
    )


def _result(entry: dict[str, Any], read: dict[str, pd.DataFrame]) -> Result:
    spans = {name: _array(read["spans"][name], kind) for name, kind in SPAN_COLUMNS.items()}
    steps = tuple(
        StepRecord(int(step), float(begin), float(end), last)
        for step, begin, end, last in zip(
            read["steps"]["step"],
            read["steps"]["begin_s"],
            read["steps"]["end_s"],
            entry["last_spans"],
            strict=True,
        )
    )
    layers = [{k: v for k, v in row.items() if _known(v)} for row in tables.json_rows(read["layers"])]
    memory = tables.json_rows(read["memory"])
    facts: Facts = entry["facts"]
    record = Record(spans, steps, _links(entry["bins"], read), tuple(layers), tuple(memory), facts)  # type: ignore[arg-type]
    return Result(record, entry["scenario"])


def _links(bins: dict[str, list[float]], read: dict[str, pd.DataFrame]) -> tuple[LinkRecord, ...]:
    series = {
        str(name): part for name, part in read["link_series"].groupby("link", observed=True, sort=False)
    }
    links = []
    for row in read["links"].to_dict("records"):
        name = str(row["link"])
        many, width = int(bins[name][0]), bins[name][1]
        moved = np.zeros(many)
        if name in series:
            begin = series[name]["begin_s"].to_numpy(float)
            moved[np.rint(begin / width).astype(int)] = series[name]["bytes"].to_numpy(float)
        links.append(
            LinkRecord(
                name=name,
                kind=str(row["kind"]),
                machine=int(row["machine"]),
                capacity=float(row["capacity_bytes_per_s"]),
                crosses=bool(row["crosses"]),
                expert_bytes=int(row["expert_bytes"]),
                dense_bytes=int(row["dense_bytes"]),
                busy=float(row["busy_s"]),
                series=moved,
                bin_width=width,
            )
        )
    return tuple(links)


def _array(column: pd.Series[Any], kind: type) -> np.ndarray[Any, Any]:
    values = (
        np.array(column.astype(str).tolist(), dtype=object) if kind is object else column.to_numpy(dtype=kind)
    )
    values.flags.writeable = False
    return values


def _known(value: object) -> bool:
    return value is not None and value != ""


def _plain(value: Any) -> Any:  # noqa: ANN401
    """Return mappings, sequences and numbers as JSON knows them."""
    if isinstance(value, dict) or hasattr(value, "items"):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple, np.ndarray)):
        return [_plain(inner) for inner in value]
    return value.item() if isinstance(value, np.generic) else value
