"""Reading a log of nccl-tests: any version of it, and whatever stands between its lines."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final

from janus_sim.bench.measuring import KINDS, TYPES, Row
from janus_sim.errors import InputError, Mistake

LARGEST: Final = 16_000_000  #: bytes of a log, at most
SIZES: Final = 1_000  #: different sizes in it, at most: each is simulated
BUFFER: Final = 1 << 50  #: bytes of a buffer, at most

_COLUMNS: Final = ("size", "count", "type", "redop", "root", "time", "algbw", "busbw")
_OPERATIONS: Final = frozenset({"none", "sum", "prod", "max", "min", "avg", "mulsum"})
_RANK: Final = re.compile(r"#\s+Rank\s+(\d{1,7})\s")
_PROGRAM: Final = re.compile(r"Collective test starting: ([\w.-]{1,40})")
_RATIO: Final = 0.05  #: how far busbw over algbw may be from that of the collective


@dataclass(frozen=True, slots=True)
class Log:
    """What a log says.

    Attributes
    ----------
    rows : tuple of Row
        In the order of the log; several runs may stand in it.
    ranks : int
        How many there were, 0 where it does not say.
    program : str
        The test, "" where it does not say.
    """

    rows: tuple[Row, ...]
    ranks: int
    program: str

    def sizes(self) -> list[int]:
        """Return all sizes, ascending."""
        return sorted({row.size for row in self.rows})

    def time(self, size: int) -> float | None:
        """Return the median of the times of that size in seconds; None where it was not measured."""
        times = [row.time for row in self.rows if row.size == size]
        return median(times) if times else None


def read_log(path: Path, collective: str = "", world: int = 0) -> Log:
    """Read the out-of-place columns of a log of nccl-tests.

    Parameters
    ----------
    path : Path
    collective : str
        What it should be a log of; "" for anything.
    world : int
        Of how many GPUs; 0 for any number.

    Raises
    ------
    InputError
        If it is no such log, too large, or one of something else.
    """

    def refuse(message: str) -> InputError:
        return InputError(Mistake(f"{path}:", message))

    try:
        if not path.is_file():
            raise refuse("is no file" if path.exists() else "cannot be read: No such file or directory")
        if path.stat().st_size > LARGEST:
            raise refuse(f"is larger than {LARGEST} bytes; is it a log?")
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        raise refuse(f"cannot be read: {error.strerror}") from error
    log = _parse(lines)
    if not log.rows:
        raise refuse("holds no line of nccl-tests (size, count, type, redop, root, time, algbw, busbw)")
    if len(log.sizes()) > SIZES:
        raise refuse(f"holds {len(log.sizes())} sizes; at most {SIZES} are compared")
    if message := _other(log, collective, world):
        raise refuse(message)
    return log


def _parse(lines: Sequence[str]) -> Log:
    columns: tuple[str, ...] = _COLUMNS
    rows: list[Row] = []
    ranks, program = 0, ""
    for text in lines:
        if (found := _row(text, columns)) is not None:
            rows.append(found)
        elif "#" in text:
            if rank := _RANK.search(text):
                ranks = max(ranks, int(rank[1]) + 1)
            elif named := _PROGRAM.search(text):
                program = named[1]
            else:
                columns = _header(text) or columns
    return Log(tuple(rows), ranks, program)


def _header(text: str) -> tuple[str, ...]:
    """Return the columns that a header names, up to the first busbw; () if it is none."""
    words = text.rpartition("# ")[2].replace("cputime", "time").split()
    if not {"size", "count", "type", "time", "algbw", "busbw"} <= set(words):
        return ()
    return tuple(words[words.index("size") : words.index("busbw") + 1])


def _row(text: str, columns: Sequence[str]) -> Row | None:
    """Read one line; whatever a launcher wrote before it is skipped."""
    words = text.split()
    place = next((place for place, word in enumerate(words) if word in TYPES), 0)
    if place < 2:
        return None
    words = words[place - 2 :]
    if "redop" in columns and len(words) > 3 and words[3] not in _OPERATIONS:
        columns = [name for name in columns if name != "redop"]  # an old version wrote nothing for none
    cells = dict(zip(columns, words, strict=False))
    try:
        size, count = int(cells["size"]), int(cells["count"])
        time, algorithm, bus = (float(cells[name]) for name in ("time", "algbw", "busbw"))
    except (KeyError, ValueError):
        return None
    sound = 0 <= size <= BUFFER and 0 <= count <= BUFFER and time > 0
    if not (sound and all(map(math.isfinite, (time, algorithm, bus)))):
        return None
    return Row(size, count, cells["type"], time * 1e-6, algorithm * 1e9, bus * 1e9)


def _other(log: Log, collective: str, world: int) -> str:
    """Say what speaks against a log of this collective among so many GPUs; "" if nothing does."""
    if not collective or not world:
        return ""
    kind = KINDS[collective]
    if log.program and log.program != kind.program:
        return f"is a log of {log.program}, not of {kind.program}"
    if log.ranks and log.ranks != world:
        return f"has {log.ranks} ranks; the topology has {world} GPUs"
    ratios = [row.bus / row.algorithm for row in log.rows if row.algorithm >= 1e9]
    ratio, factor = median(ratios) if ratios else kind.factor(world), kind.factor(world)
    if abs(ratio - factor) > _RATIO * factor:
        return (
            f"has a busbw of {ratio:.3f} times algbw; of {collective} among {world} GPUs it is {factor:.3f}: "
            "is it another collective, or another number of GPUs?"
        )
    return ""
