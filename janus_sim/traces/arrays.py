"""Counts out of .npz and .csv files that nobody has vouched for."""

from __future__ import annotations

import math
import re
import tokenize
import zipfile
import zlib
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from janus_sim.traces.columns import RefusedError, read_columns

LARGEST_TRACE = 2**30  #: bytes of the counts a file may hold
COLUMNS = ("step", "micro_batch", "layer", "rank", "expert", "count")
FORMS = (
    "write counts[step, micro_batch, layer, rank, expert] as integers, "
    "or counts[iteration, rank, layer, expert] with iteration"
)
Whole = npt.NDArray[Any]  #: of whole numbers
Layers = tuple[Whole, ...]


class Part(NamedTuple):
    """One file: layers (iteration, micro_batch, rank, expert), and the iterations' numbers."""

    layers: Layers
    iterations: npt.NDArray[np.int64]


def read_npz(path: Path) -> Part:
    """Read an .npz.

    Raises
    ------
    RefusedError
        If it holds no trace, or too much.
    """
    return _part(read_arrays(path, r"counts(_\d{1,3})?|iteration"))


def read_arrays(path: Path, names: str) -> dict[str, Whole]:
    """Return the arrays of an .npz whose names match a pattern, of whole numbers; others are not read.

    Raises
    ------
    RefusedError
        If the file is damaged, or they are no whole numbers or too many.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            wanted = [one for one in archive.infolist() if re.fullmatch(rf"({names})\.npy", one.filename)]
            if sum(one.file_size for one in wanted) > LARGEST_TRACE:
                raise RefusedError(f"holds more than {LARGEST_TRACE} bytes; a trace has at most that")
            return {one.filename.removesuffix(".npy"): _member(archive, one) for one in wanted}
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, NotImplementedError, KeyError):
        raise RefusedError("is not a readable .npz archive") from None


def _member(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Whole:
    with archive.open(info) as stream:
        return read_array(stream, info.filename, info.file_size)


def read_array(stream: IO[bytes], name: str, length: int) -> Whole:
    """Read an .npy of whole numbers; its header is believed only as far as its true length goes.

    Raises
    ------
    RefusedError
        If it is damaged, too large, or holds anything else: nothing is unpickled.
    """
    try:
        old = np.lib.format.read_magic(stream) == (1, 0)
        header = np.lib.format.read_array_header_1_0 if old else np.lib.format.read_array_header_2_0
        shape, fortran, dtype = header(stream)
    except (ValueError, SyntaxError, TypeError, tokenize.TokenError, UnicodeError, RecursionError):
        raise RefusedError(f"{name} does not begin as a numpy array") from None
    if dtype.kind not in "iu":
        raise RefusedError(f"{name} holds {dtype}; write whole numbers")
    cells = math.prod(shape)
    size = cells * dtype.itemsize
    if min(shape, default=1) < 1 or size > length or cells * 8 > LARGEST_TRACE:
        raise RefusedError(f"{name} of shape {shape} does not fit in its {length} bytes")
    data = stream.read(size)
    if len(data) < size:
        raise RefusedError(f"{name} ends too early")
    return np.frombuffer(data, dtype=dtype).reshape(shape, order="F" if fortran else "C")


def _part(arrays: dict[str, npt.NDArray[Any]]) -> Part:
    """Bring the arrays of an .npz into one form."""
    numbered = sorted((name for name in arrays if name.startswith("counts_")), key=lambda name: int(name[7:]))
    if numbered:
        if numbered != [f"counts_{index}" for index in range(len(numbered))]:
            raise RefusedError(
                f"holds {', '.join(numbered)}; number the layers counts_0, counts_1, ... without a gap"
            )
        layers = tuple(arrays[name] for name in numbered)
    elif "counts" not in arrays:
        raise RefusedError(f"holds no counts; {FORMS}")
    else:
        layers = _layers(arrays["counts"], "iteration" in arrays)
    if any(layer.ndim != 4 or layer.shape[:3] != layers[0].shape[:3] for layer in layers):
        raise RefusedError(
            "counts_0, counts_1, ... are each (step, micro_batch, rank, expert) and differ in experts only"
        )
    iterations = np.asarray(arrays.get("iteration", np.arange(len(layers[0]))))
    if iterations.shape != layers[0].shape[:1]:
        raise RefusedError(
            f"iteration has shape {iterations.shape}; write one number for each of {len(layers[0])} steps"
        )
    if int(iterations.min()) < 0 or int(iterations.max()) > 2**62:
        raise RefusedError(f"iteration goes from {iterations.min()} to {iterations.max()}; write 0 to 2^62")
    return _checked(Part(layers, iterations.astype(np.int64)))


def _layers(counts: npt.NDArray[Any], numbered: bool) -> Layers:
    if counts.ndim == 4 and numbered:
        counts = counts.transpose(0, 2, 1, 3)[:, None]
    if counts.ndim != 5:
        raise RefusedError(f"counts has {counts.ndim} axes; {FORMS}")
    return tuple(counts[:, :, layer] for layer in range(counts.shape[2]))


def _checked(part: Part) -> Part:
    for index, layer in enumerate(part.layers):
        if int(layer.min()) < 0 or int(layer.max()) > 2**40:
            raise RefusedError(f"layer {index} holds a count below 0 or above 2^40")
    if len(np.unique(part.iterations)) != len(part.iterations):
        raise RefusedError("numbers an iteration twice")
    return part


def read_csv(path: Path) -> Part:
    """Read a .csv.

    Raises
    ------
    RefusedError
        If it holds no trace, or too much.
    """
    table = read_columns(path, dict.fromkeys(COLUMNS, int))
    if not len(table["line"]):
        raise RefusedError("has no rows")
    for name in ("micro_batch", "rank"):
        known = np.unique(table[name])
        if known[-1] >= len(known):
            there = ", ".join(map(str, known[:8].tolist()))
            missing = int(np.argmax(known != np.arange(len(known))))
            raise RefusedError(f"{name}: there are {there}, but no {missing}; all must be there from 0 on")
    return _checked(_tabulate(table))


def _tabulate(column: dict[str, npt.NDArray[np.int64]]) -> Part:
    """Put the rows of a .csv into arrays; what is not written is 0."""
    iterations, step = np.unique(column["step"], return_inverse=True)
    extent = {name: int(column[name].max()) + 1 for name in COLUMNS[1:5]}
    if (
        len(iterations) * 8 * extent["micro_batch"] * extent["layer"] * extent["rank"] * extent["expert"]
        > LARGEST_TRACE
    ):
        most = ", ".join(f"{name} to {many - 1}" for name, many in extent.items())
        raise RefusedError(f"has {most}: more cells than a trace may have; count from 0")
    layers = []
    for layer in range(extent["layer"]):
        chosen = column["layer"] == layer
        if not chosen.any():
            raise RefusedError(f"has no rows of layer {layer}; count the MoE layers from 0 without a gap")
        where = [values[chosen] for values in (step, column["micro_batch"], column["rank"], column["expert"])]
        shape = (len(iterations), extent["micro_batch"], extent["rank"], int(where[3].max()) + 1)
        cells = np.ravel_multi_index(where, shape)
        if len(np.unique(cells)) != len(cells):
            raise RefusedError(f"writes a cell of layer {layer} twice")
        counts = np.zeros(shape, dtype=np.int64)
        counts.flat[cells] = column["count"][chosen]
        layers.append(counts)
    return Part(tuple(layers), iterations)
