"""What the command line changes in an experiment: ``key=value``, and ``key=a,b,c`` for an axis."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from janus_sim import files
from janus_sim.errors import InputError, Mistake
from janus_sim.files import Short, nearest, parse_yaml, put

#: Where the path of an axis may begin.
AXES = ("topology", "workload", "policies", "schedule", "seed", "steps", "alike", "tolerance")


def changed(data: Mapping[str, Any], changes: Iterable[str]) -> dict[str, Any]:
    """Change what an experiment file says, as the command line asks; the whole of a thing before its parts.

    Raises
    ------
    InputError
        For what is not ``key=value``.

    Examples
    --------
    >>> changed({"seed": 1, "vary": {"seed": (1, 2)}}, ["seed=3", "workload.micro_batch_size=1,2"])
    {'seed': 3, 'vary': {'workload.micro_batch_size': (1, 2)}}
    >>> changed({}, ["workload.routing.hot=4", "workload.routing=W3"])
    {'workload': {'routing': {'kind': 'W3', 'hot': 4}}}
    """
    result = policies_as_mapping(dict(data))
    mistakes: list[Mistake] = []
    for change in sorted(changes, key=lambda change: change.partition("=")[0].count(".")):
        key, equals, text = change.partition("=")
        try:
            if not equals or not key.strip():
                raise InputError(Mistake(change, "is no change; write key=value"))
            result = _change(result, key.strip(), text.strip())
        except InputError as error:
            mistakes += error.mistakes
        except ValueError as error:
            mistakes.append(Mistake(key, str(error)))
    if mistakes:
        raise InputError(mistakes)
    return result


def _change(data: dict[str, Any], key: str, text: str) -> dict[str, Any]:
    root = key.partition(".")[0]
    fields = [*AXES, "name", "baseline", "seeds", "figures"]
    if root not in fields:
        raise InputError(
            Mistake(
                key, f"leads nowhere{nearest(root, fields) or '; a key begins with ' + ', '.join(fields)}"
            )
        )
    values = tuple(parse_yaml(part, key) for part in _split(text))
    data = _without(data, key)
    if key == "policies":
        return {**data, key: _chosen(data.get(key), values)}
    vary = data.get("vary")
    axes = vary if isinstance(vary, Mapping) else {}
    inside = any(key.startswith(f"{path}.") for path in _axes(data))  # of what an axis replaces as a whole
    if len(values) > 1 or inside:
        return {**data, "vary": {**axes, key: values}}
    return put(data, key, values[0], short_forms())


@cache
def short_forms() -> Short:
    """Say by path into an experiment which key of a mapping a bare word is short for.

    Examples
    --------
    >>> short_forms()["workload.routing"]
    'kind'
    """
    from janus_sim.topology.spec import TopologySpec
    from janus_sim.workload.spec import WorkloadSpec

    found = {"topology": "base", "workload": "base", "schedule": "type", "policies.*.*": "type"}
    return {
        **found,
        **files.short_forms(TopologySpec, "topology."),
        **files.short_forms(WorkloadSpec, "workload."),
    }


def _axes(data: Mapping[str, Any]) -> Iterator[str]:
    """List the paths of all axes, also of those whose values move together."""
    groups = data.get("zip") or ()
    for group in (data.get("vary"), *(groups if isinstance(groups, tuple) else (groups,))):
        yield from group if isinstance(group, Mapping) else ()


def _without(data: dict[str, Any], key: str) -> dict[str, Any]:
    """Take a path out of the axes: the command line decides about it."""
    result = dict(data)
    if isinstance(result.get("vary"), Mapping):
        result["vary"] = {path: values for path, values in result["vary"].items() if path != key}
    groups = result.get("zip")
    if groups:
        many = groups if isinstance(groups, tuple) else (groups,)
        kept = tuple(
            {path: v for path, v in group.items() if path != key} if isinstance(group, Mapping) else group
            for group in many
        )
        result["zip"] = tuple(group for group in kept if group)
    return result


def _chosen(written: object, names: Sequence[object]) -> dict[str, Any]:
    known = written if isinstance(written, Mapping) else {}
    if None in names:
        raise ValueError("a name is empty; write the names of policies, as policies=expert_centric,janus")
    return {str(name): known.get(str(name), {}) for name in names}


def policies_as_mapping(data: dict[str, Any]) -> dict[str, Any]:
    """Let ``policies: [a, b]`` stand for ``{a: {}, b: {}}``."""
    written = data.get("policies")
    if isinstance(written, tuple) and all(isinstance(name, str) for name in written):
        return {**data, "policies": {name: {} for name in written}}
    return data


def _split(text: str) -> list[str]:
    """Cut ``a,b,c`` at its commas, but not inside brackets or quotes."""
    parts, depth, quote, part = [], 0, "", ""
    for letter in text:
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "'\"":
            quote = letter
        else:
            depth += (letter in "[{") - (letter in "]}")
        if letter == "," and depth == 0 and not quote:
            parts.append(part)
            part = ""
        else:
            part += letter
    return [*parts, part]
