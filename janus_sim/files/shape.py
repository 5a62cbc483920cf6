"""Plain mappings: put a value at a path, take one, lay one over another, and find the nearest word."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from types import MappingProxyType
from typing import Any

#: Which word stands for a mapping: from a pattern of dotted paths to the key that a word there is short for.
Short = Mapping[str, str]
NONE: Short = MappingProxyType({})


def merge(
    base: Mapping[str, Any], changes: Mapping[str, Any], short: Short = NONE, at: str = ""
) -> dict[str, Any]:
    """Lay changes over a base, mapping by mapping; anything but a mapping is replaced whole.

    Parameters
    ----------
    short : mapping
        A word of the base that is a short form is written out where a mapping is laid over it.
    at : str
        The path of the base, with a dot at its end.

    Examples
    --------
    >>> merge({"a": {"b": 1, "c": 2}}, {"a": {"c": 3}})
    {'a': {'b': 1, 'c': 3}}
    >>> merge({"routing": "W3"}, {"routing": {"hot": 4}}, {"routing": "kind"})
    {'routing': {'kind': 'W3', 'hot': 4}}
    """
    merged = dict(base)
    for key, value in changes.items():
        path = f"{at}{key}"
        under = _written_out(merged.get(key), path, short)
        both = isinstance(under, Mapping) and isinstance(value, Mapping)
        merged[key] = merge(under, value, short, f"{path}.") if both else value
    return merged


def put(mapping: Mapping[str, Any], path: str, value: object, short: Short = NONE) -> dict[str, Any]:
    """Give a copy of a mapping with a value at a dotted path.

    A short form on the way is written out, and what is missing on the way is made.

    Raises
    ------
    ValueError
        When the path leads through a value that has no parts.

    Examples
    --------
    >>> put({"topology": "a100"}, "topology.machines", 4, {"topology": "base"})
    {'topology': {'base': 'a100', 'machines': 4}}
    """
    return dict(_put(mapping, path, value, short, ""))  # type: ignore[call-overload, no-any-return]


def _put(inner: object, path: str, value: object, short: Short, at: str) -> object:
    """Return a copy of what lies at a path, with a value at another that leads on from there."""
    head, _, rest = path.partition(".")
    here = f"{at}.{head}" if at else head
    if inner is None or isinstance(inner, Mapping):
        under = (inner or {}).get(head)
    elif isinstance(inner, tuple | list) and head.isdigit() and int(head) < len(inner):
        under = inner[int(head)]
    else:
        raise ValueError(f"{inner!r} has no part {head!r}")
    new = _put(_written_out(under, here, short), rest, value, short, here) if rest else value
    if isinstance(inner, tuple | list):
        return tuple(new if place == int(head) else item for place, item in enumerate(inner))
    return {**(inner or {}), head: new}


def _written_out(value: object, path: str, short: Short) -> Any:  # noqa: ANN401
    """Return the mapping that a word at a path is short for; anything else as it is."""
    if not isinstance(value, str):
        return value
    return next(({key: value} for pattern, key in short.items() if fnmatchcase(path, pattern)), value)


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
