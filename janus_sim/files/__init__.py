"""YAML to values and back to disk: the one door of yaml and pydantic."""

from __future__ import annotations

from janus_sim.files.presets import find, layered, names, read
from janus_sim.files.reading import parse_yaml, read_yaml
from janus_sim.files.shape import merge, nearest, put, take
from janus_sim.files.spec import (
    Bandwidth,
    Bytes,
    FlopRate,
    Fraction,
    NonNegative,
    NonNegativeFloat,
    Positive,
    PositiveFloat,
    Seconds,
    Spec,
    validate,
)
from janus_sim.files.writing import digest, replace_folder, write_whole

__all__ = [
    "Bandwidth",
    "Bytes",
    "FlopRate",
    "Fraction",
    "NonNegative",
    "NonNegativeFloat",
    "Positive",
    "PositiveFloat",
    "Seconds",
    "Spec",
    "digest",
    "find",
    "layered",
    "merge",
    "names",
    "nearest",
    "parse_yaml",
    "put",
    "read",
    "read_yaml",
    "replace_folder",
    "take",
    "validate",
    "write_whole",
]
