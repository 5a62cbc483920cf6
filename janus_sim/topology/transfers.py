"""Start time and rate cap of a transfer by its size: the lower envelope of a few lines.

A transfer of size s takes the line i for which ``start_i + s / rate_i`` is least, pays ``start_i``, and moves
at ``rate_i`` at most. The last line has no cap: there the links decide, and its rate, if stated, only helps
to choose. Bytes are never inflated. In a collective the size is what a rank sends over paths of one kind, to
all peers together, and so is the cap. What one SM moves (``sm_rate``) caps every line, the last too; where
rows have a cost of their own (`RowsSpec`), it moves as much less.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from janus_sim.topology.spec import LineSpec, RowsSpec, TransfersSpec

Floats = NDArray[np.float64]

#: Words that may have no lines of their own, and whose lines hold then.
INSTEAD: Final = {
    "ring": "all_reduce",
    "in_switch": "all_reduce",
    "dispatch": "all_to_all",
    "combine": "all_to_all",
    "notify": "all_to_all",
}
KINDS: Final = ("nvlink", "pcie", "rdma")
NO_COSTS: Final = RowsSpec()


class Rows(NamedTuple):
    """The rows that a kernel moves one by one.

    Attributes
    ----------
    size : int
        Bytes of each.
    tokens : tuple of int
        (n,) of which each member sends rows inside its machine, or gets them back.
    """

    size: int
    tokens: tuple[int, ...]


class Envelope:
    """A few lines, ready for arrays of sizes; `costs`: of rows.

    Examples
    --------
    >>> lines = Envelope([LineSpec(start=10e-6, rate=1e9), LineSpec(start=60e-6)])
    >>> starts, caps = lines(np.array([1e3, 1e6]))
    >>> starts.tolist(), caps.tolist()
    ([1e-05, 6e-05], [1000000000.0, inf])
    >>> [part.tolist() for part in Envelope([LineSpec(start=1e-6, sm_rate=1e9)])(np.array([1e6]), sms=4)]
    [[1e-06], [4000000000.0]]
    """

    def __init__(self, lines: Sequence[LineSpec], costs: RowsSpec = NO_COSTS) -> None:
        self._costs = costs
        self._starts = np.array([line.start for line in lines])
        self._rates = np.array([np.inf if line.rate is None else line.rate for line in lines])
        self._by_links = np.arange(len(lines)) == len(lines) - 1
        self._per_sm = np.array([np.inf if line.sm_rate is None else line.sm_rate for line in lines])

    def __call__(self, sizes: Floats, sms: int = 0, rows: Rows | None = None) -> tuple[Floats, Floats]:
        """Give start times (n,) in seconds and caps (n,) in bytes per second for sizes (n,) in bytes.

        `sms`: of the kernel that moves them; 0: no kernel, which what an SM moves does not hold back.
        `rows`: that they are made of, where it moves them one by one.
        """
        sizes = np.asarray(sizes, dtype=np.float64)
        busy = np.ones(len(sizes)) if rows is None else self._busy(sizes, rows)
        kernel = np.outer(1.0 / busy, self._per_sm * sms if sms else np.full_like(self._per_sm, np.inf))
        line = np.argmin(self._starts + sizes[:, None] / np.minimum(self._rates, kernel), axis=1)
        caps = np.minimum(np.where(self._by_links, np.inf, self._rates), kernel)[np.arange(len(sizes)), line]
        late = rows.size / self._costs.pace if rows and self._costs.pace else 0.0
        return self._starts[line] + late, caps

    def _busy(self, sizes: Floats, rows: Rows) -> Floats:
        """Return how much longer SMs are busy than with the bytes alone."""
        tokens = np.array(rows.tokens) * (rows.size * self._costs.token)
        return 1.0 + self._costs.extra / rows.size + tokens / np.maximum(sizes, 1.0)


def envelopes(transfers: TransfersSpec) -> dict[tuple[str, str], Envelope]:
    """Return the lines of each word and kind of path that has any."""
    found = {}
    for word in type(transfers).model_fields:
        own = getattr(transfers, word)
        for kind in KINDS:
            lines = getattr(own, kind)
            if word in INSTEAD:
                lines = lines or getattr(getattr(transfers, INSTEAD[word]), kind)
            if lines:
                costs = getattr(own, "rows", NO_COSTS) if kind == "nvlink" else NO_COSTS
                found[word, kind] = Envelope(lines, costs)
    return found
