"""What all routing by rule and seed does alike: it checks its knobs, and keeps what it drew."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

REMEMBERED = 64 * 2**20  #: bytes of what a rule has drawn that are kept for the backward

Table = TypeVar("Table", bound=npt.NDArray[np.signedinteger[Any]])


def in_range(knobs: Mapping[str, tuple[float, float, float]]) -> None:
    """Hold each knob, given as (value, lowest, highest), against its range.

    Raises
    ------
    ValueError
        At the first that is out of it.

    Examples
    --------
    >>> in_range({"drift": (0.5, 0, 1)})
    >>> in_range({"drift": (2, 0, 1)})
    Traceback (most recent call last):
        ...
    ValueError: drift 2 is out of range; write 0 to 1
    """
    for name, (value, low, high) in knobs.items():
        if not low <= value <= high:
            raise ValueError(f"{name} {value:g} is out of range; write {low:g} to {high:g}")


def remembered(rule: Callable[[int, int, int], Table], size: int) -> Callable[[int, int, int], Table]:
    """Return a rule that keeps what it drew last: tables of `size` bytes, in `REMEMBERED` bytes."""
    return lru_cache(maxsize=max(1, min(512, REMEMBERED // size)))(rule)
