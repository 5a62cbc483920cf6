"""Finds traces of routing, joins several, and picks iterations."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from janus_sim.errors import InputError, Mistake
from janus_sim.traces.arrays import read_csv, read_npz
from janus_sim.traces.chosen import Chosen, whole
from janus_sim.traces.columns import RefusedError
from janus_sim.traces.held import RoutingTrace
from janus_sim.traces.recorded import Recorded
from janus_sim.traces.trace import open_trace

LARGEST_FILE = 256 * 2**20  #: bytes of a file that is read at all


def read_traces(
    paths: Sequence[str | Path],
    iterations: Sequence[int] | None = None,
    spread: int | None = None,
    beside: Path | None = None,
    where: str = "",
) -> Chosen:
    """Return the steps of all files, chosen as `RoutingTrace.load` describes; a .parquet is read lazily.

    Raises
    ------
    InputError
        With the mistakes of all files.
    """
    parts: list[Recorded] = []
    mistakes: list[Mistake] = []
    for path in paths:
        try:
            parts.append(_read(find_trace(path, beside)))
        except RefusedError as refused:
            told = (
                Mistake(f"{where}.trace", f'"{path}": {refused}')
                if where
                else Mistake(f"{path}:", str(refused))
            )
            mistakes.append(told)
        except InputError as error:
            mistakes.extend(error.mistakes)
    if not mistakes:
        try:
            return _choose(_join(parts), iterations, spread)
        except RefusedError as refused:
            mistakes.append(Mistake(where or f"{paths[0]}:", str(refused)))
    raise InputError(mistakes)


def find_trace(path: str | Path, beside: Path | None = None) -> Path:
    """Return where a trace stands: as written, beside a file's folder, or under $JANUS_SIM_DATA.

    Raises
    ------
    RefusedError
        If it is in none of these places.
    """
    root = os.environ.get("JANUS_SIM_DATA")
    folders = [folder for folder in (beside, Path(), Path(root) if root else None) if folder is not None]
    for folder in folders:
        if (folder / path).is_file():
            return folder / path
    hint = "under $JANUS_SIM_DATA" if root else "and $JANUS_SIM_DATA, the root of shared data, is not set"
    raise RefusedError(f"no such file, neither beside the experiment nor in the working directory {hint}")


def _read(path: Path) -> Recorded:
    """Open one file, whatever is in it."""
    readers = {".npz": read_npz, ".csv": read_csv}
    if path.suffix.lower() == ".parquet":
        return open_trace(path)
    if path.suffix.lower() not in readers:
        found = f'files ending in "{path.suffix}" are not read'
        raise RefusedError(f"{found}; write .parquet, .npz or .csv, or import it: janus-sim trace import")
    if path.stat().st_size > LARGEST_FILE:
        raise RefusedError(f"the file has {path.stat().st_size} bytes; a trace has at most {LARGEST_FILE}")
    try:
        part = readers[path.suffix.lower()](path)
    except OSError as error:
        raise RefusedError(f"cannot be read: {error.strerror or error}") from None
    return RoutingTrace(part.layers, tuple(part.iterations.tolist()), path.name)


def _join(parts: Sequence[Recorded]) -> Chosen:
    """Join files in the order of their iterations."""
    shapes = [(part.micro_batches, part.ranks, part.experts) for part in parts]
    if any(shape != shapes[0] for shape in shapes):
        raise RefusedError(f"the files do not hold the same layers (micro-batches, ranks, experts): {shapes}")
    numbers = [number for part in parts for number in part.info.steps]
    if len(set(numbers)) != len(numbers):
        raise RefusedError("two files hold the same iteration")
    return whole(parts)


def _choose(trace: Chosen, iterations: Sequence[int] | None, spread: int | None) -> Chosen:
    """Pick the iterations wanted, in the order wanted."""
    known = list(trace.info.steps)
    if iterations is not None and spread is not None:
        raise RefusedError("iterations and spread exclude each other; write one")
    if spread is not None:
        if not 1 <= spread <= len(known):
            raise RefusedError(
                f"spread {spread}: the trace has {len(known)} iterations; write 1 to {len(known)}"
            )
        return trace.spread(spread)
    wanted = known if iterations is None else list(iterations)
    place = {number: index for index, number in enumerate(known)}
    missing = [number for number in wanted if number not in place]
    if missing or not wanted:
        near = min(known, key=lambda number: abs(number - (missing or [0])[0]))
        has = f"the trace has {len(known)} from {known[0]} to {known[-1]}, {near} among them"
        raise RefusedError(f"no iteration {', '.join(map(str, missing))}; {has}")
    return Chosen(trace.parts, tuple(trace.picks[place[number]] for number in wanted))
