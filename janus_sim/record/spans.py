"""The spans of a run as columns, and columns of words as numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol, Self

import numpy as np
from numpy.typing import NDArray

#: The columns of the spans, in the order of `SpanLog.add`, each with the type of its array.
SPAN_COLUMNS: dict[str, type] = {
    "step": np.int64,
    "micro_batch": np.int64,
    "layer": np.int64,
    "phase": object,
    "rank": np.int64,
    "machine": np.int64,
    "stream": object,
    "kind": object,
    "label": object,
    "lane": object,
    "joined": np.float64,
    "begin": np.float64,
    "end": np.float64,
    "why": np.int64,
    "resource": object,
    "bytes": np.int64,
    "flops": np.float64,
    "padded_flops": np.float64,
    "launch": np.float64,
    "ideal": np.float64,
    "far_bytes": np.int64,
}

KEPT: Final = 4_000_000  #: of more spans than that a column is not kept once it is made

Columns = Mapping[str, NDArray[Any]]
Rows = NDArray[np.int64]  # (n,) ids of spans


@dataclass(frozen=True, eq=False)
class Words:
    """A column of words as numbers.

    Attributes
    ----------
    words : tuple of str
        Each word once.
    numbers : (n,) array of int
        Of each row the place of its word in `words`.

    Examples
    --------
    >>> kinds = Words.of(["transfer", "compute", "transfer"])
    >>> kinds.words, kinds.numbers.tolist(), kinds.among("compute").tolist(), kinds.column().tolist()
    (('transfer', 'compute'), [0, 1, 0], [False, True, False], ['transfer', 'compute', 'transfer'])
    """

    words: tuple[str, ...]
    numbers: NDArray[np.integer[Any]]

    @classmethod
    def of(cls, words: Sequence[str]) -> Words:
        """Number words in the order in which they come."""
        known = {word: number for number, word in enumerate(dict.fromkeys(words))}
        return cls(tuple(known), np.fromiter(map(known.__getitem__, words), np.int32, len(words)))

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, rows: Rows) -> Words:
        return Words(self.words, self.numbers[rows])

    def column(self) -> NDArray[Any]:
        """Return the words, row by row."""
        column: NDArray[Any] = np.array(self.words or ("",), dtype=object)[self.numbers]
        return column

    def among(self, *chosen: str) -> NDArray[np.bool_]:
        """Return a mask (n,) of the rows that hold one of the chosen words."""
        found: NDArray[np.bool_] = np.array([word in chosen for word in self.words] or [False])[self.numbers]
        return found


class Told(Protocol):
    """Spans in whatever form they were written."""

    def __len__(self) -> int:
        """Return how many spans there are."""

    def column(self, name: str) -> NDArray[Any] | Words:
        """Return a column, or its words as numbers."""

    def only(self, rows: Rows) -> Self:
        """Return some of the spans, in this order."""


class Listed:
    """Spans told by their columns.

    Parameters
    ----------
    columns : mapping
        Of words as numbers where they are words.
    rows : (n,) array of int, optional
        Which of their rows are meant; all if it is absent.
    """

    def __init__(self, columns: Mapping[str, NDArray[Any] | Words], rows: Rows | None = None) -> None:
        self.columns, self.rows = columns, rows

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())) if self.rows is None else self.rows)

    def column(self, name: str) -> NDArray[Any] | Words:
        """Return a column, or its words as numbers."""
        return self.columns[name] if self.rows is None else self.columns[name][self.rows]

    def only(self, rows: Rows) -> Listed:
        """Return some of the spans, in this order."""
        return Listed(self.columns, rows if self.rows is None else self.rows[rows])


class Spans(Columns):
    """Spans that are told in fewer bytes than their columns: a column is made when it is asked for.

    Parameters
    ----------
    told : Told
        Up to `KEPT` spans keep a column that was once made.
    """

    def __init__(self, told: Told) -> None:
        self.told, self._keeps = told, len(told) <= KEPT
        self._kept: dict[str, NDArray[Any]] = {}

    def __getitem__(self, name: str) -> NDArray[Any]:
        if name in self._kept:
            return self._kept[name]
        if name not in SPAN_COLUMNS:
            raise KeyError(name)
        made = self.told.column(name)
        column = made.column() if isinstance(made, Words) else made
        column.flags.writeable = False
        if self._keeps:
            self._kept[name] = column
        return column

    def __iter__(self) -> Iterator[str]:
        return iter(SPAN_COLUMNS)

    def __len__(self) -> int:
        return len(SPAN_COLUMNS)


def words_of(spans: Columns, name: str) -> Words:
    """Return a column of words as numbers, without writing the words out where the spans know them so."""
    made = spans.told.column(name) if isinstance(spans, Spans) else spans[name]
    return made if isinstance(made, Words) else Words.of(made.tolist())


def rows_of(spans: Columns, rows: Rows) -> Columns:
    """Return some of the spans, in this order.

    Examples
    --------
    >>> few = rows_of({"rank": np.array([4, 5, 6])}, np.array([2, 0]))
    >>> few["rank"].tolist()
    [6, 4]
    """
    if isinstance(spans, Spans):
        return Spans(spans.told.only(rows))
    return {name: column[rows] for name, column in spans.items()}
