"""Start time and rate cap of a transfer by its size: the lower envelope of a few lines.

A transfer of size s takes the line i for which ``start_i + s / rate_i`` is least, pays ``start_i``, and moves
at ``rate_i`` at most. The last line has no cap: there the links decide, and its rate, if stated, only helps
to choose. Bytes are never inflated. In a collective the size is what a rank sends over paths of one kind, to
all peers together, and so is the cap. What one SM moves (``sm_rate``) caps every line, the last too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from janus_sim.topology.spec import LineSpec, TransfersSpec

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


class Envelope:
    """A few lines, ready for arrays of sizes.

    Examples
    --------
    >>> lines = Envelope([LineSpec(start=10e-6, rate=1e9), LineSpec(start=60e-6)])
    >>> starts, caps = lines(np.array([1e3, 1e6]))
    >>> starts.tolist(), caps.tolist()
    ([1e-05, 6e-05], [1000000000.0, inf])
    >>> [part.tolist() for part in Envelope([LineSpec(start=1e-6, sm_rate=1e9)])(np.array([1e6]), sms=4)]
    [[1e-06], [4000000000.0]]
    """

    def __init__(self, lines: Sequence[LineSpec]) -> None:
        self._starts = np.array([line.start for line in lines])
        self._rates = np.array([np.inf if line.rate is None else line.rate for line in lines])
        self._by_links = np.arange(len(lines)) == len(lines) - 1
        self._per_sm = np.array([np.inf if line.sm_rate is None else line.sm_rate for line in lines])

    def __call__(self, sizes: Floats, sms: int = 0) -> tuple[Floats, Floats]:
        """Give start times (n,) in seconds and caps (n,) in bytes per second for sizes (n,) in bytes.

        `sms`: of the kernel that moves them; 0: no kernel, which what an SM moves does not hold back.
        """
        kernel = self._per_sm * sms if sms else np.full_like(self._per_sm, np.inf)
        choice = 1.0 / np.minimum(self._rates, kernel)
        line = np.argmin(self._starts + np.asarray(sizes, dtype=np.float64)[:, None] * choice, axis=1)
        caps = np.minimum(np.where(self._by_links, np.inf, self._rates), kernel)
        return self._starts[line], caps[line]


def envelopes(transfers: TransfersSpec) -> dict[tuple[str, str], Envelope]:
    """Return the lines of each word and kind of path that has any."""
    found = {}
    for word in type(transfers).model_fields:
        for kind in KINDS:
            lines = getattr(getattr(transfers, word), kind)
            if word in INSTEAD:
                lines = lines or getattr(getattr(transfers, INSTEAD[word]), kind)
            if lines:
                found[word, kind] = Envelope(lines)
    return found
