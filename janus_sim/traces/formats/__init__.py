"""Formats that others write, each brought into the neutral form by a file of its own, and one line here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from janus_sim.files import nearest
from janus_sim.traces.form import TraceInfo
from janus_sim.traces.formats import deepspeed, flame, megatron, plain, sglang, smartmoe, tables, vllm
from janus_sim.traces.formats.base import Asked, Format, Read, refuse

__all__ = ["FORMATS", "Asked", "Opened", "opened"]

#: Asked in this order: the plain ones last.
FORMATS: dict[str, Format] = {
    "megatron": megatron.MEGATRON,
    "sglang": sglang.SGLANG,
    "vllm": vllm.VLLM,
    "vllm-loads": vllm.VLLM_LOADS,
    "flame": flame.FLAME,
    "smartmoe": smartmoe.SMARTMOE,
    "laer": tables.LAER,
    "olmoe": tables.OLMOE,
    "deepspeed": deepspeed.DEEPSPEED,
    "neutral": plain.NEUTRAL,
    "npz": plain.NPZ,
    "csv": plain.CSV,
}


NOTHING = Asked()


@dataclass(frozen=True)
class Opened:
    """Files that an importer has opened: the name of their format, what is told, and the blocks."""

    name: str
    read: Read

    @property
    def info(self) -> TraceInfo:
        """What is told of the trace; the shape comes with the blocks."""
        return self.read.info


def opened(paths: Sequence[Path], which: str | None = None, asked: Asked = NOTHING) -> Opened:
    """Open files or folders of one format.

    Parameters
    ----------
    paths : sequence of Path
    which : str, optional
        Name of the format; detected by default.
    asked : Asked

    Raises
    ------
    InputError
        If a path is missing, its format is not known, or they are of several formats.

    Examples
    --------
    >>> opened([Path("nowhere.jsonl")])
    Traceback (most recent call last):
        ...
    janus_sim.errors.InputError: nowhere.jsonl:
      no such file or folder
    """
    for path in paths:
        if not path.exists():
            refuse(path, "", "no such file or folder")
    if which is not None and which not in FORMATS:
        known = f"; known are {', '.join(FORMATS)}"
        refuse("--format", "", f'"{which}" is not known{nearest(which, list(FORMATS)) or known}')
    names = {path: which or _detected(path) for path in paths}
    if len(set(names.values())) > 1:
        told = ", ".join(f"{path.name} is {name}" for path, name in names.items())
        refuse(paths[0], "", f"the files are of several formats ({told}); import them one by one")
    name = names[paths[0]]
    return Opened(name, FORMATS[name].read(paths, asked))


def _detected(path: Path) -> str:
    """Return the name of the first format that knows a path."""
    found = next((name for name, known in FORMATS.items() if known.knows(path)), None)
    if found is None:
        refuse(path, "", f"is of no known format; write one with --format: {', '.join(FORMATS)}")
    return found
