"""YAML to values and back to disk: the one door of yaml and pydantic."""

from __future__ import annotations

from pydantic import Field, model_validator

from janus_sim.files.knobs import knobs
from janus_sim.files.presets import find, layered, names, read
from janus_sim.files.reading import parse_yaml, read_yaml, stamp_of
from janus_sim.files.shape import Short, merge, nearest, put, take
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
    join,
    short_forms,
    show,
    validate,
)
from janus_sim.files.writing import check_file, check_folder, check_place, digest, replace_folder, write_whole

__all__ = [
    "Bandwidth",
    "Bytes",
    "Field",
    "FlopRate",
    "Fraction",
    "NonNegative",
    "NonNegativeFloat",
    "Positive",
    "PositiveFloat",
    "Seconds",
    "Short",
    "Spec",
    "check_file",
    "check_folder",
    "check_place",
    "digest",
    "find",
    "join",
    "knobs",
    "layered",
    "merge",
    "model_validator",
    "names",
    "nearest",
    "parse_yaml",
    "put",
    "read",
    "read_yaml",
    "replace_folder",
    "short_forms",
    "show",
    "stamp_of",
    "take",
    "validate",
    "write_whole",
]
