"""Counts out of .npz and .csv files that nobody has vouched for."""

from __future__ import annotations

import math
import re
import tokenize
import zipfile
import zlib
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from janus_sim.traces.columns import RefusedError, read_columns

LARGEST_TRACE = 2**30  #: bytes of the counts a file may hold
COLUMNS = ("step", "micro_batch", "layer", "rank", "expert", "count")
FORMS = (
    "write counts[step, micro_batch, layer, rank, expert] as integers, "
    "or counts[iteration, rank, layer, expert] with iteration"
)
Layers = tuple[npt.NDArray[Any], ...]


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
    try:
        with zipfile.ZipFile(path) as archive:
            arrays = {info.filename.removesuffix(".npy"): _member(archive, info) for info in _wanted(archive)}
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError, KeyError):
        raise RefusedError("is not a readable .npz archive") from None
    return _part(arrays)


def _wanted(archive: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    """List the members that matter; together they are no larger than a trace may be."""
    name = re.compile(r"(counts(_\d{1,3})?|iteration)\.npy")
    wanted = [info for info in archive.infolist() if name.fullmatch(info.filename)]
    if sum(info.file_size for info in wanted) > LARGEST_TRACE:
        raise RefusedError(f"holds more than {LARGEST_TRACE} bytes; a trace has at most that")
    return wanted


def _member(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> npt.NDArray[Any]:
    """Read one array; its header is believed only as far as the member's true size goes."""
    with archive.open(info) as stream:
        try:
            old = np.lib.format.read_magic(stream) == (1, 0)
            header = np.lib.format.read_array_header_1_0 if old else np.lib.format.read_array_header_2_0
            shape, fortran, dtype = header(stream)
        except (ValueError, SyntaxError, TypeError, tokenize.TokenError, UnicodeError, RecursionError):
            raise RefusedError(f"{info.filename} does not begin as a numpy array") from None
        if dtype.kind not in "iu":
            raise RefusedError(f"{info.filename} holds {dtype}; {FORMS}")
        cells = math.prod(shape)
        size = cells * dtype.itemsize
        if min(shape, default=1) < 1 or size > info.file_size or cells * 8 > LARGEST_TRACE:
            raise RefusedError(f"{info.filename} of shape {shape} does not fit in its {info.file_size} bytes")
        data = stream.read(size)
    if len(data) < size:
        raise RefusedError(f"{info.filename} ends too early")
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
        raise RefusedError(f"numbers go up to {extent}: more cells than a trace may have; count from 0")
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
