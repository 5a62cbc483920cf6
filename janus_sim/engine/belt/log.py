"""The spans of a run on the belt: those that compiled code wrote and those of Python, in one order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from janus_sim.engine.belt import layout as at
from janus_sim.record import SPAN_COLUMNS, SpanLog

if TYPE_CHECKING:
    from janus_sim.engine.belt.belt import Belt

_END = list(SPAN_COLUMNS).index("end")


class BeltLog(SpanLog):
    """One row a span, as `SpanLog`; the belt writes its own as numbers, and they become words at the end.

    Parameters
    ----------
    belt : Belt
    """

    __slots__ = ("_belt", "_mine")

    def __init__(self, belt: Belt) -> None:
        super().__init__()
        self._belt = belt
        self._mine: list[int] = []

    def add(self, *values: Any, **more: Any) -> int:  # noqa: ANN401
        """Append one span of Python's and return its id; see `SpanLog.add`."""
        super().add(*values, **more)
        head = self._belt.head
        span = int(head[at.SPANS])
        head[at.SPANS] += 1
        self._mine.append(span)
        self._belt.room("times", span + 1)[span] = self.rows[-1][_END]
        self._belt.room("span", span + 1)[span] = 0
        return span

    def __len__(self) -> int:
        return int(self._belt.head[at.SPANS])

    def end(self, span: int) -> float:
        """Return when that span ended, in seconds."""
        return float(self._belt.arrays["times"][span, 1])

    def columns(self) -> dict[str, NDArray[Any]]:
        """Return the spans as arrays of one length, read-only, in the order of `SPAN_COLUMNS`."""
        mine, table = super().columns(), self._of_belt()
        for name, column in table.items():
            column[self._mine] = mine[name]
            column.flags.writeable = False
        return table

    def _of_belt(self) -> dict[str, NDArray[Any]]:
        belt, count = self._belt, len(self)
        span, times = belt.arrays["span"][:count], belt.arrays["times"][:count]
        kernel = span[:, at.S_KIND] == at.KERNEL
        found: dict[str, NDArray[Any]] = {
            **self._places(span[:, at.S_TEXT]),
            **self._devices(span[:, at.S_RANK]),
            "stream": _words(["copy", "compute"], kernel),
            "kind": _words(["transfer", "compute"], kernel),
            "label": self._labels(span),
            "joined": times[:, 0].copy(),
            "begin": times[:, 0].copy(),
            "end": times[:, 1].copy(),
            "why": span[:, at.S_WHY].astype(np.int64),
            "resource": self._resources(kernel, span[:, at.S_LINK]),
            **self._amounts(span[:, at.S_WHERE], kernel),
        }
        return {name: found[name] for name in SPAN_COLUMNS}

    def _resources(self, kernel: NDArray[np.bool_], link: NDArray[np.int32]) -> NDArray[Any]:
        names = [one.name for one in self._belt.fabric.topology.links]
        return _words([*names, "gpu", ""], np.where(kernel, len(names), link))

    def _places(self, text: NDArray[np.int32]) -> dict[str, NDArray[Any]]:
        places = [place for place, _ in self._belt.texts]
        found: dict[str, NDArray[Any]] = {}
        for name in ("step", "micro_batch", "layer"):
            found[name] = np.array([getattr(place, name) for place in places] or [0], dtype=np.int64)[text]
        for name in ("phase", "lane"):
            found[name] = _words([getattr(place, name) for place in places] or [""], text)
        return found

    def _devices(self, rank: NDArray[np.int32]) -> dict[str, NDArray[Any]]:
        gpus = self._belt.fabric.topology.gpus
        machine = np.array([gpu.machine for gpu in gpus], dtype=np.int64)
        return {
            "rank": np.maximum(rank, -1).astype(np.int64),
            "machine": np.where(rank >= 0, machine[np.maximum(rank, 0)], -1 - rank.astype(np.int64)),
        }

    def _labels(self, span: NDArray[np.int32]) -> NDArray[Any]:
        """Write out each text with each of its experts once."""
        patterns = [label for _, label in self._belt.texts] or [""]
        most = int(span[:, at.S_EXPERT].max(initial=0)) + 1
        pair = span[:, at.S_TEXT].astype(np.int64) * most + span[:, at.S_EXPERT]
        several, which = np.unique(pair, return_inverse=True)
        return _words([patterns[one // most].format(one % most) for one in several.tolist()], which.ravel())

    def _amounts(self, where: NDArray[np.int32], kernel: NDArray[np.bool_]) -> dict[str, NDArray[Any]]:
        belt = self._belt
        work, path = np.where(kernel, where, 0), np.where(kernel, 0, where)
        facts = np.array(belt.works.facts or [(0.0, 0.0, 0.0, 0.0)])
        sizes = np.append(belt.arrays["path"][: len(belt.paths), at.SIZE], 0.0).astype(np.int64)
        far = np.array([one.far for one in belt.paths] or [0], dtype=np.int64)
        names = ("flops", "padded_flops", "launch", "ideal")
        return {
            "bytes": np.where(kernel, 0, sizes[path]),
            "far_bytes": np.where(kernel, 0, far[path]),
            **{name: np.where(kernel, facts[work, column], 0.0) for column, name in enumerate(names)},
        }


def _words(words: list[str], which: NDArray[Any]) -> NDArray[Any]:
    """Return a column of words, by their numbers."""
    return np.array(words, dtype=object)[which.astype(np.int64)]
