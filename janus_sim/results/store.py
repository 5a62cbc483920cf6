"""A folder of results: each run packed under a key, `scenarios.json` that says which is what, and tables."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from janus_sim.errors import InputError, Mistake
from janus_sim.files import digest
from janus_sim.results import reading
from janus_sim.results.pack import Head, pack, plain, read_head, unpack
from janus_sim.results.reading import AGAIN, INDEX, RUNS

if TYPE_CHECKING:
    import pandas as pd

    from janus_sim.results.result import Result

DETAILED = "give its `janus-sim run` again with a larger --details, or ask for fewer scenarios"


class Store:
    """Packed results in the folder `runs` of another, each in a file named by its key.

    A file is written under another name and then renamed, so that it is there whole or not at all; one that
    is torn nevertheless (a power cut) is known by its checksum and counts as missing.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder) / RUNS

    def path(self, key: str) -> Path:
        """Say where a result lies."""
        return self.folder / f"{key}.run"

    def put(self, key: str, data: bytes) -> None:
        """Keep a packed result."""
        self.folder.mkdir(parents=True, exist_ok=True)
        temporary = self.folder / f".{key}-{os.getpid()}"
        temporary.write_bytes(data)
        temporary.replace(self.path(key))

    def head(self, key: str) -> Head | None:
        """Read the figures of a result, or nothing where none is whole."""
        try:
            return read_head(self.path(key).read_bytes())
        except (OSError, ValueError):
            return None

    def result(self, key: str, scenario: Mapping[str, Any]) -> Result:
        """Read a result with its record.

        Raises
        ------
        InputError
            When it is not there, or only its row was kept.
        """
        name = str(scenario.get("name", key))
        try:
            return unpack(self.path(key).read_bytes(), scenario)
        except KeyError:
            words = f"of this scenario only the row of the table was kept; {DETAILED}"
        except FileNotFoundError:
            words = f"its run is not there ({self.path(key)}); {AGAIN}"
        except (OSError, ValueError):
            words = f"its run is torn ({self.path(key)}); {AGAIN}"
        raise InputError(Mistake(f"{self.folder.parent}: {name}", words))

    def drop_others(self, keys: Sequence[str]) -> None:
        """Delete whatever is not one of these results."""
        kept = {self.path(key).name for key in keys}
        for path in self.folder.iterdir() if self.folder.is_dir() else ():
            if path.name not in kept:
                path.unlink()


class Results(Sequence["Result"]):
    """The results of one folder, or of several that belong together; each is read when it is looked at.

    Examples
    --------
    >>> import tempfile
    >>> from janus_sim import Scenario, simulate
    >>> from janus_sim.results.store import open_results, save
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save([simulate(Scenario(topology="two_gpus", workload="moe_bert", policy="janus"))], folder)
    ...     open_results(folder).table()["policy"].tolist()
    ['janus']
    """

    def __init__(self, folders: Sequence[Path]) -> None:
        self.folders = tuple(folders)

    @cached_property
    def _rows(self) -> tuple[tuple[int, int, dict[str, Any]], ...]:
        """Folder, row of its summary, and entry of its `scenarios.json`; what stands twice is taken once."""
        found: dict[str, tuple[int, int, dict[str, Any]]] = {}
        for number, folder in enumerate(self.folders):
            for row, entry in enumerate(reading.entries(folder / INDEX)):
                found.setdefault(_identity(entry), (number, row, entry))
        rows = list(found.values())
        if self._one_sweep(entry for _, _, entry in rows):
            rows.sort(key=lambda row: row[2].get("place", 0))
        return tuple(rows)

    @staticmethod
    def _one_sweep(entries: Iterable[Mapping[str, Any]]) -> bool:
        return len({entry["scenario"].get("experiment") for entry in entries}) == 1

    @cached_property
    def _done(self) -> tuple[tuple[int, dict[str, Any]], ...]:
        return tuple((folder, entry) for folder, _, entry in self._rows if "error" not in entry)

    @property
    def scenarios(self) -> tuple[Mapping[str, Any], ...]:
        """What was run, of each result; quick."""
        return tuple(entry["scenario"] for _, entry in self._done)

    @property
    def failures(self) -> tuple[tuple[Mapping[str, Any], str], ...]:
        """What failed, each with its error."""
        return tuple((one["scenario"], str(one["error"])) for _, _, one in self._rows if "error" in one)

    @property
    def baseline(self) -> str | None:
        """The policy that the others are compared with, if the folder says one."""
        told = (entry["scenario"] for _, _, entry in self._rows)
        return next((str(one.get("policy", "")) for one in told if one.get("baseline")), None)

    def table(self) -> pd.DataFrame:
        """Return one row a scenario, failed ones too; speedups over the baseline in any of the folders.

        A notebook shows it in words; `to_latex()` writes them for a paper.

        Raises
        ------
        InputError
            When a table is not there or torn.
        """
        from janus_sim.results.table import Table

        return Table(self._table())

    def _table(self) -> pd.DataFrame:
        import pandas as pd

        from janus_sim.results import tables

        read = [reading.summary(folder) for folder in self.folders]
        if len(read) == 1:
            return read[0]
        whole = pd.concat(read, ignore_index=True)
        starts = [sum(map(len, read[:number])) for number in range(len(read))]
        table = whole.iloc[[starts[folder] + row for folder, row, _ in self._rows]].reset_index(drop=True)
        told = [entry["scenario"] for _, _, entry in self._rows]
        table = table[tables.ordered(table.columns, [one.get("point", {}) for one in told])]
        known = self.baseline and "step_time_s" in table
        one_sweep = known and self._one_sweep(entry for _, _, entry in self._rows)
        return tables.add_speedup(table, self.baseline or "") if one_sweep else table

    def __len__(self) -> int:
        return len(self._done)

    @overload
    def __getitem__(self, index: int) -> Result: ...
    @overload
    def __getitem__(self, index: slice) -> list[Result]: ...
    def __getitem__(self, index: int | slice) -> Result | list[Result]:
        if isinstance(index, slice):
            return [self[one] for one in range(*index.indices(len(self)))]
        folder, entry = self._done[index]
        return Store(self.folders[folder]).result(entry["key"], entry["scenario"])

    def __iter__(self) -> Iterator[Result]:
        return (self[index] for index in range(len(self)))

    def __repr__(self) -> str:
        return f"<{len(self)} results in {', '.join(map(str, self.folders))}>"

    def _repr_html_(self) -> str:
        from janus_sim.results import notebook

        return notebook.table(self.table(), self._gaps())

    def _gaps(self) -> str:
        """Say that shards of a sweep are missing."""
        entries = [entry for _, _, entry in self._rows]
        places = {entry.get("place", 0) for entry in entries} if self._one_sweep(entries) else set()
        many = max(places, default=-1) + 1 - len(places)
        return f"At least {many} rows of the grid are in none of these folders." if many else ""


def open_results(*folders: Path | str) -> Results:
    """Open the results of one folder, or of the shards of one sweep; without the simulator.

    Raises
    ------
    InputError
        If a folder holds no results, or a sweep that is not finished.
    """
    mistakes = [told for folder in folders if (told := reading.missing(Path(folder)))]
    if mistakes or not folders:
        raise InputError(mistakes or Mistake("open_results", "is told no folder"))
    return Results([Path(folder) for folder in folders])


def open_one(folder: Path | str) -> Result:
    """Read the one result of a folder."""
    results = open_results(folder)
    if len(results) != 1:
        raise InputError(Mistake(str(folder), f"holds {len(results)} results; read them with open_results"))
    return results[0]


def save(results: Sequence[Result], folder: Path | str, summary: pd.DataFrame | None = None) -> None:
    """Write results into a folder: packed, as `scenarios.json`, and as tables for people and other tools.

    Parameters
    ----------
    folder
        Must exist or have a parent.
    summary
        The table with its speedups; by default rows without.
    """
    from janus_sim.results import export, tables

    folder = Path(folder)
    folder.mkdir(exist_ok=True)
    store, entries = Store(folder), []
    for place, result in enumerate(results):
        described = plain(result.scenario)
        key = digest(json.dumps(described, sort_keys=True).encode())
        store.put(key, pack(result))
        entries.append({"place": place, "key": key, "scenario": described})
    table = tables.summary(results) if summary is None else summary
    export.write(folder, entries, table, results)


def write_csv(table: pd.DataFrame, path: Path) -> None:
    """Write a table with the shortest digits that read back as the same float, whole bytes without point."""
    table = table.copy()
    for name in table.columns:
        if str(name).endswith("_bytes") and table[name].dtype == "float64" and (table[name] % 1 == 0).all():
            table[name] = table[name].astype("int64")
    path.write_text(table.to_csv(index=False, lineterminator="\n"), encoding="utf-8", newline="\n")


def _identity(entry: Mapping[str, Any]) -> str:
    return json.dumps([entry.get("key"), entry["scenario"]], sort_keys=True)
