"""What an importer is: which files it knows, and how it reads them; and how it refuses."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import numpy as np
import numpy.typing as npt

from janus_sim.errors import InputError, Mistake
from janus_sim.traces.arrays import read_arrays
from janus_sim.traces.columns import RefusedError
from janus_sim.traces.form import MOST_EXPERTS, Block, TraceInfo


@dataclass(frozen=True)
class Asked:
    """What the user says where files do not tell; 0 and empty: nothing.

    Parameters
    ----------
    top_k, experts : int
        Experts that a token chooses; experts of a layer.
    tokens, ranks : int
        Of a rank and micro-batch, and source ranks, where the files are one long stream of tokens.
    micro_batches : int
        At most so many of such a stream.
    select : mapping
        From columns to values, where a file holds several traces.
    """

    top_k: int = 0
    experts: int = 0
    tokens: int = 0
    ranks: int = 0
    micro_batches: int = 0
    select: Mapping[str, str] = field(default_factory=dict)


class Read(NamedTuple):
    """What an importer gives: what is told, and the blocks, one after the other."""

    info: TraceInfo
    blocks: Iterable[Block]


class Format(NamedTuple):
    """One format.

    `knows` looks at a file or a folder; `read` gets all of them.
    """

    knows: Callable[[Path], bool]
    read: Callable[[Sequence[Path], Asked], Read]
    what: str


def refuse(path: Path | str, place: str, message: str) -> NoReturn:
    """Raise an InputError that names the file, and the record and field in it.

    Raises
    ------
    InputError
        Always.
    """
    raise InputError(Mistake(f"{path}: {place}" if place else f"{path}:", message))


def gap(numbers: Iterable[int], path: Path | str, what: str) -> None:
    """Refuse numbers that do not go from 0 up without a gap.

    Raises
    ------
    InputError
        That names the first number missing.

    Examples
    --------
    >>> gap([1, 0], "x", "rank")
    >>> gap([0, 2], "x", "rank")
    Traceback (most recent call last):
        ...
    janus_sim.errors.InputError: x:
      rank  there are 0, 2, but no 1; all must be there from 0 on
    """
    known = sorted(set(numbers))
    for wanted, found in enumerate(known):
        if wanted != found:
            there = ", ".join(map(str, known[:8])) + (", ..." if len(known) > 8 else "")
            refuse(path, what, f"there are {there}, but no {wanted}; all must be there from 0 on")


def known_experts(path: Path, experts: int) -> None:
    """Refuse more experts of a layer than choices are kept for.

    Raises
    ------
    InputError
        That names the number.
    """
    if experts > MOST_EXPERTS:
        refuse(path, "experts", f"are {experts}; choices are kept of {MOST_EXPERTS} at most")


def in_range(
    path: Path, place: str, choices: npt.NDArray[Any], experts: int, first: int = 0
) -> npt.NDArray[np.int16]:
    """Return choices (tokens, ...) as they are kept; refuse an expert that is not there.

    Raises
    ------
    InputError
        That names the token, counted from `first`.
    """
    wild = (choices < 0) | (choices >= experts)
    if wild.any():
        at = tuple(np.argwhere(wild)[0].tolist())
        found = f"expert {choices[at]}; there are experts 0 to {experts - 1}"
        refuse(path, f"{place}, token {first + at[0]}".lstrip(", "), found)
    return choices.astype(np.int16)


def nothing_below_0(path: Path, place: str, counts: npt.NDArray[Any]) -> None:
    """Refuse an array with a number below 0.

    Raises
    ------
    InputError
        That names the first one.
    """
    if counts.min() < 0:
        found = tuple(np.argwhere(counts < 0)[0].tolist())
        refuse(path, f"{place}{list(found)}", f"is {counts[found]}; nothing is below 0")


def parsed(path: Path, place: str, text: str) -> Any:  # noqa: ANN401
    """Return what a text says as JSON.

    Raises
    ------
    InputError
        If it is not JSON.
    """
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        refuse(path, place, f"is not JSON ({error}); was the file cut off?")


def has_array(path: Path, name: str) -> bool:
    """Whether a path is an .npz that holds an array of this name; the array itself is not read."""
    if path.suffix != ".npz" or path.is_dir():
        return False
    try:
        with zipfile.ZipFile(path) as archive:
            return f"{name}.npy" in archive.namelist()
    except (zipfile.BadZipFile, OSError, NotImplementedError, ValueError):
        return False


def arrays(path: Path, names: Sequence[str]) -> dict[str, npt.NDArray[Any]]:
    """Return arrays of whole numbers of an .npz.

    Raises
    ------
    InputError
        If one is missing or cannot be read.
    """
    try:
        found = read_arrays(path, "|".join(names))
    except RefusedError as error:
        refuse(path, "", str(error))
    for name in names:
        if name not in found:
            refuse(path, name, "is missing")
    return found


def only(paths: Sequence[Path], what: str) -> Path:
    """Return the one path there is.

    Raises
    ------
    InputError
        If there are several.
    """
    if len(paths) > 1:
        refuse(paths[1], "", f"{what} are imported one by one")
    return paths[0]


def inside(paths: Sequence[Path], patterns: Sequence[str]) -> list[Path]:
    """Return the files: those named, and those in the folders named that match a pattern, by name."""
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            found += sorted({file for pattern in patterns for file in path.glob(pattern)})
        else:
            found.append(path)
    return found
