"""Start time and rate cap of a transfer by its size: the lower envelope of a few lines.

A transfer of size s takes the line i for which ``start_i + s / rate_i`` is least, pays ``start_i``, and moves
at ``rate_i`` at most. The last line has no cap: there the links decide, and its rate, if stated, only helps
to choose. Bytes are never inflated. In a collective the size is what a rank sends over paths of one kind, to
all peers together, and so is the cap.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from janus_sim.topology.spec import LineSpec, TransfersSpec

Floats = NDArray[np.float64]


class Envelope:
    """A few lines, ready for arrays of sizes.

    Examples
    --------
    >>> lines = Envelope([LineSpec(start=10e-6, rate=1e9), LineSpec(start=60e-6)])
    >>> starts, caps = lines(np.array([1e3, 1e6]))
    >>> starts.tolist(), caps.tolist()
    ([1e-05, 6e-05], [1000000000.0, inf])
    """

    def __init__(self, lines: Sequence[LineSpec]) -> None:
        self._starts = np.array([line.start for line in lines])
        rates = np.array([np.inf if line.rate is None else line.rate for line in lines])
        self._choice = 1.0 / rates
        self._caps = np.append(rates[:-1], np.inf)

    def __call__(self, sizes: Floats) -> tuple[Floats, Floats]:
        """Give start times (n,) in seconds and caps (n,) in bytes per second for sizes (n,) in bytes."""
        line = np.argmin(self._starts + np.asarray(sizes, dtype=np.float64)[:, None] * self._choice, axis=1)
        return self._starts[line], self._caps[line]


def envelopes(transfers: TransfersSpec) -> dict[tuple[str, str], Envelope]:
    """Return the lines of each word and kind of path that has any."""
    found = {}
    for word in ("all_to_all", "all_reduce", "ring", "in_switch", "pull"):
        for kind in ("nvlink", "pcie", "rdma"):
            lines = getattr(getattr(transfers, word), kind)
            if word in ("ring", "in_switch"):
                lines = lines or getattr(transfers.all_reduce, kind)
            if lines:
                found[word, kind] = Envelope(lines)
    return found
