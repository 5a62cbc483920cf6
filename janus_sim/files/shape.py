"""Plain mappings: put a value at a path, take one, lay one over another, and find the nearest word."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any


def merge(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Lay changes over a base, mapping by mapping; anything but a mapping is replaced whole.

    Examples
    --------
    >>> merge({"a": {"b": 1, "c": 2}}, {"a": {"c": 3}})
    {'a': {'b': 1, 'c': 3}}
    """
    merged = dict(base)
    for key, value in changes.items():
        under = merged.get(key)
        merged[key] = (
            merge(under, value) if isinstance(under, Mapping) and isinstance(value, Mapping) else value
        )
    return merged


def put(mapping: Mapping[str, Any], path: str, value: object) -> dict[str, Any]:
    """Give a copy of a mapping with a value at a dotted path.

    A preset's name on the way becomes ``{base: name}``, and what is missing on the way is made.

    Raises
    ------
    ValueError
        When the path leads through a value that has no parts.

    Examples
    --------
    >>> put({"topology": "a100"}, "topology.machines", 4)
    {'topology': {'base': 'a100', 'machines': 4}}
    """
    head, _, rest = path.partition(".")
    if not rest:
        return {**mapping, head: value}
    return {**mapping, head: _put_into(mapping.get(head), rest, value)}


def _put_into(inner: object, path: str, value: object) -> object:
    if inner is None or isinstance(inner, Mapping):
        return put(inner or {}, path, value)
    if isinstance(inner, str):
        return put({"base": inner}, path, value)
    head, _, rest = path.partition(".")
    if isinstance(inner, tuple | list) and head.isdigit() and int(head) < len(inner):
        items = list(inner)
        items[int(head)] = _put_into(items[int(head)], rest, value) if rest else value
        return tuple(items)
    raise ValueError(f"{inner!r} has no part {head!r}")


def take(mapping: Mapping[str, Any], path: str, default: object = None) -> Any:  # noqa: ANN401
    """Take the value at a dotted path, or the default when the path leads nowhere.

    Examples
    --------
    >>> take({"a": {"b": 1}}, "a.b"), take({"a": 1}, "a.b", "none")
    (1, 'none')
    """
    value: Any = mapping
    for part in path.split("."):
        if not isinstance(value, Mapping) or part not in value:
            return default
        value = value[part]
    return value


def nearest(word: str, words: Iterable[str]) -> str:
    """Give ``; did you mean "x"?`` for the nearest of some words, or an empty string.

    Examples
    --------
    >>> nearest("treshold", ["threshold", "by"])
    '; did you mean "threshold"?'
    """
    found = difflib.get_close_matches(str(word), sorted(set(map(str, words))), n=1, cutoff=0.6)
    return f'; did you mean "{found[0]}"?' if found else ""
