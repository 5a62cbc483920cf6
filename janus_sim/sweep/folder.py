"""The folder of a sweep: begun with a mark, filled run by run, finished with its tables.

What lies in it, and when:

- `sweep.json` from the first moment until the tables are whole: an unfinished sweep, to be gone on with;
- `runs/KEY.run`, each finished run, under the hash of all that it depends on;
- the tables, figures, `scenarios.json` and, last of all, `provenance.json`: a result.

An earlier result stays as it is while a new sweep of the folder runs; then each file is replaced and all
others are deleted, so that the folder is as if the sweep had been run into an empty one. Runs of the earlier
result that the new one wants too are taken over.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from janus_sim.files import check_folder, write_whole
from janus_sim.results.reading import MARK, RUNS, UNFINISHED
from janus_sim.results.store import Store


class Folder:
    """Where one sweep keeps its runs and, at its end, its tables."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        check_folder(self.path)
        self.store = Store(self.path)

    def begin(self, told: dict[str, object]) -> None:
        """Mark the folder as an unfinished sweep; it is there with its mark, or not at all."""
        text = (json.dumps(told, indent=1) + "\n").encode()
        if self.path.is_dir() and any(self.path.iterdir()):
            write_whole(self.path / UNFINISHED, text)
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=f".{self.path.name}-", dir=self.path.parent))
        try:
            (work / UNFINISHED).write_bytes(text)
            work.chmod(0o777 & ~_umask())
            work.rename(self.path)
        finally:
            shutil.rmtree(work, ignore_errors=True)

    def leave(self) -> None:
        """Take the mark away again when nothing was done, and the folder if it is empty then."""
        if not any((self.path / RUNS).glob("*.run")) or (self.path / MARK).is_file():
            (self.path / UNFINISHED).unlink(missing_ok=True)
        if (self.path / RUNS).is_dir() and not any((self.path / RUNS).iterdir()):
            (self.path / RUNS).rmdir()
        if self.path.is_dir() and not any(self.path.iterdir()):
            self.path.rmdir()

    def finish(self, fill: Callable[[Path], None], keys: Sequence[str]) -> None:
        """Fill a folder inside this one, then move everything to its place.

        Parameters
        ----------
        fill : callable
            Writes the tables, the figures and `provenance.json` into the folder that it is given.
        keys : sequence of str
            The runs that stay.
        """
        new = Path(tempfile.mkdtemp(prefix=".new-", dir=self.path))
        try:
            fill(new)
            (self.path / MARK).unlink(missing_ok=True)
            names = sorted((path.name for path in new.iterdir()), key=lambda name: (name == MARK, name))
            for name in names:
                _remove(self.path / name, folders_only=True)
                (new / name).replace(self.path / name)
            kept = {*names, RUNS, UNFINISHED, new.name}
            for path in self.path.iterdir():
                if path.name not in kept:
                    _remove(path)
            self.store.drop_others(keys)
            (self.path / UNFINISHED).unlink(missing_ok=True)
        finally:
            shutil.rmtree(new, ignore_errors=True)


def _remove(path: Path, folders_only: bool = False) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    elif not folders_only:
        path.unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
