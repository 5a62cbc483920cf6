"""Reads traces of routing from .npz and .csv files that nobody has vouched for."""

from __future__ import annotations

import os
import re
import tokenize
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from janus_sim.errors import InputError, Mistake

LARGEST_FILE = 256 * 2**20  #: bytes of a file that is read at all
LARGEST_TRACE = 2**30  #: bytes of the counts it may hold
COLUMNS = ("step", "micro_batch", "layer", "rank", "expert", "count")
FORMS = (
    "write counts[step, micro_batch, layer, rank, expert] as integers, "
    "or counts[iteration, rank, layer, expert] with iteration"
)
Layers = tuple[npt.NDArray[Any], ...]


class Refused(Exception):
    """Why a file is not a trace, in words; becomes an InputError with the file's name."""


class Part(NamedTuple):
    """One file: layers (iteration, micro_batch, rank, expert), and the iterations' numbers."""

    layers: Layers
    iterations: npt.NDArray[np.int64]


def read_traces(
    paths: Sequence[str | Path],
    iterations: Sequence[int] | None,
    spread: int | None,
    beside: Path | None,
    where: str,
) -> tuple[Layers, tuple[int, ...]]:
    """Return the layers and iteration numbers of all files, chosen as `RoutingTrace.load` describes.

    Raises
    ------
    InputError
        With the mistakes of all files.
    """
    parts, mistakes = [], []
    for path in paths:
        try:
            parts.append(_read(find_trace(path, beside)))
        except Refused as refused:
            mistakes.append(Mistake(f"{where}.trace", f'"{path}": {refused}'))
    if not mistakes:
        try:
            return _choose(_join(parts), iterations, spread)
        except Refused as refused:
            mistakes.append(Mistake(where, str(refused)))
    raise InputError(mistakes)


def find_trace(path: str | Path, beside: Path | None = None) -> Path:
    """Return where a trace stands: as written, beside a file's folder, or under $JANUS_SIM_DATA.

    Raises
    ------
    Refused
        If it is in none of these places.
    """
    root = os.environ.get("JANUS_SIM_DATA")
    folders = [folder for folder in (beside, Path(), Path(root) if root else None) if folder is not None]
    for folder in folders:
        if (folder / path).is_file():
            return folder / path
    hint = "under $JANUS_SIM_DATA" if root else "and $JANUS_SIM_DATA, the root of shared data, is not set"
    raise Refused(f"no such file, neither beside the experiment nor in the working directory {hint}")


def _read(path: Path) -> Part:
    """Read one file, whatever is in it: a Part, or Refused."""
    if path.stat().st_size > LARGEST_FILE:
        raise Refused(f"the file has {path.stat().st_size} bytes; a trace has at most {LARGEST_FILE}")
    readers = {".npz": _read_npz, ".csv": _read_csv}
    if path.suffix.lower() not in readers:
        raise Refused(f'files ending in "{path.suffix}" are not read; write .npz or .csv')
    try:
        return readers[path.suffix.lower()](path)
    except OSError as error:
        raise Refused(f"cannot be read: {error.strerror or error}") from None


def _read_npz(path: Path) -> Part:
    try:
        with zipfile.ZipFile(path) as archive:
            arrays = {
                info.filename.removesuffix(".npy"): _member(archive, info)
                for info in archive.infolist()
                if re.fullmatch(r"(counts(_\d{1,3})?|iteration)\.npy", info.filename)
            }
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError, KeyError):
        raise Refused("is not a readable .npz archive") from None
    return _part(arrays)


def _member(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> npt.NDArray[Any]:
    """Read one array; its header is believed only as far as the member's true size goes."""
    if info.file_size > LARGEST_TRACE:
        raise Refused(f"{info.filename} holds {info.file_size} bytes; a trace has at most {LARGEST_TRACE}")
    with archive.open(info) as stream:
        try:
            version = np.lib.format.read_magic(stream)
            read = (
                np.lib.format.read_array_header_1_0
                if version == (1, 0)
                else np.lib.format.read_array_header_2_0
            )
            shape, fortran, dtype = read(stream)
        except (ValueError, SyntaxError, TypeError, tokenize.TokenError, UnicodeError, RecursionError):
            raise Refused(f"{info.filename} does not begin as a numpy array") from None
        if dtype.kind not in "iu":
            raise Refused(f"{info.filename} holds {dtype}; {FORMS}")
        size = dtype.itemsize
        for axis in shape:
            size *= int(axis)
        if min(shape, default=1) < 1 or size > info.file_size:
            raise Refused(f"{info.filename} of shape {shape} does not fit in its {info.file_size} bytes")
        data = stream.read(size)
    if len(data) < size:
        raise Refused(f"{info.filename} ends too early")
    return np.frombuffer(data, dtype=dtype).reshape(shape, order="F" if fortran else "C")


def _part(arrays: dict[str, npt.NDArray[Any]]) -> Part:
    """Bring the arrays of an .npz into one form."""
    numbered = sorted((name for name in arrays if name.startswith("counts_")), key=lambda name: int(name[7:]))
    if numbered:
        if numbered != [f"counts_{index}" for index in range(len(numbered))]:
            raise Refused(
                f"holds {', '.join(numbered)}; number the layers counts_0, counts_1, ... without a gap"
            )
        layers = tuple(arrays[name] for name in numbered)
    elif "counts" not in arrays:
        raise Refused(f"holds no counts; {FORMS}")
    else:
        layers = _layers(arrays["counts"], "iteration" in arrays)
    if any(layer.ndim != 4 or layer.shape[:3] != layers[0].shape[:3] for layer in layers):
        raise Refused(
            "counts_0, counts_1, ... are each (step, micro_batch, rank, expert) and differ in experts only"
        )
    iterations = np.asarray(arrays.get("iteration", np.arange(len(layers[0]))))
    if iterations.shape != layers[0].shape[:1]:
        raise Refused(
            f"iteration has shape {iterations.shape}; write one number for each of {len(layers[0])} steps"
        )
    return _checked(Part(layers, iterations.astype(np.int64)))


def _layers(counts: npt.NDArray[Any], numbered: bool) -> Layers:
    if counts.ndim == 4 and numbered:
        counts = counts.transpose(0, 2, 1, 3)[:, None]
    if counts.ndim != 5:
        raise Refused(f"counts has {counts.ndim} axes; {FORMS}")
    return tuple(counts[:, :, layer] for layer in range(counts.shape[2]))


def _checked(part: Part) -> Part:
    for index, layer in enumerate(part.layers):
        if int(layer.min()) < 0 or int(layer.max()) > 2**40:
            raise Refused(f"layer {index} holds a count below 0 or above 2^40")
    if len(np.unique(part.iterations)) != len(part.iterations):
        raise Refused("numbers an iteration twice")
    return part


def _read_csv(path: Path) -> Part:
    try:
        with path.open(encoding="utf-8") as stream:
            header = [name.strip() for name in stream.readline(1000).split(",")]
            if sorted(header) != sorted(COLUMNS):
                raise Refused(f"has the columns {', '.join(header)[:100]}; write {', '.join(COLUMNS)}")
            table = np.loadtxt(stream, delimiter=",", dtype=np.int64, ndmin=2, comments=None)
    except UnicodeDecodeError:
        raise Refused("is not text") from None
    except (ValueError, OverflowError) as error:
        raise Refused(f"a cell is not a whole number ({error})") from None
    if not len(table):
        raise Refused("has no rows")
    if len(header) != table.shape[1]:
        raise Refused(f"has {table.shape[1]} cells in a row; write {len(COLUMNS)}")
    return _checked(_tabulate({name: table[:, header.index(name)] for name in COLUMNS}))


def _tabulate(column: dict[str, npt.NDArray[np.int64]]) -> Part:
    """Put the rows of a .csv into arrays; what is not written is 0."""
    for name in COLUMNS:
        if column[name].min() < 0:
            raise Refused(f"column {name} holds {column[name].min()}; nothing is below 0")
    iterations, step = np.unique(column["step"], return_inverse=True)
    extent = {name: int(column[name].max()) + 1 for name in COLUMNS[1:5]}
    if (
        len(iterations) * 8 * extent["micro_batch"] * extent["layer"] * extent["rank"] * extent["expert"]
        > LARGEST_TRACE
    ):
        raise Refused(f"numbers go up to {extent}: more cells than a trace may have; count from 0")
    layers = []
    for layer in range(extent["layer"]):
        chosen = column["layer"] == layer
        if not chosen.any():
            raise Refused(f"has no rows of layer {layer}; count the MoE layers from 0 without a gap")
        where = [values[chosen] for values in (step, column["micro_batch"], column["rank"], column["expert"])]
        shape = (len(iterations), extent["micro_batch"], extent["rank"], int(where[3].max()) + 1)
        cells = np.ravel_multi_index(where, shape)
        if len(np.unique(cells)) != len(cells):
            raise Refused(f"writes a cell of layer {layer} twice")
        counts = np.zeros(shape, dtype=np.int64)
        counts.flat[cells] = column["count"][chosen]
        layers.append(counts)
    return Part(tuple(layers), iterations)


def _join(parts: Sequence[Part]) -> Part:
    """Join files in the order of their iterations."""
    shapes = [tuple(layer.shape[1:] for layer in part.layers) for part in parts]
    if any(shape != shapes[0] for shape in shapes):
        raise Refused(f"the files do not hold the same layers (micro-batches, ranks, experts): {shapes}")
    iterations = np.concatenate([part.iterations for part in parts])
    if len(np.unique(iterations)) != len(iterations):
        raise Refused("two files hold the same iteration")
    order = np.argsort(iterations)
    layers = zip(*(part.layers for part in parts), strict=True)
    return Part(tuple(np.concatenate(layer)[order] for layer in layers), iterations[order])


def _choose(
    part: Part, iterations: Sequence[int] | None, spread: int | None
) -> tuple[Layers, tuple[int, ...]]:
    """Pick the iterations wanted, in the order wanted."""
    known = part.iterations.tolist()
    if iterations is not None and spread is not None:
        raise Refused("iterations and spread exclude each other; write one")
    if spread is not None:
        if not 1 <= spread <= len(known):
            raise Refused(f"spread {spread}: the trace has {len(known)} iterations; write 1 to {len(known)}")
        index = np.rint(np.linspace(0, len(known) - 1, spread)).astype(np.int64).tolist()
    else:
        wanted = known if iterations is None else list(iterations)
        missing = [number for number in wanted if number not in set(known)]
        if missing or not wanted:
            near = min(known, key=lambda number: abs(number - (missing or [0])[0]))
            raise Refused(
                f"no iteration {missing}; the trace has {len(known)} from {known[0]} to {known[-1]}, one is {near}"
            )
        index = [known.index(number) for number in wanted]
    return tuple(layer[index] for layer in part.layers), tuple(known[i] for i in index)
