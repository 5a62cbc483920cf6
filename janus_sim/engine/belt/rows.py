"""`Rows`: which rows of the table of tasks are used again within a step."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeAlias

Range: TypeAlias = tuple[int, int]  #: the first row, and how many


class Rows:
    """Rows by blocks: what is put on the belt together is dropped together, once all of it is over.

    A step of many GPUs has some ten tasks a rank, expert and layer, of which few are alive at a time.

    Examples
    --------
    >>> rows = Rows()
    >>> with rows.block(lambda first, count: True):
    ...     rows.take(3, 0)
    0
    >>> with rows.block(lambda first, count: True):
    ...     rows.take(2, 3), rows.take(2, 3)
    (0, 3)
    """

    def __init__(self) -> None:
        self._free: list[Range] = []
        self._blocks: list[list[Range]] = []
        self._open: list[Range] | None = None

    @contextmanager
    def block(self, over: Callable[[int, int], bool]) -> Iterator[None]:
        """Let `take` serve one block; `over(first, count)` says whether nobody needs these rows any more."""
        self._reclaim(over)
        self._open = []
        yield
        self._blocks.append(self._open)
        self._open = None

    def take(self, count: int, end: int) -> int:
        """Return the first of so many rows in sequence; from `end` on all are free."""
        if self._open is None:
            return end
        fits = (place for place, (_, many) in enumerate(self._free) if many >= count)
        place = next(fits, None)
        if place is None:
            first = end
        else:
            first, many = self._free[place]
            self._free[place] = first + count, many - count
        self._open.append((first, count))
        return first

    def clear(self) -> None:
        """Forget all: the table is empty."""
        self._free, self._blocks = [], []

    def _reclaim(self, over: Callable[[int, int], bool]) -> None:
        done = [block for block in self._blocks if all(over(*rows) for rows in block)]
        self._blocks = [block for block in self._blocks if block not in done]
        free = sorted([*self._free, *(rows for block in done for rows in block)])
        self._free = []
        for first, many in free:
            if self._free and sum(self._free[-1]) == first:
                self._free[-1] = self._free[-1][0], self._free[-1][1] + many
            elif many:
                self._free.append((first, many))
