"""The memory of the fluid state: its arrays, kept alive and given more rows; the record that compiled code is given."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from janus_sim.network import layout as at
from janus_sim.network.bundles import fill_table

_LINE = 64  # bytes of a cache line


def _aligned(rows: int, columns: int, dtype: DTypeLike) -> NDArray[Any]:
    """Zeros that begin with a cache line; pages that are never touched cost nothing."""
    kind = np.dtype(dtype)
    raw = np.zeros(rows * columns * kind.itemsize + _LINE, np.uint8)
    begin = -raw.ctypes.data % _LINE
    data = raw[begin : begin + rows * columns * kind.itemsize].view(kind)
    return data.reshape(rows, columns) if columns > 1 else data


def _power(number: NDArray[np.int64] | int) -> Any:  # noqa: ANN401
    """The least power of two that is not below; of an array, of each."""
    return np.exp2(np.ceil(np.log2(np.maximum(number, 1)))).astype(np.int64)


class Memory:
    """The arrays of a network of some links.

    Attributes
    ----------
    net : (1,) array of layout.NET
        The state as compiled functions take it: counters, and the addresses of the arrays.
    """

    def __init__(self, capacity: NDArray[np.float64], bins: int, bin_width: float, now: float) -> None:
        links = len(capacity)
        self.net = np.zeros(1, at.NET)
        self._arrays: dict[str, NDArray[Any]] = {}
        for name in ("now", "busy_from"):
            self.net[name] = now
        for name in ("free_flow", "free_bundle", "free_lane"):
            self.net[name] = -1
        self.net["width"], self.net["hold"], self.net["binned"] = bin_width, np.nan, min(bins, 1)
        self._rows, self._lanes, self._entries, self._hops = 64, 64, 1024, 2
        link = _aligned(links, 1, at.LINK)
        link["capacity"], link["top"], link["written"] = capacity, -1, now
        self._set("link", link)
        self._set("series", np.zeros((links, bins)))
        self._set("blocks", np.full(64, -1))
        self._set("heads", np.full(at.BUCKETS, -1, np.int32))
        self._set("words", np.zeros(at.BUCKETS // 64 + 1, np.int64))
        self._set("ends", np.zeros(0))
        self._set("group", np.zeros(16, at.GROUP))
        self._set("emptied", np.zeros(16, np.int64))
        self._set("table", np.full(64, -1, np.int32))
        self._allot()

    def __getitem__(self, name: str) -> NDArray[Any]:
        return self._arrays[name]

    def _set(self, name: str, array: NDArray[Any]) -> None:
        """Keep an array, and tell the compiled code where it is."""
        self._arrays[name] = array
        self.net[name], self.net[name + "_rows"] = array.ctypes.data, len(array)
        self.net[name + "_columns"] = array.shape[1] if array.ndim > 1 else 1

    def _stretch(self, name: str, rows: int, dtype: DTypeLike, columns: int = 1) -> None:
        """Give an array more rows and columns; new columns hold -1."""
        old = self._arrays.get(name)
        if old is not None and len(old) >= rows and (old.ndim == 1 or old.shape[1] == columns):
            return
        new = _aligned(rows, columns, dtype) if at.ARRAYS[name] == 1 else np.zeros((rows, columns), dtype)
        if old is not None and old.ndim == 1:
            new[: len(old)] = old
        elif old is not None:
            new[: len(old)] = -1
            new[: len(old), : old.shape[1]] = old
        self._set(name, new)

    def _stretch_tree(self, name: str, rows: int) -> None:
        """Give a tree of times more slots."""
        old = self._arrays.get(name)
        if old is not None and len(old) >= 2 * rows:
            return
        tree = np.full(2 * rows, np.inf)
        if old is not None:
            tree[rows : rows + len(old) // 2] = old[len(old) // 2 :]
            while rows > 1:
                tree[rows // 2 : rows] = np.minimum(tree[rows : 2 * rows : 2], tree[rows + 1 : 2 * rows : 2])
                rows //= 2
        self._set(name, tree)

    def _stretch_path(self) -> None:
        """Give the paths of bundles more rows, and more hops: lanes in the first half, places in the second."""
        old = self._arrays.get("path")
        if old is not None and len(old) >= self._rows and old.shape[1] == 2 * self._hops:
            return
        path = np.zeros((self._rows, 2 * self._hops), np.int32)
        if old is not None:
            half = old.shape[1] // 2
            path[: len(old), :half] = old[:, :half]
            path[: len(old), self._hops : self._hops + half] = old[:, half:]
        self._set("path", path)

    def _stretch_entries(self, rows: int, others: int) -> None:
        """Give the lanes more entries, and these rows for more other lanes."""
        old = self._arrays.get("entry")
        if old is not None and old.shape[0] >= rows and old.shape[1] == others:
            return
        new = _aligned(rows, others, at.ENTRY).reshape(rows, others)
        if old is not None:
            new[: len(old), : old.shape[1]] = old
            new["mass"][: len(old), old.shape[1] :] = old["mass"][:, :1]
            new["other"][: len(old), old.shape[1] :] = -1
        self._set("entry", new)
        self._set("crossing", new.reshape(-1))

    def _allot(self) -> None:
        """Bring every array to the rows and columns that are wanted."""
        rows, lanes, entries = self._rows, self._lanes, self._entries
        self._stretch("flow", rows, at.FLOW)
        self._stretch("links", rows, np.int32, self._hops)
        self._stretch("bundle", rows, at.BUNDLE)
        self._stretch_path()
        self._stretch_tree("when", rows)
        self._stretch("lane", lanes, at.LANE)
        for name in ("touched", "closed", "visited", "later"):
            self._stretch(name, lanes, np.int32)
        self._stretch_tree("due", lanes)
        self._stretch("turns", rows + lanes, at.TURN)
        self._stretch("who", entries, np.int32)
        self._stretch_entries(entries, self._hops - 1)
        self._stretch("tag", entries, np.float64)
        if rows > len(self._arrays["table"]):
            self._set("table", np.empty(rows, np.int32))
            fill_table(self.net)

    def grow(self, hops: int, more: int = 1, entries: int = 0) -> None:
        """Make room for `more` flows of `hops` links each, for as many lanes as they may need, and for some entries."""
        net = self.net[0]
        self._hops = max(self._hops, hops)
        if self._rows < net["flows"] + more:
            self._rows = int(_power(net["flows"] + more))
        if self._lanes < net["lanes"] + self._hops:
            self._lanes *= 2
        wanted = net["pool_top"] + entries + self._hops * max(16, 2 * net["largest"])
        while self._entries < wanted:
            self._entries *= 2
        self._allot()

    def grow_groups(self, count: int) -> None:
        """Make room for as many groups in all."""
        if count > len(self._arrays["group"]):
            rows = max(2 * len(self._arrays["group"]), count)
            self._stretch("group", rows, at.GROUP)
            self._stretch("emptied", rows, np.int64)

    def watch_ends(self, count: int) -> NDArray[np.float64]:
        """An array that is given the end of each of the first flows, infinite until then."""
        ends = np.full(count, np.inf)
        self._set("heads", np.full(at.BUCKETS, -1, np.int32))
        self._set("words", np.zeros(at.BUCKETS // 64 + 1, np.int64))
        self._set("ends", ends)
        return ends

    def expect(self, routes: NDArray[np.int32]) -> int:
        """Note how many flows each link is about to be given; the entries that takes, -1 of `routes` left out."""
        link = self._arrays["link"]
        counts = np.bincount(routes.ravel() + 1, minlength=len(link) + 1)[1:]
        link["expected"] = counts
        used = counts[counts > 0]
        return int(_power(used).sum()) + 8 * len(used)

    def forget(self) -> None:
        """No flows are expected any more."""
        self._arrays["link"]["expected"] = 0
