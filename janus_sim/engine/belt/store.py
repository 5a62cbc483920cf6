"""`Store`: the arrays of the belt, and what is put on it."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from janus_sim.engine.belt import layout as at
from janus_sim.engine.belt.layout import Array, State
from janus_sim.engine.belt.rows import Rows

if TYPE_CHECKING:
    from janus_sim.engine.belt.works import Works
    from janus_sim.engine.fabric import Device, Fabric
    from janus_sim.engine.place import Place
    from janus_sim.engine.transfer import Path
    from janus_sim.network import Flows

Ints = NDArray[np.int64]

_CLEAN: Final[dict[str, float]] = {"owner": -1, "moved": 0}  #: what rows that nobody wrote hold


class Store:
    """Tasks as arrays, and what they need.

    Parameters
    ----------
    flows : Flows
    ranks : int
    works : Works
        The kernels met so far, and how long they take.

    Attributes
    ----------
    texts : list of (Place, str)
        What spans say: where, and a label in which {} stands for the expert.
    paths : list of Path
    """

    fabric: Fabric

    def __init__(self, flows: Flows, ranks: int, works: Works) -> None:
        from janus_sim.engine.belt import core, kernels

        self._core, self._kernels = core, kernels
        self.flows, self.ranks, self.works = flows, ranks, works
        head = np.zeros(at.HEAD, np.int64)
        head[[at.FIRST, at.FREE_EDGE]] = -1
        stream = np.zeros((ranks, at.STREAM), np.int64)
        stream[:, [at.RUNNING, at.STREAM_FIRST]] = -1
        self.arrays: dict[str, Array] = {
            "head": head,
            "task": np.zeros((1024, at.TASK), np.int32),
            "begin": np.zeros(1024),
            "edge": np.zeros((1024, 2), np.int32),
            "pool": np.zeros((16, at.POOL_COLUMNS), np.int32),
            "stream": stream,
            "pace": np.ones((ranks, at.PACE)),
            "when": np.full(2 << (ranks - 1).bit_length(), np.inf),
            "seconds": works.seconds,
            "gap": works.gap,
            "route": np.zeros((64, 1), np.int32),
            "path": np.zeros((64, at.PATH)),
            "moved": np.zeros(64, np.int64),
            "spare": np.zeros(64, np.int64),
            "owner": np.full(64, -1, np.int32),
            "span": np.zeros((1024, at.SPAN), np.int32),
            "times": np.zeros((1024, 2)),
        }
        self.texts: list[tuple[Place, str]] = []
        self._texts: dict[tuple[Place, str], int] = {}
        self.paths: list[Path] = []
        self._paths: dict[tuple[Device, Device, int], int] = {}
        self._pools: dict[Hashable, int] = {}
        self._groups = 0  # reserved in the network
        self.rows = Rows()
        self._pack()

    def _pack(self) -> None:
        """Line the arrays up as the compiled code takes them."""
        self.state = State(**self.arrays)
        self.head = self.arrays["head"]

    def room(self, name: str, rows: int) -> Array:
        """Give an array at least so many rows; returns it."""
        old = self.arrays[name]
        if rows > len(old):
            new = np.empty((max(rows, 2 * len(old)), *old.shape[1:]), old.dtype)
            new[: len(old)] = old
            if name in _CLEAN:
                new[len(old) :] = _CLEAN[name]
            self.arrays[name] = new
            self._pack()
        return self.arrays[name]

    # --- what is put on the belt ---

    def tasks(self, count: int, kind: int | Ints, **columns: Any) -> Ints:  # noqa: ANN401
        """Put `count` tasks on the belt and return their numbers, which are consecutive.

        Parameters
        ----------
        count : int
        kind : int or (count,) array of int
            NOTHING, KERNEL, FLOW or MEETING of `janus_sim.engine.belt.layout`.
        **columns
            Each a number or (count,), by the name of the column in small letters; -1 or 0 if not given.
        """
        first = self.rows.take(count, int(self.head[at.TASKS]))
        self.head[at.TASKS] = max(self.head[at.TASKS], first + count)
        self.room("begin", first + count)
        rows = self.room("task", first + count)[first : first + count]
        rows[:] = 0
        none = [at.EDGE, at.LAST_EDGE, at.POOL, at.SECOND, at.GIVES, at.NEXT, at.JOIN, at.WHY, at.AWAITS]
        rows[:, none] = -1
        rows[:, at.KIND] = kind
        for name, value in columns.items():
            rows[:, getattr(at, name.upper())] = value
        return np.arange(first, first + count)

    def block(self) -> AbstractContextManager[None]:
        """Return a block of tasks that take the rows of earlier blocks, once all of such a one are over."""

        def over(first: int, count: int) -> bool:
            rows = self.arrays["task"][first : first + count]
            return bool((rows[:, at.STATE] == at.OVER).all() and not rows[:, at.WATCHED].any())

        return self.rows.block(over)

    def needs(self, targets: Ints, sources: Ints) -> None:
        """Let each of `targets` (n,) need the one of `sources` (n,) beside it, to follow it in this order."""
        self._edges(len(sources))
        self._core.connect(sources, targets, self.state)

    def awaits(self, tasks: Ints, others: Ints) -> None:
        """Let each of `tasks` (n,), once it has all it needs, wait for the one of `others` (n,) beside it.

        It comes to wait only then, and goes on behind those that came before.
        """
        self.head[at.AWAITING] += len(tasks)
        self._edges(0)
        self.arrays["task"][tasks, at.AWAITS] = others

    def _edges(self, more: int) -> None:
        self.room("edge", int(self.head[at.LIVE] + self.head[at.AWAITING]) + more)

    def pools(self, names: Sequence[Hashable], credits: int) -> Ints:  # noqa: A002
        """Return the pools of those names; a new one has so many credits."""
        rows = self.room("pool", len(self._pools) + len(names))
        for name in names:
            if name not in self._pools:
                rows[len(self._pools)] = (credits, -1, -1)
                self._pools[name] = len(self._pools)
        return np.array([self._pools[name] for name in names], dtype=np.int64)

    def text(self, place: Place, label: str) -> int:
        """Return the number of what a span says."""
        key = (place, label)
        if key not in self._texts:
            self._texts[key] = len(self.texts)
            self.texts.append(key)
        return self._texts[key]

    def path(self, source: Device, target: Device, size: int) -> int:
        """Return the number of the way from device to device."""
        key = (source, target, size)
        found = self._paths.get(key)
        if found is None:
            found = self._paths[key] = self._new_path(self.fabric.path(*key), size)
        return found

    def _new_path(self, path: Path, size: int) -> int:
        ((way, _),) = path.ways
        number, hops = len(self.paths), len(way)
        self.paths.append(path)
        routes = self.room("route", number + 1)
        if hops > routes.shape[1]:
            wide = np.full((len(routes), hops), -1, np.int32)
            wide[:, : routes.shape[1]] = routes
            self.arrays["route"] = routes = wide
            self._pack()
        routes[number] = -1
        routes[number, :hops] = way
        self.room("path", number + 1)[number] = (path.delay, path.cap, size)
        self.room("moved", number + 1)[number] = 0
        return number
