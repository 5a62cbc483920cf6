"""Lines of Megatron-Core's router traces: many at a time, and one by one where something is wrong.

Both ways give the same records. A chunk with a record that is not sound goes the slow way, which names line
and field.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.json as pa_json

from janus_sim.traces.formats.base import parsed, refuse

CHUNK = 2**23  #: bytes that are read at a time, to the end of a line
LONGEST = 2**27  #: bytes of a line that is read at all
MOST = 2**31  #: what no number of a record reaches
FIELDS = ("step", "layer", "rank", "num_tokens", "topk")
_SCHEMA = pa.schema(
    [
        *((name, pa.int64()) for name in FIELDS),
        ("block", pa.string()),
        ("mtp_idx", pa.int64()),
        ("logit_shape", pa.list_(pa.int64())),
    ]
)
_INDICES = re.compile(rb'"top_indices": ?(\[\[[\d, \[\]]*\]\]|\[\])')
Key = tuple[str, int, int]  #: block, index of multi-token prediction, layer
Ints = npt.NDArray[np.int64]


class Records(NamedTuple):
    """Consecutive records of one file, as columns; `ends` says where the choices of each end in `values`."""

    path: Path
    line: Ints
    step: Ints
    keys: list[Key]
    tokens: Ints
    top_k: Ints
    logits: Ints
    ends: Ints
    values: Ints

    def choices(self, place: int) -> Ints:
        """Return the choices (tokens, top_k) of one record."""
        shape = (int(self.tokens[place]), int(self.top_k[place]))
        end = int(self.ends[place])
        return self.values[end - shape[0] * shape[1] : end].reshape(shape)

    def part(self, first: int, last: int) -> Records:
        """Return the records from `first` up to `last`."""
        lead = int(self.ends[first - 1]) if first else 0
        values = self.values[lead : int(self.ends[last - 1]) if last else 0]
        one = slice(first, last)
        numbers = (self.tokens[one], self.top_k[one], self.logits[one], self.ends[one] - lead)
        return Records(self.path, self.line[one], self.step[one], self.keys[one], *numbers, values)

    def then(self, more: Records) -> Records:
        """Return these and those that follow."""
        ends = np.concatenate([self.ends, more.ends + len(self.values)])
        line, step, tokens, top_k, logits, values = (
            np.concatenate([getattr(self, name), getattr(more, name)])
            for name in ("line", "step", "tokens", "top_k", "logits", "values")
        )
        return Records(self.path, line, step, self.keys + more.keys, tokens, top_k, logits, ends, values)


def records(path: Path, rank: int) -> Iterator[Records]:
    """Yield the records of the file of a rank, a chunk at a time.

    Raises
    ------
    InputError
        That names line and field.
    """
    line = 1
    for chunk in _chunks(path):
        found = _fast(path, chunk, line, rank) or _slow(path, chunk, line, rank)
        if len(found.line):
            yield found
        line += chunk.count(b"\n")


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as stream:
        while chunk := stream.read(CHUNK):
            rest = stream.readline(LONGEST)
            if len(rest) == LONGEST:
                refuse(path, "", f"has a line of more than {LONGEST} bytes")
            yield chunk + rest


def _fast(path: Path, chunk: bytes, line: int, rank: int) -> Records | None:
    """Read a chunk as a whole: choices as one text of numbers, the rest by Arrow; None if it is not sound."""
    many = chunk.count(b"\n") + (not chunk.endswith(b"\n"))
    pieces = _INDICES.split(chunk)
    if len(pieces) != 2 * many + 1:
        return None
    table = _heads(b'"top_indices":0'.join(pieces[::2]), many)
    if table is None:
        return None
    numbers = [table.column(one).fill_null(0).to_numpy() for one in (*FIELDS, "mtp_idx")]
    step, layer, ranks, tokens, top_k, index = numbers
    if not 0 <= np.min(numbers) <= np.max(numbers) < MOST or (ranks != rank).any() or not top_k.all():
        return None
    values = _values(pieces[1::2], list(zip(tokens.tolist(), top_k.tolist(), strict=True)))
    ends = np.cumsum(tokens * top_k)
    if values is None or len(values) != ends[-1]:
        return None
    blocks = table.column("block").fill_null("decoder").to_pylist()
    keys = list(zip(blocks, index.tolist(), layer.tolist(), strict=True))
    logits = _last(table.column("logit_shape"))
    return Records(path, np.arange(line, line + many), step, keys, tokens, top_k, logits, ends, values)


def _heads(text: bytes, many: int) -> pa.Table | None:
    """Return what lines say beside the choices; None where one of them lacks something."""
    try:
        table = pa_json.read_json(
            pa.BufferReader(text),
            read_options=pa_json.ReadOptions(use_threads=False, block_size=len(text) + 1),
            parse_options=pa_json.ParseOptions(explicit_schema=_SCHEMA, unexpected_field_behavior="ignore"),
        )
    except (pa.ArrowException, OSError):
        return None
    whole = table.num_rows == many and not any(table.column(one).null_count for one in FIELDS)
    return table if whole else None


def _values(texts: Sequence[bytes], shapes: Sequence[tuple[int, int]]) -> Ints | None:
    """Return the numbers of many [[...], ...]; None where one has not the brackets of its shape."""
    if any(len(text) < tokens * k for text, (tokens, k) in zip(texts, shapes, strict=True)):
        return None
    due = {(tokens, k): _brackets(tokens, k) for tokens, k in set(shapes)}
    for text, shape in zip(texts, shapes, strict=True):
        if text.translate(None, b"0123456789 ") != due[shape]:
            return None
    text = b",".join(text for text in texts if text != b"[]").translate(None, b"[]")
    with warnings.catch_warnings(action="error"):
        try:
            return np.fromstring(text, dtype=np.int64, sep=",")
        except (DeprecationWarning, ValueError):  # a number is missing, or is none
            return None


def _brackets(tokens: int, k: int) -> bytes:
    """Return [[,],[,]] for two tokens of two choices."""
    return b"[" + b",".join([b"[" + b"," * (k - 1) + b"]"] * tokens) + b"]"


def _last(lists: pa.ChunkedArray) -> Ints:
    """Return the last number of each list, 0 where there is none."""
    if lists.null_count == len(lists):
        return np.zeros(len(lists), dtype=np.int64)
    return np.array([(one or [0])[-1] or 0 for one in lists.to_pylist()], dtype=np.int64)


def _slow(path: Path, chunk: bytes, line: int, rank: int) -> Records:
    """Read a chunk line by line, and refuse the first that is not sound."""
    texts = chunk.decode("utf-8", errors="replace").split("\n")
    lines = [number for number, text in enumerate(texts, line) if text.strip()]
    found = [_record(path, number, texts[number - line], rank) for number in lines]
    tables = [table for *_, table in found]
    shapes = np.array([table.shape for table in tables], dtype=np.int64).reshape(-1, 2)
    step, logits = (np.array([one[place] for one in found], dtype=np.int64) for place in (0, 2))
    values = np.concatenate([np.empty(0, np.int64), *(table.ravel() for table in tables)])
    keys = [key for _, key, _, _ in found]
    at, ends = np.array(lines, dtype=np.int64), np.cumsum(shapes.prod(axis=1))
    return Records(path, at, step, keys, shapes[:, 0], shapes[:, 1], logits, ends, values)


def _record(path: Path, line: int, text: str, rank: int) -> tuple[int, Key, int, Ints]:
    """Read one line: step, key, width of the logits, choices."""
    value = parsed(path, f"line {line}", text)
    if not isinstance(value, dict):
        refuse(path, f"line {line}", "is not a mapping")
    index = value.get("mtp_idx")
    named = {name: value.get(name, "missing") for name in FIELDS} | {"mtp_idx": 0 if index is None else index}
    for name, number in named.items():
        least = int(name == "topk")
        if type(number) is not int or not least <= number < MOST:
            refuse(path, f"line {line}, {name}", f"is {number!r:.80}; write a number from {least} up")
    if value["rank"] != rank:
        refuse(path, f"line {line}, rank", f"is {value['rank']}; the file is rank {rank}'s")
    key = (str(value.get("block") or "decoder"), named["mtp_idx"], value["layer"])
    return value["step"], key, _width(path, line, value.get("logit_shape")), _table(path, line, value)


def _width(path: Path, line: int, shape: object) -> int:
    """Return the last of logit_shape: the experts; 0 where it was not captured."""
    if shape is None or shape == []:
        return 0
    wide = shape[-1] if isinstance(shape, Sequence) else shape
    if type(wide) is not int or not 0 <= wide < MOST:
        refuse(path, f"line {line}, logit_shape", f"is {shape!r}; write [tokens, experts]")
    return wide


def _table(path: Path, line: int, value: dict[str, Any]) -> Ints:
    """Return top_indices (num_tokens, topk)."""
    shape = (value["num_tokens"], value["topk"])
    written = value.get("top_indices")
    try:
        table = np.array(written, dtype=object if written is None else None)
    except (ValueError, OverflowError):
        table = np.empty(0)
    if written == [] and shape[0] == 0:
        return np.empty(shape, dtype=np.int64)
    if table.shape != shape or table.dtype.kind != "i":
        found = f"is {table.dtype} of shape {table.shape}"
        refuse(path, f"line {line}, top_indices", f"{found}; num_tokens x topk is {shape}")
    return table
