"""Many seeds of one scenario: means, and 95 % intervals of the differences to the baseline, seed by seed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from janus_sim.results.tables import GRID

LEVEL = 0.95
COLUMNS = ("seeds", "difference_s", "difference_low_s", "difference_high_s", "speedup_low", "speedup_high")


def interval(
    values: Sequence[float] | NDArray[np.float64], level: float = LEVEL
) -> tuple[float, float, float]:
    """Return the mean of a sample and the ends of its interval by Student's t.

    Returns
    -------
    mean, low, high : float
        Ends are NaN for fewer than two values.

    Examples
    --------
    >>> mean, low, high = interval([1.0, 2.0, 3.0])
    >>> mean, round(high - mean, 3) == round(4.303 / 3**0.5, 3)
    (2.0, True)
    """
    from scipy.stats import t

    sample = np.asarray(values, dtype=float)
    if not len(sample):
        return np.nan, np.nan, np.nan
    mean = float(sample.mean())
    if len(sample) < 2:
        return mean, np.nan, np.nan
    half = float(t.ppf((1 + level) / 2, len(sample) - 1)) * float(sample.std(ddof=1)) / len(sample) ** 0.5
    return mean, mean - half, mean + half


def means(table: pd.DataFrame, baseline: str | None = None) -> pd.DataFrame:
    """Return one row for all seeds of a scenario.

    Numbers are means over the seeds. ``speedup`` is the mean of the speedups under each seed, with the
    interval ``speedup_low`` to ``speedup_high``; ``difference_s`` is the mean of the step time less that of
    the baseline under the same seed, with its interval. A seed under which either failed is left out.

    Examples
    --------
    >>> rows = pd.DataFrame(
    ...     {
    ...         "scenario": ["slow seed=0", "fast seed=0", "slow seed=1", "fast seed=1"],
    ...         "policy": ["slow", "fast"] * 2,
    ...         "seed": [0, 0, 1, 1],
    ...         "step_time_s": [4.0, 2.0, 8.0, 5.0],
    ...         "speedup": [1.0, 2.0, 1.0, 1.6],
    ...     }
    ... )
    >>> found = means(rows, "slow")
    >>> found[["scenario", "seeds", "step_time_s", "difference_s", "speedup"]].to_dict("records")[1]
    {'scenario': 'fast', 'seeds': 2, 'step_time_s': 3.5, 'difference_s': -2.5, 'speedup': 1.8}
    """
    good = table[table["error"].isna()].drop(columns="error") if "error" in table else table
    names = [
        name for name in good.columns
        if name == "policy" or "." in str(name) or (name in GRID and name != "seed")
    ]  # fmt: skip
    rows = [_row(part, baseline) for _, part in good.groupby(names, sort=False, dropna=False)]
    found = pd.DataFrame(rows, columns=[*(name for name in good.columns if name != "seed"), *COLUMNS])
    return found.astype({"seeds": "int64"})


def _row(part: pd.DataFrame, baseline: str | None) -> dict[str, Any]:
    first = part.iloc[0]
    row: dict[str, Any] = {
        str(name): part[name].mean() if _mean_of(part, str(name)) else first[name]
        for name in part.columns
        if name != "seed"
    }
    row["scenario"] = str(first["scenario"]).replace(f" seed={first['seed']}", "")
    row["seeds"] = len(part)
    seconds, speedup = part["step_time_s"].to_numpy(float), part["speedup"].to_numpy(float)
    paired = ~np.isnan(speedup)
    if baseline is not None:
        differences = seconds[paired] - seconds[paired] * speedup[paired]
        ends = ("difference_s", "difference_low_s", "difference_high_s")
        row |= dict(zip(ends, interval(differences), strict=True))
    mean, low, high = interval(speedup[paired])
    return row | {"speedup": mean, "speedup_low": low, "speedup_high": high}


def _mean_of(part: pd.DataFrame, name: str) -> bool:
    numeric = pd.api.types.is_numeric_dtype(part[name]) and not pd.api.types.is_bool_dtype(part[name])
    return bool(numeric and name not in GRID and "." not in name)
