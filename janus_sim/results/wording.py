"""A table in words: what it found, and what each point of its grid is called."""

from __future__ import annotations

from typing import Any

import pandas as pd

from janus_sim.record import BOUND
from janus_sim.results import tables


def finding(summary: pd.DataFrame, baseline: str = "") -> str:
    """Return what a table says about the fastest policy, in one line; a bound only if nothing else is there.

    Without a `baseline`, it is the first policy whose speedups are all 1.

    Examples
    --------
    >>> rows = {
    ...     "policy": ["slow", "fast"],
    ...     "workload": ["gpt", "gpt"],
    ...     "step_time_s": [2.0, 1.0],
    ...     "speedup": [1.0, 2.0],
    ... }
    >>> finding(pd.DataFrame(rows))
    'fast is 2.00x faster than slow on gpt'
    """
    known = summary[summary["speedup"].notna()].reset_index(drop=True)
    bases = [
        str(name)
        for name, speedup in known.groupby("policy", sort=False)["speedup"]
        if (speedup == 1.0).all()
    ]
    base = baseline or next(iter(bases), "")
    others = known[known["policy"] != base].reset_index(drop=True)
    if others.empty or not base:
        return "Where the time of a step goes"
    real = others[~others["policy"].astype(str).str.contains(BOUND, regex=False)].reset_index(drop=True)
    others = others if real.empty else real
    best = others.iloc[int(others["speedup"].argmax())]
    gain, where = float(best["speedup"]), _point(summary, best)
    if gain <= 1.0:
        return f"No policy is faster than {base}{where}; the best is {best['policy']} at {gain:.2f}x"
    mine = others.loc[others["policy"] == best["policy"], "speedup"]
    if len(mine) == 1:
        return f"{best['policy']} is {gain:.2f}x faster than {base}{where}"
    return f"{best['policy']} is up to {gain:.2f}x faster than {base}{where}; at worst {mine.min():.2f}x"


def headings(table: pd.DataFrame) -> list[str]:
    """Return the point of the grid of each row, in the words that vary, or the workload.

    Examples
    --------
    >>> headings(pd.DataFrame({"policy": ["a"] * 2, "workload": ["gpt"] * 2, "micro_batch_size": [8, 16]}))
    ['micro batch size 8', 'micro batch size 16']
    """
    varied = [name for name in tables.grid_columns(table, "") if table[name].nunique(dropna=False) > 1]
    knobs = [
        str(n) for n in table.columns if str(n).startswith("policies.") and table[n].nunique(dropna=False) > 1
    ]
    names = [name for name in [*dict.fromkeys([*varied, *knobs])] if name != "workload"]
    first = ["workload"] if "workload" in varied else []
    rows = table.to_dict("records")
    told = [
        [
            *(str(row[name]) for name in first),
            *(_said(name, row[name]) for name in names if row[name] == row[name]),
        ]
        for row in rows
    ]
    return [", ".join(words) or str(row.get("workload", "")) for words, row in zip(told, rows, strict=True)]


def _point(summary: pd.DataFrame, best: pd.Series[Any]) -> str:
    """Return " on moe_gpt" with all that varies in the table."""
    varied = [name for name in tables.grid_columns(summary, "") if summary[name].nunique(dropna=False) > 1]
    names = [name for name in varied if name != "workload"]
    words = [str(best["workload"])] if "workload" in summary else []
    words += [_said(name, best[name]) for name in names]
    return " on " + ", ".join(words) if words else ""


def _said(name: str, value: object) -> str:
    return (
        str(value)
        if name in {"topology", "precision"}
        else f"{name.rpartition('.')[2].replace('_', ' ')} {value}"
    )
