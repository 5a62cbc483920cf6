"""Find a file by its bare name among the presets, or by its path; read it with what it is based on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from janus_sim.errors import InputError, Mistake
from janus_sim.files.reading import read_yaml
from janus_sim.files.shape import NONE, Short, merge, nearest

_PACKAGE = Path(__file__).resolve().parent.parent
_ROOTS = (_PACKAGE / "presets", _PACKAGE.parent)  #: as installed, and as checked out


def names(room: str) -> tuple[str, ...]:
    """List the presets of a room, sorted.

    Parameters
    ----------
    room : str
        ``"topologies"``, ``"topologies/gpus"``, ``"workloads"`` or ``"experiments"``.
    """
    return tuple(sorted({path.stem for root in _ROOTS for path in (root / room).glob("*.yaml")}))


def find(room: str, name: str | Path, beside: Path | None = None, where: str = "") -> Path:
    """Find a preset by its bare name, or a file by its path.

    Parameters
    ----------
    room : str
        Where presets of this kind lie; see `names`.
    name : str or Path
        A bare name (``a100_4x8``) or a path that ends in ``.yaml`` or has a slash.
    beside : Path, optional
        A folder to look in before the working directory: that of the file that names this one.
    where : str
        Where the name was written, for the error.

    Raises
    ------
    InputError
        When there is no such file; names the nearest preset.
    """
    text = str(name)
    path = Path(text).expanduser()
    if path.suffix in {".yaml", ".yml"} or "/" in text:
        for folder in (beside, Path()):
            if folder is not None and (folder / path).is_file():
                return folder / path
        found = "is a folder, no .yaml file" if path.is_dir() else "no such file"
        raise InputError(Mistake(where or f"{text}:", found if not where else f'{found}: "{text}"'))
    for root in _ROOTS:
        if text and (root / room / f"{text}.yaml").is_file():
            return root / room / f"{text}.yaml"
    known = names(room)
    hint = (
        nearest(text, known) or f"; there are {', '.join(known) or 'none'}, or write the path of a .yaml file"
    )
    if text and Path(f"{text}.yaml").is_file():
        hint = f'; did you mean the file "{text}.yaml"?'
    elif text and path.is_dir():
        raise InputError(
            Mistake(where or f"{text}:", f'"{text}" is a folder; write the path of a .yaml file')
        )
    raise InputError(Mistake(where, f'no preset "{text}" in {room}{hint}'))


def read(
    room: str, name: str | Path, beside: Path | None = None, where: str = ""
) -> tuple[dict[str, Any], Path]:
    """Find and read a file, and say where it lay."""
    path = find(room, name, beside, where)
    return read_yaml(path), path


def layered(
    room: str, source: str | Path | Mapping[str, Any], beside: Path | None = None, where: str = "",
    short: Short = NONE, spelled: Callable[[Mapping[str, Any]], Mapping[str, Any]] = dict,
) -> tuple[dict[str, Any], tuple[Path, ...]]:  # fmt: skip
    """Read a preset, a path or a mapping, laid over what it names as its ``base``, and so on down.

    Parameters
    ----------
    short : mapping
        The short forms of such a file; see `merge`.
    spelled : callable
        What a layer says, with what it implies, before it is laid over others.

    Returns
    -------
    data : dict
        Without ``base``; a file that states no name has that of its file.
    paths : tuple of Path
        The files read, the nearest first.

    Raises
    ------
    InputError
        For a missing file, or a file based on itself.
    """
    paths: list[Path] = []
    layers: list[Mapping[str, Any]] = []
    current: object = source
    while current is not None:
        if isinstance(current, Mapping):
            layer: Mapping[str, Any] = current
        elif isinstance(current, str | Path):
            path = find(room, current, beside, where)
            if path.resolve() in {seen.resolve() for seen in paths}:
                raise InputError(Mistake(f"{path}:", "is based on itself"))
            paths.append(path)
            layer, beside, where = read_yaml(path), path.parent, f"{path}: base"
            layer = {"name": path.stem, **layer}
        else:
            raise InputError(Mistake(where, f"{current!r} is no name; write the name of a preset or a path"))
        layers.append(layer)
        current = layer.get("base")
    data: dict[str, Any] = {}
    for layer in reversed(layers):
        changes = {key: value for key, value in spelled(layer).items() if key != "base"}
        data = merge(data, changes, short)
    return data, tuple(paths)
