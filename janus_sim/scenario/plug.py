"""From a mapping to a policy or a schedule: the class by its name, its knobs by their annotations."""

from __future__ import annotations

import dataclasses
import inspect
import re
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, get_args, get_type_hints

from janus_sim.errors import InputError, Mistake
from janus_sim.files import Spec, join, knobs, nearest, show, validate
from janus_sim.scenario.modules import load_class

if TYPE_CHECKING:
    from janus_sim.policies.base import Policy
    from janus_sim.schedules.base import Schedule

T = TypeVar("T")


def policy_from(spec: str | Mapping[str, Any], where: str = "", folders: Sequence[Path] = ()) -> Policy:
    """Build a policy.

    Parameters
    ----------
    spec : str or mapping
        ``"janus"``, ``{type: janus, by: traffic}``, ``{janus: {by: traffic}}``, or
        ``{type: "module:Class"}``; a knob that is a policy itself (``inner``) takes the same forms.
    where : str
        Where it was written, for errors.
    folders : sequence of Path
        Where modules are looked for.

    Raises
    ------
    InputError
        With every mistake.

    Examples
    --------
    >>> policy_from({"type": "expert_centric"})
    ExpertCentric(path='flat')
    """
    from janus_sim.policies import POLICIES
    from janus_sim.policies.base import Policy

    return _plug(spec, where, folders, Policy, POLICIES, "policy")  # type: ignore[type-abstract]


def schedule_from(spec: str | Mapping[str, Any], where: str = "", folders: Sequence[Path] = ()) -> Schedule:
    """Build a schedule, as `policy_from` builds a policy.

    Examples
    --------
    >>> schedule_from("sequential")
    Sequential()
    """
    from janus_sim.schedules import SCHEDULES
    from janus_sim.schedules.base import Schedule

    return _plug(spec, where, folders, Schedule, SCHEDULES, "schedule")  # type: ignore[type-abstract]


def named(name: str, written: object, where: str) -> dict[str, Any]:
    """Give what an experiment says of a policy of some name as one mapping with a ``type``.

    Examples
    --------
    >>> named("janus", None, ""), named("patient", {"type": "pipelined", "chunks": 2}, "")
    ({'type': 'janus'}, {'type': 'pipelined', 'chunks': 2})
    """
    if not isinstance(written, Mapping | None):
        raise InputError(Mistake(where, f"{show(written)} is no policy; write its knobs, or {{}}"))
    return {"type": name, **(written or {})}


def typed(spec: object, where: str, kind: str) -> tuple[str, dict[str, Any], str]:
    """Take one of the forms apart: the type, the knobs, and where the knobs stand."""
    if isinstance(spec, str):
        return spec, {}, where
    if not isinstance(spec, Mapping) or not spec:
        raise InputError(Mistake(where, f"{show(spec)} is no {kind}; write its name, or {{type: name, ...}}"))
    if "type" in spec:
        name = spec["type"]
        if not isinstance(name, str):
            raise InputError(Mistake(join(where, "type"), f"{show(name)} is no name of a {kind}"))
        return name, {key: value for key, value in spec.items() if key != "type"}, where
    name, inner = next(iter(spec.items()))
    if len(spec) > 1 or not isinstance(inner, Mapping | None):
        raise InputError(Mistake(where, f"the type is missing; write {{type: name of the {kind}, ...}}"))
    return name, dict(inner or {}), join(where, name)


def _plug(
    spec: object, where: str, folders: Sequence[Path], base: type[T], table: Mapping[str, type[T]], kind: str
) -> T:
    name, written, where = typed(spec, where, kind)
    cls = _class(name, where, folders, base, table, kind)
    fields = _fields(cls, where)
    plugs = {field for field, (hint, _, _) in fields.items() if _is_plug(hint, base)}
    mistakes: list[Mistake] = []
    values: dict[str, Any] = {}
    for field in sorted(plugs & set(written)):
        try:
            values[field] = _plug(written[field], join(where, field), folders, base, table, kind)
        except InputError as error:
            mistakes += error.mistakes
    loose = {key: (Any, default, unit) if key in plugs else (hint, default, unit)
             for key, (hint, default, unit) in fields.items()}  # fmt: skip
    try:
        checked = validate(_model(name, cls, loose), written, where)
        values |= {key: getattr(checked, key) for key in written if key not in plugs}
        names = {_name(field): field.name for field in dataclasses.fields(cls)} if fields else {}  # type: ignore[arg-type]
        values = {names[key]: value for key, value in values.items()}
    except InputError as error:
        mistakes += error.mistakes
    if mistakes:
        raise InputError(mistakes)
    return _build(cls, values, where)


_models: dict[tuple[str, type, tuple[str, ...]], type[Spec]] = {}  # made once a class: it takes milliseconds


def _model(name: str, cls: type, fields: Mapping[str, tuple[Any, Any, str]]) -> type[Spec]:
    """Give the model of the knobs of a class."""
    key = name, cls, tuple(fields)
    if key not in _models:
        _models[key] = knobs(name, fields)
    return _models[key]


def _build(cls: type[T], values: Mapping[str, Any], where: str) -> T:
    """Let the class itself look at its values."""
    try:
        return cls(**values)
    except InputError as error:
        raise InputError(
            [Mistake(join(where, mistake.where), mistake.message) for mistake in error.mistakes]
        ) from error
    except (ValueError, TypeError) as error:
        raise InputError(Mistake(where, str(error))) from error
    except Exception as error:  # whatever a user's class raises is told, not thrown
        raise InputError(Mistake(where, f"{type(error).__name__}: {error}")) from error


def _class(
    name: str, where: str, folders: Sequence[Path], base: type[T], table: Mapping[str, type[T]], kind: str
) -> type[T]:
    if name in table:
        return table[name]
    if ":" not in name:
        hint = nearest(name, table) or f"; there are {', '.join(table)}, or write type: module:Class"
        raise InputError(Mistake(where, f'no {kind} "{name}"{hint}'))
    cls = load_class(name, folders, where)
    if not issubclass(cls, base):
        raise InputError(Mistake(where, f"{name} is no {kind}; let it be a subclass of {base.__name__}"))
    if getattr(cls, "__abstractmethods__", None):
        missing = ", ".join(sorted(cls.__abstractmethods__))  # type: ignore[attr-defined]
        raise InputError(Mistake(where, f"{name} is not finished; write {missing}"))
    return cls


def _fields(cls: type, where: str) -> dict[str, tuple[Any, Any, str]]:
    """Give each knob of a dataclass: its annotation, its default (or ...) and its unit (or nothing)."""
    own = [key for key in inspect.get_annotations(cls) if not key.startswith("_")]
    if own and "__dataclass_params__" not in cls.__dict__:
        raise InputError(
            Mistake(where, f"{cls.__name__} has knobs; write @dataclass(frozen=True) above the class")
        )
    if not dataclasses.is_dataclass(cls):
        return {}
    try:
        hints = _hints(cls)
    except NameError as error:
        raise InputError(
            Mistake(where, f"an annotation of {cls.__name__} cannot be read: {error}")
        ) from error
    return {
        _name(field): (hints[field.name], _default(field), str(field.metadata.get("unit", "")))
        for field in dataclasses.fields(cls)
        if field.init and not field.name.startswith("_")
    }


@cache
def _hints(cls: type) -> dict[str, Any]:
    """Evaluate the annotations of a class, once: it takes half a millisecond."""
    return get_type_hints(cls, include_extras=True)


def _name(field: dataclasses.Field[Any]) -> str:
    """Give the name of a knob in a file: that of the field, or another where a method has it already."""
    return str(field.metadata.get("name", field.name))


def _default(field: dataclasses.Field[Any]) -> Any:  # noqa: ANN401
    if field.default is not dataclasses.MISSING:
        return field.default
    return ... if field.default_factory is dataclasses.MISSING else field.default_factory()


def _is_plug(hint: object, base: type) -> bool:
    """Say whether a knob is a policy itself, or may be one."""
    inside = any(_is_plug(part, base) for part in get_args(hint))
    return inside or (isinstance(hint, type) and issubclass(hint, base))


def described(name: str, cls: type) -> dict[str, str]:
    """Say what a policy or a schedule is, which knobs it has and which paper it is from, for a list.

    The paper is what follows "Source:" in a paragraph of its docstring.

    Examples
    --------
    >>> from janus_sim.policies import POLICIES
    >>> described("pipelined", POLICIES["pipelined"])["knobs"]
    'inner, chunks=2'
    """
    knobs = []
    for key, (_, default, _) in _fields(cls, name).items():
        shown = (
            f"{type(default).__name__}()" if dataclasses.is_dataclass(default) else show(default).strip('"')
        )
        knobs.append(key if default is ... else f"{key}={shown}")
    said = [" ".join(part.split()) for part in (inspect.getdoc(cls) or "").split("\n\n")]
    paper = next((found[1] for part in said if (found := re.search(r"\bSources?\b[^:.]*: (.+)", part))), "")
    return {"name": name, "what": said[0], "knobs": ", ".join(knobs), "paper": paper}
