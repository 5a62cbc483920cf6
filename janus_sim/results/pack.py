"""One result as bytes, and back to the last bit: what the store keeps and what workers send home."""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from janus_sim.record import SPAN_COLUMNS, LinkRecord, Listed, Record, Spans, StepRecord, Words
from janus_sim.results.result import Result

_PLAIN = frozenset((str, int, float, bool, type(None)))
MAGIC = b"janus-sim result 1"
_LINK = ("name", "kind", "machine", "capacity", "crosses", "expert_bytes", "dense_bytes", "busy", "bin_width")


@dataclass(frozen=True)
class Head:
    """What is quickly read of a packed result.

    Attributes
    ----------
    version : str
        Of the model that computed it.
    figures : mapping
        The columns of the summary that do not name the row.
    detail : mapping or None
        Steps, layers, memory, links and facts, where the record was kept.
    """

    version: str
    figures: Mapping[str, Any]
    detail: Mapping[str, Any] | None


def pack(result: Result, version: str = "", *, detailed: bool = True) -> bytes:
    """Write a result as bytes, the same for the same result.

    Parameters
    ----------
    version : str
        Of the model.
    detailed : bool
        Keep the record (spans, links, layers, memory), or the figures of the summary alone.
    """
    from janus_sim.results.summary import figures_of

    record, blob = result.record, _Blob()
    head: dict[str, Any] = {"version": version, "figures": figures_of(result)}
    if detailed:
        head["detail"] = {
            "steps": [asdict(step) for step in record.steps],
            "layers": list(record.layers),
            "memory": list(record.memory),
            "facts": dict(record.facts),
            "links": [[getattr(link, name) for name in _LINK] for link in record.links],
            "series": [_series(link, blob) for link in record.links],
            "spans": {name: blob.add(record.spans[name]) for name in SPAN_COLUMNS},
        }  # fmt: skip
    text = json.dumps(head, default=plain)
    parts = [zlib.compress(part, 1) for part in (text.encode(), b"".join(blob.parts))]
    body = b"".join(parts)
    sums = [MAGIC, hashlib.sha256(body).hexdigest().encode(), *(str(len(part)).encode() for part in parts)]
    return b"\t".join(sums) + b"\n" + body


def read_head(data: bytes) -> Head:
    """Read the figures of a packed result.

    Raises
    ------
    ValueError
        When the bytes are no whole result: torn, or written by something else.
    """
    head, _ = _open(data)
    return Head(head["version"], head["figures"], head.get("detail"))


def unpack(data: bytes, scenario: Mapping[str, Any]) -> Result:
    """Read a packed result with its record.

    Parameters
    ----------
    scenario : mapping
        What was run, as in `Result`.

    Raises
    ------
    ValueError
        When the bytes are no whole result.
    KeyError
        When the record was not kept.
    """
    head, packed = _open(data)
    if "detail" not in head:
        raise KeyError("detail")
    try:
        return _read(head["detail"], zlib.decompress(packed), scenario)
    except (KeyError, TypeError) as error:  # whole, and of a version with other fields
        raise ValueError("no result of this version") from error


def _read(detail: Mapping[str, Any], blob: bytes, scenario: Mapping[str, Any]) -> Result:
    steps = tuple(StepRecord(**step) for step in detail["steps"])
    links = tuple(
        LinkRecord(**dict(zip(_LINK, row, strict=True)), series=_unfold(series, blob))
        for row, series in zip(detail["links"], detail["series"], strict=True)
    )
    spans = Spans(Listed({name: _column(place, blob) for name, place in detail["spans"].items()}))
    layers, memory = tuple(detail["layers"]), tuple(detail["memory"])
    return Result(Record(spans, steps, links, layers, memory, detail["facts"]), dict(scenario))


def plain(value: Any) -> Any:  # noqa: ANN401
    """Return mappings, sequences and numbers as JSON knows them."""
    if type(value) in _PLAIN:
        return value
    if isinstance(value, Mapping):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple, np.ndarray)):
        return [plain(inner) for inner in value]
    return value.item() if isinstance(value, np.generic) else value


class _Blob:
    """Arrays, one after another."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []
        self.size = 0

    def add(self, array: NDArray[Any]) -> dict[str, Any]:
        """Append an array and say where it lies; words go as numbers into a list."""
        if array.dtype == object:
            words = Words.of(array.tolist())
            return self.add(words.numbers) | {"words": [str(word) for word in words.words]}
        place = {"at": self.size, "many": len(array), "type": array.dtype.str}
        self.parts.append(np.ascontiguousarray(array).tobytes())
        self.size += len(self.parts[-1])
        return place


def _series(link: LinkRecord, blob: _Blob) -> list[Any]:
    bins = np.flatnonzero(link.series)
    if not len(bins):
        return [len(link.series)]
    return [len(link.series), blob.add(bins.astype(np.int32)), blob.add(link.series[bins])]


def _unfold(series: Sequence[Any], blob: bytes) -> NDArray[np.float64]:
    moved = np.zeros(int(series[0]))
    if len(series) > 1:
        moved[_array(series[1], blob)] = _array(series[2], blob)
    return moved


def _array(place: Mapping[str, Any], blob: bytes) -> NDArray[Any]:
    return np.frombuffer(blob, dtype=place["type"], count=place["many"], offset=place["at"])


def _column(place: Mapping[str, Any], blob: bytes) -> NDArray[Any] | Words:
    array = _array(place, blob)
    return Words(tuple(place["words"]), array) if "words" in place else array


def _open(data: bytes) -> tuple[dict[str, Any], bytes]:
    first, _, body = data.partition(b"\n")
    words = first.split(b"\t")
    if len(words) != 4 or words[0] != MAGIC or hashlib.sha256(body).hexdigest().encode() != words[1]:
        raise ValueError("no whole result")
    cut = int(words[2])
    return json.loads(zlib.decompress(body[:cut])), body[cut:]
