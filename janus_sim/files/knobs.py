"""Check the knobs of a plug-in against the annotations of its class, as strictly as any file."""

from __future__ import annotations

from collections.abc import Mapping
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BeforeValidator, create_model

from janus_sim import units
from janus_sim.files.spec import Bandwidth, Bytes, FlopRate, Seconds, Spec

_UNITS: dict[str, Any] = {
    "seconds": Seconds,
    "bytes": Bytes,
    "bytes per second": Bandwidth,
    "FLOP per second": FlopRate,
}


def knobs(name: str, fields: Mapping[str, tuple[Any, Any, str]]) -> type[Spec]:
    """Make the model of some knobs; ``validate`` then tells every mistake.

    Parameters
    ----------
    name : str
        What it is called.
    fields : mapping from name to (annotation, default or ..., unit or "")
        With a unit, words are demanded; a float without one takes a number or words with any unit.

    Examples
    --------
    >>> from janus_sim.files import validate
    >>> model = knobs("lazy", {"patience": (float, 0.0, "seconds"), "rounds": (int, 1, "")})
    >>> validate(model, {"patience": "50 us"})
    lazy(patience=5e-05, rounds=1)
    """
    made: dict[str, Any] = {
        field: (_UNITS[unit] if unit else _worded(annotation), default)
        for field, (annotation, default, unit) in fields.items()
    }
    return create_model(name, __base__=Spec, **made)


def _worded(annotation: Any) -> Any:  # noqa: ANN401
    """Let floats, also inside unions and tuples, be written as words with a unit."""
    if annotation is float:
        return Annotated[float, BeforeValidator(_number)]
    inner = get_args(annotation)
    if get_origin(annotation) in (Union, UnionType) and inner:
        return Union[tuple(_worded(part) for part in inner)]  # noqa: UP007
    if get_origin(annotation) is tuple and inner:
        return tuple[tuple(_worded(part) for part in inner)]  # type: ignore[misc]
    return annotation


def _number(value: object) -> object:
    if not isinstance(value, str):
        return value
    for parse in (units.parse_time, units.parse_bytes, units.parse_bandwidth, units.parse_rate):
        try:
            return parse(value)
        except ValueError:
            continue
    raise ValueError(f'"{value}" is no number; write a number, or words like "50 us"')
