"""Read a small YAML file into plain values, and refuse all that a hand would not write."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import yaml

from janus_sim.errors import InputError, Mistake

SIZE_LIMIT = 1_000_000  #: bytes of a file
VALUE_LIMIT = 100_000  #: values after every alias is written out
DEPTH_LIMIT = 40  #: mappings within mappings
FILES_KEPT = 1_000  #: files that one process remembers, each as long as it stays as it is

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_INT = re.compile(r"[+-]?(0|[1-9][0-9_]*)")
_FLOAT = re.compile(r"[+-]?((\.[0-9]+|[0-9]+\.[0-9]*)([eE][+-]?[0-9]+)?|[0-9]+[eE][+-]?[0-9]+)")
_WORDS: dict[str, object] = {
    "": None,
    "~": None,
    "null": None,
    "true": True,
    "false": False,
    "True": True,
    "False": False,
}
_read: dict[str, tuple[tuple[int, ...], dict[str, Any]]] = {}
_SPECIAL = {".nan": float("nan"), ".inf": float("inf"), "-.inf": float("-inf")}


def read_yaml(path: str | Path) -> dict[str, Any]:
    """Read a YAML file that holds one mapping; lists become tuples.

    Read are the plain words of YAML 1.2 (so ``no`` is a word and not false, and ``1e-3`` is a number).
    Refused are files above 1 MB, tags, cycles, aliases that unfold to too much, keys that stand twice, and
    several documents.

    Raises
    ------
    InputError
        With the file and the line.
    """
    path = Path(path)
    stamp = stamp_of(path)
    known = _read.get(str(path))
    if known is not None and known[0] == stamp:
        return dict(known[1])
    value = _fresh(path)
    if len(_read) < FILES_KEPT:
        _read[str(path)] = stamp, value
    return dict(value)


def stamp_of(path: Path) -> tuple[int, ...]:
    """Tell a version of a file from an earlier one without reading it; empty where there is no file."""
    try:
        found = path.stat()
    except OSError:
        return ()
    return found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino


def _fresh(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > SIZE_LIMIT:
            raise InputError(
                Mistake(f"{path}:", f"is larger than {SIZE_LIMIT // 1000} kB; this is no file of janus-sim")
            )
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise InputError(
            Mistake(f"{path}:", f"cannot be read: {(error.strerror or str(error)).lower()}")
        ) from None
    except UnicodeDecodeError:
        raise InputError(Mistake(f"{path}:", "is not text in UTF-8; write a YAML file")) from None
    value = parse_yaml(text, f"{path}:")
    if not isinstance(value, dict):
        found = "is empty" if value is None else "holds no mapping"
        raise InputError(Mistake(f"{path}:", f'{found}; write lines like "name: value"'))
    return value


def parse_yaml(text: str, where: str = "") -> Any:  # noqa: ANN401
    """Read the YAML of one value; see `read_yaml`.

    Examples
    --------
    >>> parse_yaml("{machines: 4, nics: [1, 2], rate: 1e-3}")
    {'machines': 4, 'nics': (1, 2), 'rate': 0.001}
    """
    try:
        return _Reader(text, where).document()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"line {mark.line + 1}: " if mark else ""
        raise InputError(Mistake(where, f"{place}is not YAML: {error.problem or error.context}")) from None
    except yaml.YAMLError as error:
        reason = str(getattr(error, "reason", "") or "unreadable characters")
        raise InputError(Mistake(where, f"is not YAML: {reason}")) from None


@dataclass(slots=True)
class _Built:
    """A value behind an anchor: how many values it unfolds to, and how deep it goes."""

    value: Any
    count: int
    depth: int


class _Reader:
    """Build plain values from the events of a YAML stream, counting as it goes."""

    def __init__(self, text: str, where: str) -> None:
        self.events = iter(yaml.parse(text, Loader=_LOADER))
        self.where = where
        self.anchors: dict[str, _Built | None] = {}
        self.total = 0

    def document(self) -> Any:  # noqa: ANN401
        next(self.events)
        event = next(self.events)
        if isinstance(event, yaml.StreamEndEvent):
            return None
        built = self.build(next(self.events), 0)
        next(self.events)
        event = next(self.events)
        if not isinstance(event, yaml.StreamEndEvent):
            self.refuse(event, "a second document begins here; write one file each")
        return built.value

    def build(self, event: Any, depth: int) -> _Built:  # noqa: ANN401
        if isinstance(event, yaml.AliasEvent):
            return self.alias(event, depth)
        if event.tag is not None:
            self.refuse(event, f"the tag {event.tag!r} is not read; write plain values")
        if event.anchor is not None:
            self.anchors[event.anchor] = None
        before = self.total
        self.count(event, 1)
        if isinstance(event, yaml.ScalarEvent):
            built = _Built(_scalar(event.value, event.implicit[0]), 1, 0)
        else:
            if depth >= DEPTH_LIMIT:
                self.refuse(event, "is nested too deeply")
            value, deep = (
                self.mapping(depth) if isinstance(event, yaml.MappingStartEvent) else self.sequence(depth)
            )
            built = _Built(value, self.total - before, deep + 1)
        if event.anchor is not None:
            self.anchors[event.anchor] = built
        return built

    def alias(self, event: Any, depth: int) -> _Built:  # noqa: ANN401
        if event.anchor not in self.anchors:
            self.refuse(event, f"the alias *{event.anchor} has no anchor before it")
        built = self.anchors[event.anchor]
        if built is None:
            self.refuse(event, f"the alias *{event.anchor} lies inside its own anchor: a cycle")
        if depth + built.depth > DEPTH_LIMIT:
            self.refuse(event, "is nested too deeply")
        self.count(event, built.count)
        return built

    def sequence(self, depth: int) -> tuple[tuple[Any, ...], int]:
        items: list[Any] = []
        deep = 0
        while not isinstance(event := next(self.events), yaml.SequenceEndEvent):
            built = self.build(event, depth + 1)
            items.append(built.value)
            deep = max(deep, built.depth)
        return tuple(items), deep

    def mapping(self, depth: int) -> tuple[dict[str, Any], int]:
        items: dict[str, Any] = {}
        deep = 0
        while not isinstance(event := next(self.events), yaml.MappingEndEvent):
            if not isinstance(event, yaml.ScalarEvent) or event.tag is not None:
                self.refuse(event, "a key must be a plain word")
            if event.value == "<<" and event.implicit[0]:
                self.refuse(event, 'merge keys are not read; write "base: name" or repeat the lines')
            if event.value in items:
                self.refuse(event, f'the key "{event.value}" stands twice')
            built = self.build(next(self.events), depth + 1)
            items[event.value] = built.value
            deep = max(deep, built.depth)
        return items, deep

    def count(self, event: Any, values: int) -> None:  # noqa: ANN401
        self.total += values
        if self.total > VALUE_LIMIT:
            self.refuse(event, f"unfolds to more than {VALUE_LIMIT} values")

    def refuse(self, event: Any, message: str) -> NoReturn:  # noqa: ANN401
        raise InputError(Mistake(self.where, f"line {event.start_mark.line + 1}: {message}"))


def _scalar(text: str, plain: bool) -> object:
    """Read a plain word as YAML 1.2 does; a quoted one is text."""
    if not plain:
        return text
    if text in _WORDS:
        return _WORDS[text]
    if _INT.fullmatch(text) and len(text) < 40:
        return int(text)
    if _FLOAT.fullmatch(text) and len(text) < 400:
        return float(text)
    return _SPECIAL.get(text.lower(), text)
