"""From a name, a path or a mapping to a specification: bases laid under, kinds of machines written out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from janus_sim.errors import InputError, Mistake
from janus_sim.files import join, layered, merge, short_forms, validate
from janus_sim.topology.spec import TopologySpec

ROOM = "topologies"
Source: TypeAlias = str | Path | Mapping[str, Any]


class Resolved(NamedTuple):
    """A specification, what stands before a path into it in errors, and the folder of its file."""

    spec: TopologySpec
    place: str
    folder: Path | None


def resolve(source: Source, beside: Path | None = None, where: str = "") -> Resolved:
    """Read a topology.

    Parameters
    ----------
    source : str, Path or mapping
        A preset, a path, or a mapping as in a file: ``{base: a100, machines: 4}``.
    beside : Path, optional
        The folder of the file that names it.
    where : str
        Where it was named, for errors.

    Raises
    ------
    InputError
        With every mistake in the shape of the file; `check` finds contradictions.
    """
    data, paths = layered(ROOM, source, beside, where, short_forms(TopologySpec))
    place = where or (f"{paths[0]}:" if paths and not isinstance(source, Mapping) else "topology")
    folder = paths[0].parent if paths and not isinstance(source, Mapping) else beside
    if "mixed" in data:
        data = {**data, "mixed": _kinds(data, folder, place)}
    return Resolved(validate(TopologySpec, data, place), place, folder)


def _kinds(data: Mapping[str, Any], beside: Path | None, where: str) -> object:
    """Write out each kind of `mixed`: the cluster's own machine, or a base's, with changes laid over."""
    if not isinstance(data["mixed"], tuple | list):
        return data["mixed"]
    return tuple(_kind(entry, index, data, beside, where) for index, entry in enumerate(data["mixed"]))


def _kind(entry: object, index: int, data: Mapping[str, Any], beside: Path | None, where: str) -> object:
    if not isinstance(entry, Mapping):
        return entry
    place = join(where, f"mixed.{index}.base")
    short = short_forms(TopologySpec)
    under = layered(ROOM, entry["base"], beside, place, short)[0] if "base" in entry else data
    machine, changes = under.get("machine"), entry.get("machine", {})
    if machine is None and not changes:
        raise InputError(Mistake(join(where, f"mixed.{index}"), "has no machine; write a base or a machine"))
    rest = {key: value for key, value in entry.items() if key != "base"}
    if isinstance(machine, Mapping) and isinstance(changes, Mapping):
        return {**rest, "machine": merge(machine, changes, short, "machine.")}
    return {**rest, "machine": changes or machine}
