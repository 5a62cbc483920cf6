"""`janus-sim new`: files to start from."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Kind(StrEnum):
    """What can be begun."""

    experiment = "experiment"
    policy = "policy"


What = Annotated[Kind, typer.Argument(metavar="KIND", help="experiment or policy.")]
Name = Annotated[str, typer.Argument(metavar="NAME", help="Of the file, as my_policy.")]


def new(kind: What, name: Name) -> None:
    """Write a commented file to start from; for a policy its test too."""
    from janus_sim.authoring import new as authoring

    written = (
        authoring.experiment(name, Path()) if kind is Kind.experiment else authoring.policy(name, Path())
    )
    for path in written:
        print(path)
