"""Tables of several runs: speedup over a baseline, where each step went, and plain words for people."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from janus_sim.errors import InputError, Mistake
from janus_sim.record import unmarked
from janus_sim.results.critical_path import PARTS

if TYPE_CHECKING:
    from janus_sim.results.result import Result

#: Columns that two rows must share to be compared; to them come those of the grid, which have a dot in their
#: names.
GRID = ("topology", "workload", "precision", "micro_batch_size", "schedule", "seed")

#: How a column is written for people: heading, factor, format.
WORDS = {
    "step_time_s": ("ms", 1e3, "{:.2f}"),
    "speedup": ("speedup", 1.0, "{:.2f}x"),
    "exposed_all_to_all_share": ("exposed All-to-All", 100.0, "{:.0f} %"),
    "exposed_comm_s": ("exposed comm. ms", 1e3, "{:.2f}"),
    "expert_cross_machine_bytes": ("expert GiB across", 2.0**-30, "{:.3f}"),
    "tokens_per_s_per_gpu": ("tokens/s a GPU", 1.0, "{:,.0f}"),
    "model_flops_per_s_per_gpu": ("TFLOP/s a GPU", 1e-12, "{:.1f}"),
    "mfu": ("MFU", 100.0, "{:.1f} %"),
    "peak_gpu_memory_bytes": ("GiB a GPU", 2.0**-30, "{:.1f}"),
    "r": ("R", 1.0, "{:.4g}"),
}


def summary(results: Iterable[Result]) -> pd.DataFrame:
    """Return one row a result, in their order; a column that only some have is empty elsewhere."""
    from janus_sim.results.summary import figures_of

    return frame((result.scenario, figures_of(result)) for result in results)


def frame(rows: Iterable[tuple[Mapping[str, Any], Mapping[str, Any]]]) -> pd.DataFrame:
    """Return one row a scenario: what it is called, its figures (or its error), its point of the grid."""
    from janus_sim.results.result import IDENTITY

    told: list[dict[str, Any]] = []
    points: list[Mapping[str, Any]] = []
    for scenario, figures in rows:
        names = {name: scenario.get("name" if name == "scenario" else name, "") for name in IDENTITY}
        points.append(scenario.get("point", {}))
        told.append(names | dict(figures) | dict(points[-1]))
    table = pd.DataFrame(told)
    return table[ordered(table.columns, points)]


def ordered(columns: Iterable[Any], points: Iterable[Mapping[str, Any]]) -> list[str]:
    """Put columns in order: what names a row, its figures, the axes of the grid, the error.

    Examples
    --------
    >>> ordered(["policy", "topology.machines", "error", "step_time_s"], [{"topology.machines": 2}])
    ['policy', 'step_time_s', 'topology.machines', 'error']
    """
    axes = list(dict.fromkeys(path for point in points for path in point))
    known = [str(name) for name in columns]
    last = [*(name for name in axes if name in known), *(["error"] if "error" in known else [])]
    return [name for name in known if name not in last] + last


def gather(results: Sequence[Result], name: str) -> pd.DataFrame:
    """Return one table of several results ("links", "layers", "memory", "steps", "spans", "link_series").

    The first column is the scenario; rows keep their order.
    """
    tables = []
    for result in results:
        table = getattr(result, name)
        words = pd.Series([str(result.scenario.get("name", ""))] * len(table), index=table.index, dtype=str)
        tables.append(pd.concat([words.rename("scenario"), table], axis=1))
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()


def grid_columns(table: pd.DataFrame, baseline: str) -> list[str]:
    """Return the columns that make up a point of the grid; knobs of policies beside the baseline do not."""
    dotted = [str(name) for name in table.columns if "." in str(name)]
    own = f"policies.{unmarked(baseline)}."
    return [name for name in GRID if name in table.columns] + [
        name for name in dotted if not name.startswith("policies.") or name.startswith(own)
    ]


def called(table: pd.DataFrame, policy: str) -> str:
    """Return the name of a policy as a table has it: with its marks.

    Examples
    --------
    >>> called(pd.DataFrame({"policy": ["flat", "deepep (lossy)"]}), "deepep")
    'deepep (lossy)'
    """
    return next((str(name) for name in table["policy"] if unmarked(str(name)) == policy), policy)


def add_speedup(table: pd.DataFrame, baseline: str) -> pd.DataFrame:
    """Return the table with `speedup`: step time of the baseline at the same point of the grid over its own.

    A row at whose point the baseline did not run keeps NaN.

    Raises
    ------
    InputError
        If no row at all has the baseline policy.

    Examples
    --------
    >>> rows = pd.DataFrame(
    ...     {"workload": ["a", "a", "b"], "policy": ["slow", "fast", "fast"], "step_time_s": [3.0, 2.0, 1.0]}
    ... )
    >>> add_speedup(rows, "slow")["speedup"].tolist()
    [1.0, 1.5, nan]
    """
    if baseline not in set(table["policy"]):
        names = ", ".join(dict.fromkeys(table["policy"]))
        raise InputError(Mistake("baseline", f'no policy "{baseline}" in this table; write one of {names}'))
    columns = grid_columns(table, baseline)
    points = [tuple(map(_key, row)) for row in table[columns].itertuples(index=False, name=None)]
    base: dict[tuple[object, ...], float] = {}
    for point, policy, seconds in zip(points, table["policy"], table["step_time_s"], strict=True):
        if policy == baseline:
            base.setdefault(point, float(seconds))
    speedup = np.array([base.get(point, math.nan) for point in points]) / table["step_time_s"].to_numpy(float)
    return table.assign(speedup=speedup)


def _key(value: object) -> object:
    """Make NaN equal to itself."""
    return None if isinstance(value, float) and math.isnan(value) else value


def breakdown(table: pd.DataFrame) -> pd.DataFrame:
    """Return where each step went: compute, exposed communication, waiting; they add up to the step.

    Means over ranks. *Waiting* is for partners that have not joined yet, and the rest in which nothing is
    open (the host, the end of the step).

    Returns
    -------
    DataFrame of scenario, topology, workload, precision, policy, part, seconds, share
    """
    names = [name for name in ("scenario", "topology", "workload", "precision", "policy") if name in table]
    waiting = table["exposed_comm_waiting_s"]
    parts = {
        "compute": table["gpu_busy_s"],
        "exposed communication": table["exposed_comm_s"] - waiting,
        "waiting": table["idle_s"] + waiting,
    }
    return _long(table, names, parts)


def path(table: pd.DataFrame) -> pd.DataFrame:
    """Return what the critical path of each step was, a row a part (`critical_path.PARTS`)."""
    names = [name for name in ("scenario", "topology", "workload", "precision", "policy") if name in table]
    columns = {part: table["straggler_s" if part == "straggler" else f"path_{part}_s"] for part in PARTS}
    return _long(table, names, columns)


def _long(table: pd.DataFrame, names: Sequence[str], parts: dict[str, pd.Series[float]]) -> pd.DataFrame:
    pieces = [
        table[list(names)].assign(
            part=part, seconds=value, share=value / table["step_time_s"], order=range(len(table))
        )
        for part, value in parts.items()
    ]
    return pd.concat(pieces).sort_values("order", kind="stable").drop(columns="order").reset_index(drop=True)


def text(table: pd.DataFrame) -> pd.DataFrame:
    """Return the summary in words for people: ms, tokens/s a GPU, MFU, GiB; what varies comes first.

    Examples
    --------
    >>> print(
    ...     text(pd.DataFrame({"policy": ["janus"], "step_time_s": [0.0123456], "mfu": [0.25]})).to_string(
    ...         index=False
    ...     )
    ... )
    policy    ms    MFU
     janus 12.35 25.0 %
    """
    dotted = [name for name in table.columns if "." in str(name)]
    shown: dict[str, list[str]] = {}
    for name in ["topology", "workload", "precision", "micro_batch_size", "policy", *dotted]:
        if name in table and (name == "policy" or table[name].nunique(dropna=False) > 1):
            shown[name.replace("_", " ")] = [_word(value) for value in table[name]]
    for name, (heading, factor, form) in WORDS.items():
        if name in table and not table[name].isna().all():
            shown[heading] = [_number(value, factor, form) for value in table[name]]
            if name == "speedup" and "speedup_low" in table:
                ends = zip(table["speedup_low"], table["speedup_high"], strict=True)
                shown["95 %"] = [f"{_number(low, 1, form)} to {_number(high, 1, form)}" for low, high in ends]
    if "images" in table and (table["images"].fillna(1) > 1).any():
        shown["alike"] = [_alike(value) for value in table["images"]]
    if "tolerance" in table:
        shown["tolerance"] = ["exact" if pd.isna(value) else f"{value:g}" for value in table["tolerance"]]
    if "fits" in table:
        shown["fits"] = ["-" if pd.isna(value) else "yes" if value else "NO" for value in table["fits"]]
    if "paradigms" in table and any(table["paradigms"]):
        shown["paradigms"] = [_word(value) for value in table["paradigms"]]
    if "error" in table:
        shown["error"] = ["" if pd.isna(value) else str(value).splitlines()[0] for value in table["error"]]
    return pd.DataFrame(shown)


def _word(value: object) -> str:
    return "-" if _key(value) is None else str(value)


def _alike(images: float) -> str:
    """Say that one machine was simulated for several."""
    return f"1 machine for {images:.0f}" if images > 1 else "-"


def _number(value: float, factor: float, form: str) -> str:
    return "-" if math.isnan(value) else form.format(value * factor)


def json_rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the table as plain rows for JSON: SI values under the names of the columns, NaN as None.

    Examples
    --------
    >>> json_rows(pd.DataFrame({"policy": ["janus"], "speedup": [float("nan")], "fits": [True]}))
    [{'policy': 'janus', 'speedup': None, 'fits': True}]
    """
    return [{str(name): _plain(value) for name, value in row.items()} for row in table.to_dict("records")]


def _plain(value: Any) -> Any:  # noqa: ANN401
    value = value.item() if isinstance(value, np.generic) else value
    return None if isinstance(value, float) and not math.isfinite(value) else value
