"""Counts as arrays: whole numbers that nobody writes to, how unequal they are, and how they are rounded."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]


def frozen(array: npt.ArrayLike) -> Ints:
    """Return `array` as int64 that nobody can write to (a copy if somebody still could).

    Examples
    --------
    >>> frozen([1, 2]).flags.writeable
    False
    """
    source: npt.NDArray[Any] = np.asarray(array)
    if source.dtype == np.int64 and not source.flags.writeable:
        return source
    result = source.astype(np.int64)
    result.flags.writeable = False
    return result


def max_over_mean(rows: npt.NDArray[Any]) -> float:
    """Return the imbalance of `rows`: the largest over the mean; 1.0 where there are none.

    Examples
    --------
    >>> max_over_mean(np.array([1, 1, 4]))
    2.0
    """
    mean = float(rows.mean()) if rows.size else 0.0
    return float(rows.max()) / mean if mean else 1.0


def filled_up(counts: Ints, order: npt.NDArray[np.intp], rows: int) -> Ints:
    """Return counts (n, experts) with one more for those that come first in `order`, until each n has `rows`.

    Examples
    --------
    >>> filled_up(np.array([[1, 1, 0]]), order=np.array([[2, 0, 1]]), rows=4).tolist()
    [[2, 1, 1]]
    """
    short = rows - counts.sum(axis=1, keepdims=True)
    extra = np.zeros_like(counts)
    np.put_along_axis(extra, order, (np.arange(counts.shape[1]) < short).astype(np.int64), axis=1)
    return np.asarray(counts + extra, dtype=np.int64)
