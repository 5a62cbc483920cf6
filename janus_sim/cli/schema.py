"""`janus-sim schema`: the JSON schema of a kind of YAML file."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
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
    Kind | None, typer.Argument(metavar="[KIND]", help="experiment, topology, workload, gpu or baseline.")
]
Write = Annotated[
    Path | None,
    typer.Option("--write", metavar="DIR", help="Write DIR/KIND.json, of every kind if none is named."),
]


def schema(kind: What = None, write: Write = None) -> None:
    """Print the JSON schema of a kind of file, or write it; editors complete and check YAML by it."""
    from janus_sim.authoring.schema import KINDS, text_of
    from janus_sim.errors import InputError, Mistake
    from janus_sim.files import write_whole

    if kind is None and write is None:
        raise InputError(
            Mistake("KIND", f"is missing; write one of {', '.join(KINDS)}, or --write DIR for all")
        )
    if write is None:
        print(text_of(str(kind)), end="")
        return
    for name in KINDS if kind is None else (kind.value,):
        write_whole(write / f"{name}.json", text_of(name).encode())
        print(write / f"{name}.json")
