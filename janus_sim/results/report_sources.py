"""What the report says was run: the files of the experiment, its scenarios, and where they come from."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from janus_sim.files import digest
from janus_sim.results.reading import INDEX, MARK, UNFINISHED

INPUTS, EXPERIMENT = "inputs", "experiment.yaml"  #: written as JSON
MOST_TEXT = 200_000  #: characters of a file that is shown


@dataclass(frozen=True)
class Sources:
    """Texts by what they are called, what is not as the run left it, and whether seeds belong together."""

    texts: dict[str, str]
    left_out: tuple[str, ...]
    seeded: bool


def read(folder: Path) -> Sources:
    """Read what was run; a file that is torn is shown as it is, and told."""
    kept = sorted(path for path in (folder / INPUTS).rglob("*") if path.suffix in {".yaml", ".py"})
    found = {path.relative_to(folder / INPUTS).as_posix(): path for path in kept}
    found |= {"scenarios, as they were run": folder / INDEX, "provenance": folder / MARK}
    texts = {name: _shown(path) for name, path in found.items() if path.is_file()}
    experiment = _json(folder / INPUTS / EXPERIMENT)
    seeded = bool((experiment or {}).get("seeds")) or (folder / "seeds.csv").is_file()
    return Sources(texts, tuple(_wrong(folder, experiment)), seeded)


def _shown(path: Path) -> str:
    text = path.read_text(encoding="utf-8", errors="replace")
    more = len(text) - MOST_TEXT
    return text if more <= 0 else f"{text[:MOST_TEXT]}\n... {more} characters more"


def _wrong(folder: Path, experiment: Mapping[str, Any] | None) -> Iterator[str]:
    """Hold the files against the hashes in the provenance."""
    if (folder / UNFINISHED).is_file():
        yield f"{folder / UNFINISHED}: a newer run of this folder is not finished; this is the one before it."
    if experiment is None:
        yield f"{folder / INPUTS / EXPERIMENT}: is not there, or torn."
    told = (_json(folder / MARK) or {}).get("inputs")
    if not isinstance(told, dict):
        yield f"{folder / MARK}: is not there, or torn; nobody can say what made these results."
        return
    for name, known in told.items():
        path = folder / INPUTS / name
        if path.suffix != ".yaml":
            continue  # traces and modules are not copied
        if not path.is_file():
            yield f"{path}: is not there."
        elif digest(path.read_bytes()) != known:
            yield f"{path}: is torn or was changed since; the numbers are not from it."


def _json(path: Path) -> dict[str, Any] | None:
    """Read a mapping, or nothing where none is whole."""
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return told if isinstance(told, dict) else None
