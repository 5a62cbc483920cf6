"""What the links of a network have carried, and when, as Python reads it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from janus_sim.network import core
from janus_sim.network.accounts import read_links
from janus_sim.network.memory import Memory

Floats = NDArray[np.float64]


class Readings:
    """Bytes carried and busy time of each link."""

    _memory: Memory

    def _read(self) -> tuple[Floats, Floats]:
        """Bytes carried and busy seconds of each link up to now."""
        core.run(self._memory.net, -np.inf)
        links = len(self._memory["link"])
        carried, busy = np.zeros(links), np.zeros(links)
        read_links(self._memory.net, carried, busy)
        return carried, busy

    @property
    def carried(self) -> Floats:
        """(links,) bytes carried up to now; of ended flows exactly their sizes."""
        return self._read()[0]

    @property
    def busy(self) -> Floats:
        """(links,) seconds in which any flow was moving."""
        return self._read()[1]

    def series(self) -> tuple[Floats, float]:
        """(links, bins) bytes carried in each bin of time, from 0 on, and the width of a bin in seconds."""
        self._read()
        return self._memory["series"].copy(), float(self._memory.net["width"][0])
