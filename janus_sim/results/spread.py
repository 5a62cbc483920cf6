"""How sure speedups are: intervals, who beats whom, and what it hangs on, from a table of draws."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from janus_sim.results.tables import add_speedup, grid_columns

MOST_PANELS = 3  #: rows that are told one by one
LOW, HIGH = 5, 95  #: per cent, the ends of every interval
BEST = "best of"  #: stands before the axis over which the best was taken
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Spread:
    """What a table of draws says.

    Attributes
    ----------
    draws : int
    intervals : DataFrame
        A row a policy and point of the grid: columns of the point, policy, nominal, p5, median, p95, width,
        beats_baseline (the share of the draws in which the speedup is above 1).
    beats : DataFrame
        A row a point and two policies: policy, other, share of the draws in which `policy` is faster.
    tornado : DataFrame
        A row a row of `intervals` and range: range, correlation (Spearman's, of the drawn value's place in
        its range and the speedup), swing (mean speedup of the upper third of the draws less the lower's).
    """

    draws: int
    intervals: pd.DataFrame
    beats: pd.DataFrame
    tornado: pd.DataFrame


def spread(table: pd.DataFrame, baseline: str, draw: str, names: Sequence[str], best_of: str = "") -> Spread:
    """Return the intervals of the speedups of a table of draws.

    Parameters
    ----------
    table : DataFrame
        Columns of the scenario, `step_time_s`, `draw` (-1: constants as written) and "quantile: NAME" of each
        range.
    baseline : str
        The policy that the others are compared with.
    draw : str
        Name of the column of the draws; has a dot, so that speedups compare inside a draw.
    names : sequence of str
        Of the ranges.
    best_of : str
        A column over which also the best speedup of each draw is told, such as "workload".
    """
    rows = add_speedup(table, baseline)
    point = _point(rows, draw)
    intervals: list[dict[str, Any]] = []
    tornado: list[dict[str, Any]] = []
    for where, policy, part in _series(rows, point, draw, best_of):
        if policy == baseline:
            continue
        drawn, nominal = part[part[draw] >= 0], part[part[draw] < 0]
        speedup = drawn["speedup"].to_numpy(float)
        low, middle, high = np.percentile(speedup, [LOW, 50, HIGH])
        row = {**where, "policy": policy}
        intervals.append(
            row
            | {"nominal": float(nominal["speedup"].mean()), "p5": low, "median": middle, "p95": high}
            | {"width": high - low, "beats_baseline": float((speedup > 1.0).mean())}
        )
        for name in names:
            place = drawn[f"quantile: {name}"].to_numpy(float)
            strength = {"correlation": rank_correlation(place, speedup), "swing": swing(place, speedup)}
            tornado.append(row | {"range": name} | strength)
    draws = int(rows.loc[rows[draw] >= 0, draw].nunique())
    return Spread(draws, pd.DataFrame(intervals), _beats(rows, point, draw), pd.DataFrame(tornado))


def _point(rows: pd.DataFrame, draw: str) -> list[str]:
    """Return the columns that tell points of the grid apart; one that follows from another does not."""
    point = [name for name in grid_columns(rows, "") if name not in (draw, "schedule", "seed")]
    varied = [name for name in point if rows[name].nunique(dropna=False) > 1]
    kept: list[str] = []
    for name in varied:
        if all(rows.groupby(other, dropna=False)[name].nunique(dropna=False).max() > 1 for other in kept):
            kept.append(name)
    return kept or point[:1]


def _series(
    rows: pd.DataFrame, point: Sequence[str], draw: str, best_of: str
) -> Iterator[tuple[dict[str, Any], str, pd.DataFrame]]:
    """Yield the draws of each policy at each point; then of the best over an axis, at each point left."""
    for where, policy, part in _groups(rows, point):
        yield where, policy, part
    if best_of in point:
        rest = [name for name in point if name != best_of]
        for where, policy, part in _groups(rows, rest):
            ordered = part.sort_values("speedup", kind="stable", ascending=False)
            best = ordered.drop_duplicates(draw).sort_values(draw, kind="stable")
            many = part[best_of].nunique()
            yield {best_of: f"{BEST} {many}", **where}, policy, best


def _groups(rows: pd.DataFrame, point: Sequence[str]) -> Iterator[tuple[dict[str, Any], str, pd.DataFrame]]:
    for key, part in rows.groupby([*point, "policy"], sort=False, dropna=False):
        *where, policy = key
        yield dict(zip(point, where, strict=True)), str(policy), part


def _beats(rows: pd.DataFrame, point: Sequence[str], draw: str) -> pd.DataFrame:
    """Return for any two policies at a point the share of the draws in which the first is faster."""
    drawn = rows[rows[draw] >= 0]
    found: list[dict[str, Any]] = []
    columns = list(point)
    for key, part in drawn.groupby(columns, sort=False, dropna=False):
        where = dict(zip(columns, key, strict=True))
        seconds = {
            str(policy): mine.sort_values(draw)["step_time_s"].to_numpy(float)
            for policy, mine in part.groupby("policy", sort=False)
        }
        for policy, other in itertools.permutations(seconds, 2):
            share = float((seconds[policy] < seconds[other]).mean())
            found.append({**where, "policy": policy, "other": other, "share": share})
    return pd.DataFrame(found, columns=[*columns, "policy", "other", "share"])


def rank_correlation(x: Floats, y: Floats) -> float:
    """Return Spearman's correlation, 0 where either is constant.

    Examples
    --------
    >>> rank_correlation(np.array([1.0, 2.0, 3.0]), np.array([9.0, 4.0, 1.0]))
    -1.0
    """
    ranks = [pd.Series(values).rank().to_numpy(float) for values in (x, y)]
    centred = [values - values.mean() for values in ranks]
    scale = float(np.sqrt((centred[0] ** 2).sum() * (centred[1] ** 2).sum()))
    return round(float(centred[0] @ centred[1]) / scale, 12) if scale > 0 else 0.0


def swing(place: Floats, values: Floats) -> float:
    """Return the mean of the values in the upper third of the draws less that in the lower third.

    Examples
    --------
    >>> swing(np.array([0.1, 0.5, 0.9]), np.array([1.0, 5.0, 2.0]))
    1.0
    """
    order = np.argsort(place, kind="stable")
    third = max(len(order) // 3, 1)
    return float(values[order[-third:]].mean() - values[order[:third]].mean())


def labels(intervals: pd.DataFrame) -> list[str]:
    """Return what each row of `Spread.intervals` is called."""
    measured = ("nominal", "p5", "median", "p95", "width", "beats_baseline", "range", "correlation", "swing")
    names = [name for name in intervals.columns if name not in measured]
    if intervals["policy"].nunique() == 1:
        names.remove("policy")
    return [", ".join(str(row[name]) for name in names) for row in intervals.to_dict("records")]


def headline(found: Spread) -> pd.DataFrame:
    """Return the rows of the intervals that stand for all: the best over the axis if asked for, else all."""
    first = found.intervals.iloc[:, 0].astype(str)
    best = found.intervals[first.str.startswith(f"{BEST} ")]
    return best if len(best) else found.intervals


def hangs_on(found: Spread, row: int) -> pd.DataFrame:
    """Return the rows of the tornado of one row of the intervals, in the order of the ranges."""
    many = found.tornado["range"].nunique()
    return found.tornado.iloc[row * many : (row + 1) * many]


def strongest(found: Spread, row: int) -> pd.DataFrame:
    """Return what one row of the intervals hangs on, the strongest correlation first."""
    return hangs_on(found, row).sort_values("correlation", key=abs, ascending=False, kind="stable")


def finding(found: Spread) -> str:
    """Return the intervals of the headline rows in one line."""
    rows = headline(found)
    if len(rows) > MOST_PANELS:
        sure = int((rows["p5"] > 1).sum())
        return f"In {sure} of {len(rows)} rows the speedup is above 1 in 95 % of the draws"
    words = [
        f"{name}: {low:.2f} to {high:.2f}"
        for name, low, high in zip(labels(rows), rows["p5"], rows["p95"], strict=True)
    ]
    return "Speedup, " + "; ".join(words)
