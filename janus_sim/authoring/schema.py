"""JSON schemas of the YAML kinds, from the specifications that read them, for editors."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from janus_sim.errors import InputError, Mistake
from janus_sim.files import nearest

DIALECT = "https://json-schema.org/draft/2020-12/schema"
OWN = ("folders", "file")  #: fields that no file has

Schema = dict[str, Any]


def schema_of(kind: str) -> Schema:
    """Return the JSON schema of a kind of file.

    A file that is based on another may leave out what that one says, so nothing is demanded of a topology or
    a workload here; what is missing in the end is told when it is read.

    Parameters
    ----------
    kind : str
        One of `KINDS`.

    Raises
    ------
    InputError
        For another word.

    Examples
    --------
    >>> schema_of("experiment")["properties"]["seed"]["minimum"]
    0
    >>> schema_of("topology")["properties"]["base"]["description"]
    'a preset or a file that this one is laid over'
    """
    if kind not in KINDS:
        hint = nearest(kind, KINDS) or f"; there are {', '.join(KINDS)}"
        raise InputError(Mistake("", f'no kind of file "{kind}"{hint}'))
    return {"$schema": DIALECT, **KINDS[kind](), "title": f"janus-sim {kind}"}


def text_of(kind: str) -> str:
    """Return the JSON schema of a kind of file as text; see `schema_of`."""
    return json.dumps(schema_of(kind), indent=1) + "\n"


def first_line(kind: str, path: Path, schemas: Path) -> str:
    """Return the comment by which editors find the schema of a file.

    Parameters
    ----------
    path : Path
        Of the YAML file.
    schemas : Path
        The folder that `janus-sim schema --write` filled.

    Examples
    --------
    >>> first_line("gpu", Path("topologies/gpus/a100.yaml"), Path("schemas"))
    '# yaml-language-server: $schema=../../schemas/gpu.json'
    """
    relative = Path(os.path.relpath(schemas / f"{kind}.json", path.parent)).as_posix()
    return f"# yaml-language-server: $schema={relative}"


def _experiment() -> Schema:
    from janus_sim.scenario import Experiment

    schema = _short(Experiment.model_json_schema())
    properties = schema["properties"]
    schema["$defs"] = schema.get("$defs", {})
    for room, inner in (("topology", _topology()), ("workload", _workload())):
        schema["$defs"] |= inner.pop("$defs", {}) | {room: inner}
        properties[room] = {"anyOf": [{"type": "string"}, {"$ref": f"#/$defs/{room}"}]}
    names = {"type": "array", "items": {"type": "string"}}
    properties["policies"] = {"anyOf": [properties["policies"], names]}
    properties["vary"]["additionalProperties"] = {"type": "array", "minItems": 1}
    return schema


def _topology() -> Schema:
    from janus_sim.topology.spec import TopologySpec

    schema = _based(TopologySpec.model_json_schema())
    mixed = schema["$defs"].get("MixedSpec")
    if mixed is not None:
        mixed["properties"]["base"] = _BASE
    return schema


def _workload() -> Schema:
    from janus_sim.workload.spec import WorkloadSpec

    schema = _based(WorkloadSpec.model_json_schema())
    routing = schema["properties"]["routing"]
    schema["properties"]["routing"] = {"anyOf": [routing, {"type": "string"}]}
    return schema


def _gpu() -> Schema:
    from janus_sim.topology.gpu import GpuKind

    return _based(GpuKind.model_json_schema())


def _baseline() -> Schema:
    from janus_sim.regression.baseline import Baseline

    return _short(Baseline.model_json_schema())


_BASE = {"type": "string", "description": "a preset or a file that this one is laid over"}

#: The kinds of files, as `janus-sim schema KIND` names them.
KINDS: dict[str, Callable[[], Schema]] = {
    "experiment": _experiment,
    "topology": _topology,
    "workload": _workload,
    "gpu": _gpu,
    "baseline": _baseline,
}


def _based(schema: Schema) -> Schema:
    """Let a file be laid over another: `base` is known, and nothing is demanded."""
    schema = _short(schema)
    for part in (schema, *schema.get("$defs", {}).values()):
        part.pop("required", None)
    schema["properties"] = {"base": _BASE, **schema["properties"]}
    return schema


def _short(schema: Schema) -> Schema:
    """Drop the fields that no file has, and of each description all but its first paragraph."""
    for part in (schema, *schema.get("$defs", {}).values()):
        for name in OWN:
            part.get("properties", {}).pop(name, None)
        if "description" in part:
            part["description"] = " ".join(part["description"].split("\n\n")[0].split())
    return schema
