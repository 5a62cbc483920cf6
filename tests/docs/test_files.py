"""The list of knobs is whole: each one that a file may hold stands in docs/files.md."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest

from janus_sim.files import Spec
from janus_sim.scenario import Experiment
from janus_sim.topology.gpu import GpuKind
from janus_sim.topology.spec import TopologySpec
from janus_sim.workload.spec import WorkloadSpec

GUIDE = (Path(__file__).resolve().parents[2] / "docs" / "files.md").read_text()
WORDS = set(re.findall(r"\w+", " ".join(re.findall(r"`[^`]+`", GUIDE))))


def knobs(model: type[Spec]) -> Iterator[str]:
    for name, field in model.model_fields.items():
        if not field.exclude:
            yield name
        for inner in models(field.annotation):
            yield from knobs(inner)


def models(annotation: object) -> Iterator[type[Spec]]:
    if isinstance(annotation, type) and issubclass(annotation, Spec):
        yield annotation
    for inner in get_args(annotation):
        yield from models(inner)


@pytest.mark.parametrize("model", [Experiment, TopologySpec, WorkloadSpec, GpuKind])
def test_every_knob_is_told(model: type[Spec]) -> None:
    assert sorted(set(knobs(model)) - WORDS) == []
