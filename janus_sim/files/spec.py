"""Values from files: a frozen pydantic model whose fields read words with units and tell every mistake."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from typing import Annotated, Any, ClassVar, Self, TypeVar, get_args

import pydantic
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo, WithJsonSchema

from janus_sim import units
from janus_sim.errors import InputError, Mistake
from janus_sim.files.shape import Short, nearest


class Spec(BaseModel):
    """A value that was read from a file: frozen, hashable, and strict about what stands in it.

    Unknown names are refused, numbers are not guessed from text, and lists become tuples. Built from Python,
    the fields with units take SI floats; read by `validate`, they take words alone. A bare word in the place
    of the whole value is short for the field that `WORD` names, if it names one.
    """

    WORD: ClassVar[str] = ""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    @pydantic.model_validator(mode="before")
    @classmethod
    def _plain(cls, data: Any) -> Any:  # noqa: ANN401
        """Turn lists into tuples, and write the short form out."""
        if cls.WORD and isinstance(data, str):
            return {cls.WORD: data}
        return frozen(data) if isinstance(data, Mapping) else data

    def content(self) -> str:
        """Give the value as JSON that is the same for the same value, in any process."""
        return json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))

    def __hash__(self) -> int:
        return hash(self.content())

    def change(self, **changes: object) -> Self:
        """Give a copy with some fields changed, checked again."""
        return type(self).model_validate({**dict(self), **changes})


def frozen(value: Any) -> Any:  # noqa: ANN401
    """Turn lists into tuples, all the way down; models stay as they are.

    Examples
    --------
    >>> frozen({"a": [1, [2]]})
    {'a': (1, (2,))}
    """
    if isinstance(value, Mapping):
        return {key: frozen(inner) for key, inner in value.items()}
    return tuple(frozen(inner) for inner in value) if isinstance(value, list | tuple) else value


def _door(parse: Callable[[object], float], positive: bool) -> BeforeValidator:
    """Read words by a parser of `units`; an SI float passes when it comes from Python and not from a file."""

    def read(value: object, info: ValidationInfo) -> object:
        bare = isinstance(value, int | float) and not isinstance(value, bool)
        if bare and not (info.context or {}).get("words"):
            number = float(value)  # type: ignore[arg-type]
            if not math.isfinite(number) or number < 0 or (positive and number == 0):
                raise ValueError(f"{value!r} is not a finite number above zero")
            return number
        return parse(value)

    return BeforeValidator(read)


def _words(example: str) -> WithJsonSchema:
    """Say in a JSON schema that a value with a unit is written in words."""
    return WithJsonSchema(
        {"type": "string", "examples": [example], "description": f"with a unit, as {example}"}
    )


#: bytes per second, above zero
Bandwidth = Annotated[float, _door(units.parse_bandwidth, True), _words("200 Gbit/s")]
Seconds = Annotated[float, _door(units.parse_time, False), _words("50 us")]  #: seconds, zero or more
Bytes = Annotated[float, _door(units.parse_bytes, False), _words("80 GB")]  #: bytes, zero or more
FlopRate = Annotated[
    float, _door(units.parse_rate, True), _words("312 TFLOP/s")
]  #: FLOP per second, above zero
Fraction = Annotated[float, Field(gt=0, le=1)]  #: above zero, one at most
Positive = Annotated[int, Field(ge=1)]
NonNegative = Annotated[int, Field(ge=0)]
PositiveFloat = Annotated[float, Field(gt=0)]
NonNegativeFloat = Annotated[float, Field(ge=0)]

S = TypeVar("S", bound=Spec)


def validate(model: type[S], data: object, where: str = "", *, words: bool = True) -> S:
    """Read a value from plain data, or tell all that is wrong with it.

    Parameters
    ----------
    model : type of Spec
    data : mapping
        As `read_yaml` gives it.
    where : str
        ``"file: path"``, ``"file:"`` or a bare path; mistakes append their own path.
    words : bool
        Refuse bare numbers for fields with units (so in files), or take them as SI (so in Python).

    Raises
    ------
    InputError
        With every mistake.

    Examples
    --------
    >>> class Nic(Spec):
    ...     bandwidth: Bandwidth
    >>> validate(Nic, {"bandwidth": "200 Gbit/s"}).bandwidth
    25000000000.0
    >>> validate(Nic, {"bandwith": 200}, "x.yaml: nic")
    Traceback (most recent call last):
    janus_sim.errors.InputError: x.yaml:
      nic.bandwidth  is missing
      nic.bandwith   unknown; did you mean "bandwidth"?
    """
    try:
        return model.model_validate(frozen(data), context={"words": words})
    except pydantic.ValidationError as error:
        raise InputError(_mistakes(model, error, where)) from None


def join(where: str, path: str) -> str:
    """Append a path to a place.

    Examples
    --------
    >>> join("x.yaml:", "a"), join("x.yaml: a", "b"), join("", "a")
    ('x.yaml: a', 'x.yaml: a.b', 'a')
    """
    if not path or not where:
        return where or path
    return f"{where} {path}" if where.endswith(":") else f"{where}.{path}"


def _mistakes(model: type[Spec], error: pydantic.ValidationError, where: str) -> list[Mistake]:
    """Turn pydantic's list into ours; the branches of a union that all fail make one mistake."""
    found: dict[str, dict[str, None]] = {}
    for problem in error.errors(include_url=False):
        path, owners = _descend(model, problem["loc"])
        found.setdefault(join(where, ".".join(path)), {})[_message(dict(problem), owners)] = None
    return [Mistake(place, _alternatives(list(messages))) for place, messages in found.items()]


def _alternatives(messages: Sequence[str]) -> str:
    """Join what the branches of a union would have liked to read."""
    heads, _, tails = zip(*(message.partition("; write ") for message in messages), strict=True)
    if len(messages) > 1 and all(tails):
        return f"{heads[0]}; write {', or '.join(tails)}"
    return messages[0] if len(set(heads)) == 1 else "; or: ".join(messages)


def _descend(model: type[Spec], loc: Sequence[str | int]) -> tuple[list[str], list[type[Spec]]]:
    """Follow a place of pydantic's down the model.

    Gives the names that a file shows, without the branches of unions, and the models that own the last one.
    """
    owners: list[type[Spec]] = [model]
    last = owners
    path: list[str] = []
    branch = {"str", "int", "float", "bool", "none", "tuple", "dict"}
    for part in loc:
        fields = [
            owner.model_fields[part]
            for owner in owners
            if isinstance(part, str) and part in owner.model_fields
        ]
        if isinstance(part, str) and not fields and path:
            names = {owner.__name__ for owner in owners}
            if part in names or part in branch or re.search(r"[\[({]|-(?=int|float|str)", part):
                owners = [owner for owner in owners if owner.__name__ == part] or owners
                continue
        path.append(str(part))
        last = owners
        if fields:
            owners = [inner for field in fields for inner in _models(field.annotation)]
    return path, last


def _models(annotation: object) -> Iterator[type[Spec]]:
    """Find the models inside an annotation."""
    if isinstance(annotation, type) and issubclass(annotation, Spec):
        yield annotation
    for inner in get_args(annotation):
        yield from _models(inner)


@cache
def short_forms(model: type[Spec], at: str = "") -> Short:
    """List where in a model a bare word is short for a mapping: the field that it stands for, by dotted path.

    Examples
    --------
    >>> class Routing(Spec):
    ...     WORD = "kind"
    ...     kind: str
    >>> from pydantic import create_model
    >>> short_forms(create_model("Workload", __base__=Spec, routing=Routing))
    {'routing': 'kind'}
    """
    found: dict[str, str] = {}
    for name, field in model.model_fields.items():
        for inner in _models(field.annotation):
            found |= {f"{at}{name}": inner.WORD} if inner.WORD else {}
            found.update(short_forms(inner, f"{at}{name}."))
    return found


def _message(problem: Mapping[str, Any], owners: Sequence[type[Spec]]) -> str:
    """Say what was found and what to write, in the words of the file."""
    kind, found, context = problem["type"], problem["input"], problem.get("ctx", {})
    if kind == "extra_forbidden":
        known = [name for owner in owners for name in owner.model_fields]
        return "unknown" + (nearest(str(problem["loc"][-1]), known) or f"; known are {', '.join(known)}")
    if kind == "missing":
        return "is missing"
    if kind == "value_error":
        return str(context["error"])
    shown = show(found)
    if kind == "literal_error":
        words = str(context["expected"]).replace("'", '"')
        options = [word.strip('"') for word in words.replace(" or ", ", ").split(", ")]
        return f"{shown} is not known; write {words}{nearest(str(found), options)}"
    said = str(problem["msg"]).removeprefix("Input should be ")
    said = re.sub(r"a valid dictionary( or instance of \w+)?", "a mapping", said)
    said = f"a number {said}" if said.startswith(("greater", "less")) else said
    return f"is empty; write {said}" if found is None else f"{shown} is wrong; write {said}"


def show(value: object) -> str:
    """Show a value as a file would, cut to a readable length.

    Examples
    --------
    >>> show(True), show("x"), show(None)
    ('true', '"x"', 'nothing')
    """
    if value is None or isinstance(value, bool):
        return {None: "nothing", True: "true", False: "false"}[value]
    if isinstance(value, Mapping):
        return "a mapping" if value else "an empty mapping"
    if isinstance(value, tuple | list):
        value = list(value)
    text = f'"{value}"' if isinstance(value, str) else repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
