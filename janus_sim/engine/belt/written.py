"""`Written`: what compiled code wrote of spans, and the columns that it stands for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from janus_sim.engine.belt import layout as at
from janus_sim.engine.place import Place
from janus_sim.record import Columns, Words

if TYPE_CHECKING:
    from janus_sim.engine.belt.belt import Belt

_FACTS: Final = ("flops", "padded_flops", "launch", "ideal")
_TIMES: Final = {"joined": 0, "begin": 0, "end": 1}


@dataclass(frozen=True, eq=False)
class Tables:
    """What the numbers in the spans of a belt stand for; it outlives the belt.

    Attributes
    ----------
    texts : sequence of (Place, str)
        What spans say: where, and a label in which {} stands for the expert.
    links : list of str
    machine : (ranks,) int64
    facts : (works, 4) float64
        Of kernels, as `_FACTS`.
    amounts : dict from str to (paths + 1,) int64
        Bytes of flows, and those of them that leave machines.
    """

    texts: Sequence[tuple[Place, str]]
    links: Sequence[str]
    machine: NDArray[np.int64]
    facts: NDArray[np.float64]
    amounts: Mapping[str, NDArray[np.int64]]

    @classmethod
    def of(cls, belt: Belt) -> Tables:
        """Take them from a belt."""
        topology = belt.fabric.topology
        sizes = np.append(belt.arrays["path"][: len(belt.paths), at.SIZE], 0.0).astype(np.int64)
        far = np.array([path.far for path in belt.paths] + [0], dtype=np.int64)
        return cls(
            belt.texts or [(Place(0), "")],
            [link.name for link in topology.links],
            np.array([gpu.machine for gpu in topology.gpus], dtype=np.int64),
            np.array(belt.works.facts or [(0.0, 0.0, 0.0, 0.0)]),
            {"bytes": sizes, "far_bytes": far},
        )


@dataclass(frozen=True, eq=False)
class Written:
    """Spans in 44 bytes each.

    Attributes
    ----------
    span, times : (n, SPAN) int32, (n, 2) float64
        As the belt wrote them.
    tables : Tables
    mine : (k,) int64
        The places of those that Python wrote.
    own : mapping
        And these, as columns.
    """

    span: NDArray[np.int32]
    times: NDArray[np.float64]
    tables: Tables
    mine: NDArray[np.int64]
    own: Columns

    @classmethod
    def of(cls, belt: Belt, many: int, mine: Sequence[int], own: Columns) -> Written:
        """Take the first spans of a belt."""
        span, times = (belt.arrays[name][:many] for name in ("span", "times"))
        return cls(span, times, Tables.of(belt), np.array(mine, dtype=np.int64), own)

    def __len__(self) -> int:
        return len(self.span)

    def only(self, rows: NDArray[np.int64]) -> Written:
        """Return some of the spans, in this order."""
        place = np.searchsorted(self.mine, rows)
        place[place == len(self.mine)] = 0
        here = self.mine[place] == rows if len(self.mine) else np.zeros(len(rows), dtype=bool)
        own = {name: column[place[here]] for name, column in self.own.items()}
        return Written(self.span[rows], self.times[rows], self.tables, np.flatnonzero(here), own)

    def column(self, name: str) -> NDArray[Any] | Words:
        """Return a column of all spans; of words, as numbers."""
        made, own = self._of_belt(name), self.own[name]
        if isinstance(made, Words):
            known = {word: number for number, word in enumerate(made.words)}
            made.numbers[self.mine] = [known.setdefault(word, len(known)) for word in own.tolist()]
            return Words(tuple(known), made.numbers)
        made[self.mine] = own
        return made

    def _of_belt(self, name: str) -> NDArray[Any] | Words:
        if name in _TIMES:
            return self.times[:, _TIMES[name]].copy()
        if name == "why":
            return self.span[:, at.S_WHY].astype(np.int64)
        if name in _FACTS:
            return self._chosen(self.tables.facts[:, _FACTS.index(name)], 0.0, kernels=True)
        if name in self.tables.amounts:
            return self._chosen(self.tables.amounts[name], 0, kernels=False)
        if name in ("step", "micro_batch", "layer"):
            of_text = [getattr(place, name) for place, _ in self.tables.texts]
            return np.array(of_text, dtype=np.int64)[self.span[:, at.S_TEXT]]
        if name in ("rank", "machine"):
            return self._device(name)
        return self._words(name)

    def _kernel(self) -> NDArray[np.bool_]:
        kernel: NDArray[np.bool_] = self.span[:, at.S_KIND] == at.KERNEL
        return kernel

    def _chosen(self, table: NDArray[Any], other: float, *, kernels: bool) -> NDArray[Any]:
        """Look up what is told of kernels, or of flows, and `other` of the rest."""
        chosen = self._kernel() == kernels
        return np.where(chosen, table[np.where(chosen, self.span[:, at.S_WHERE], 0)], other)

    def _device(self, name: str) -> NDArray[np.int64]:
        rank = self.span[:, at.S_RANK].astype(np.int64)
        if name == "rank":
            return np.maximum(rank, -1)
        return np.where(rank >= 0, self.tables.machine[np.maximum(rank, 0)], -1 - rank)

    def _words(self, name: str) -> Words:
        if name == "label":
            return self._labels()
        if name == "resource":
            links = self.tables.links
            numbers = np.where(self._kernel(), len(links), self.span[:, at.S_LINK])
            return _numbered([*links, "gpu", ""], numbers)
        if name in ("stream", "kind"):
            both = ["copy", "compute"] if name == "stream" else ["transfer", "compute"]
            return _numbered(both, self._kernel().astype(np.int8))
        places = [getattr(place, name) for place, _ in self.tables.texts]
        return _numbered(places, self.span[:, at.S_TEXT])

    def _labels(self) -> Words:
        """Write out each text with each of its experts once."""
        most = int(self.span[:, at.S_EXPERT].max(initial=0)) + 1
        pair = self.span[:, at.S_TEXT] * most + self.span[:, at.S_EXPERT]
        patterns = [pattern for _, pattern in self.tables.texts]
        there = np.zeros(len(patterns) * most, dtype=bool)
        there[pair] = True
        several = np.flatnonzero(there)
        words = [patterns[one // most].format(one % most) for one in several.tolist()]
        return _numbered(words, (np.cumsum(there, dtype=np.int32) - 1)[pair])


def _numbered(words: Sequence[str], numbers: NDArray[Any]) -> Words:
    """Return the words of those numbers; what is written alike is one word."""
    once = Words.of(words)
    return Words(once.words, once.numbers[numbers])
