"""`janus-sim schema`: the JSON schema of a kind of YAML file."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import Annotated

import typer


class Kind(StrEnum):
    """The kinds of files."""

    experiment = "experiment"
    topology = "topology"
    workload = "workload"
    gpu = "gpu"
    baseline = "baseline"


What = Annotated[
    Kind, typer.Argument(metavar="KIND", help="experiment, topology, workload, gpu or baseline.")
]


def schema(kind: What) -> None:
    """Print the JSON schema of a kind of file; editors complete and check YAML by it."""
    from janus_sim.authoring.schema import schema_of

    print(json.dumps(schema_of(kind.value), indent=1))
