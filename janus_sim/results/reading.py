"""The tables and the index of a folder of results: read whole, or refused in words that name the file."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from janus_sim.errors import InputError, Mistake

if TYPE_CHECKING:
    import pandas as pd

RUNS, INDEX, UNFINISHED, MARK = "runs", "scenarios.json", "sweep.json", "provenance.json"
AGAIN = (
    "give the `janus-sim` command that wrote the folder again: runs that are whole are not computed again, "
    "tables are written anew"
)
#: Columns that are words, even where all of them look like numbers.
WORDS = ("scenario", "topology", "workload", "precision", "policy", "schedule", "error", "range")


def entries(path: Path) -> list[dict[str, Any]]:
    """Read `scenarios.json`.

    Raises
    ------
    InputError
        When it is torn, or something else.
    """
    read = json_of(path)
    if not isinstance(read, list) or not all(map(_is_entry, read)):
        raise broken(path, "is JSON, but no list of scenarios")
    return read


def json_of(path: Path) -> Any:  # noqa: ANN401
    """Read a file of JSON."""
    try:
        return json.loads(_text(path))
    except (ValueError, RecursionError):
        raise broken(path, "is no whole JSON") from None


def _is_entry(one: object) -> bool:
    if not (isinstance(one, dict) and isinstance(one.get("scenario"), dict)):
        return False
    point = one["scenario"].get("point", {})
    return isinstance(point, dict) and isinstance(one.get("key", ""), str)


def summary(folder: Path) -> pd.DataFrame:
    """Read the table of a folder, whose rows are those of its index."""
    names = [str(entry["scenario"].get("name", "")) for entry in entries(folder / INDEX)]
    table = rows(folder / "summary.csv", many=len(names))
    if table.get("scenario", table.index).fillna("").tolist() != names:
        raise broken(folder / "summary.csv", f"tells of other scenarios than {INDEX}")
    return table


def rows(path: Path, numbers: Sequence[str] = (), many: int | None = None) -> pd.DataFrame:
    """Read a table of comma-separated values.

    Parameters
    ----------
    path : Path
    numbers : sequence of str
        Columns that must be there and hold numbers.
    many : int, optional
        Rows that it must have.

    Raises
    ------
    InputError
        When it is not there, torn, or something else.
    """
    import pandas as pd

    text = _text(path)
    if wrong := _torn(text):
        raise broken(path, wrong)
    types = dict.fromkeys(WORDS, "str")  # an empty cell is nothing; a policy may be called None
    table = pd.read_csv(io.StringIO(text), keep_default_na=False, na_values=[""], dtype=types)
    for name in numbers:
        if name not in table:
            raise broken(path, f'has no column "{name}"')
        if not (pd.api.types.is_numeric_dtype(table[name]) or table[name].isna().all()):
            raise broken(path, f'holds words in the column "{name}"')
    if many is not None and len(table) != many:
        raise broken(path, f"has {len(table)} rows instead of {many}")
    return table


def _torn(text: str) -> str:
    """Say why a text is no whole table, or nothing: pandas would fill short rows up."""
    if not text.strip():
        return "is empty"
    if not text.endswith("\n"):
        return "ends in the middle of a line"
    try:
        widths = [len(row) for row in csv.reader(io.StringIO(text), strict=True)]
    except csv.Error as error:
        return f"is no table ({error})"
    short = next((line for line, width in enumerate(widths, start=1) if width != widths[0]), None)
    return "" if short is None else f"has {widths[short - 1]} cells in row {short} instead of {widths[0]}"


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise broken(path, "is not there") from None
    except UnicodeDecodeError:
        raise broken(path, "is not text") from None
    except OSError as error:
        raise broken(path, f"cannot be read ({(error.strerror or str(error)).lower()})") from None


def broken(path: Path, what: str) -> InputError:
    """Say what is wrong with a file, and how it becomes whole."""
    return InputError(Mistake(f"{path}:", f"{what}; {AGAIN}"))


def missing(folder: Path) -> Mistake | None:
    """Say why a folder holds no results, or nothing where it does."""
    if (folder / UNFINISHED).is_file() and not ((folder / INDEX).is_file() and (folder / MARK).is_file()):
        many = len(list((folder / RUNS).glob("*.run")))
        words = f"holds a sweep that is not finished ({many} runs are done); give its `janus-sim run` again"
        return Mistake(str(folder), words)
    if (folder / INDEX).exists():
        return None
    wanted = "write a folder that `janus-sim run` has filled"
    if folder.is_file():
        beside = folder.parent if (folder.parent / INDEX).is_file() else None
        return Mistake(
            str(folder), f"is a file; {wanted if beside is None else f'write its folder, {beside}'}"
        )
    if not folder.is_dir():
        return Mistake(str(folder), f"there is no such folder; {wanted}")
    if (folder / RUNS).is_dir():
        return Mistake(str(folder / INDEX), f"is not there; {AGAIN}")
    inside = sorted(str(path.parent) for path in folder.glob(f"*/{INDEX}"))
    nearer = f"write one of {', '.join(inside[:8])}" if inside else wanted
    return Mistake(str(folder), f"holds no results; {nearer}")
