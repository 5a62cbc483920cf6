"""Import a class from a file that a user edits: always from the bytes that lie there now."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import FileFinder, ModuleSpec, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType

from janus_sim.errors import InputError, Mistake
from janus_sim.files import digest, nearest
from janus_sim.scenario.outside import outside, package

_REFERENCE = re.compile(r"([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*):([A-Za-z_]\w*)")
_loaded: dict[str, tuple[Path, str]] = {}  # modules imported here: their file and the digest of its bytes
_mine: set[str] = set()  # the same, and the folders that they lie in as packages


def load_class(reference: str, folders: Sequence[Path], where: str = "") -> type:
    """Import ``module:Class`` from the first of some folders that has it, or from what is installed.

    A file that changed since the last call is run again, with all that was imported beside it; no compiled
    cache is read, so an edited class is never taken for the old one.

    Raises
    ------
    InputError
        When the module or the class is not there, or the module does not run.
    """
    match = _REFERENCE.fullmatch(reference)
    if match is None:
        raise InputError(Mistake(where, f'"{reference}" is not a class; write "module:Class"'))
    try:
        module = _module(match[1], [folder.resolve() for folder in folders], where)
    except InputError:
        raise
    except Exception as error:  # whatever a user's module raises is told, not thrown
        raise InputError(
            Mistake(where, f"cannot import {match[1]}: {type(error).__name__}: {error}")
        ) from error
    found = getattr(module, match[2], None)
    if not isinstance(found, type):
        classes = [name for name, value in vars(module).items() if isinstance(value, type)]
        raise InputError(Mistake(where, f"{match[1]} has no class {match[2]}{nearest(match[2], classes)}"))
    return found


def sources(reference: str, folders: Sequence[Path]) -> dict[str, str]:
    """Give the SHA-256 of each file behind a reference, by module name; import it first.

    Beside its own file these are the modules that it imports from its folders, and the packages that these
    import from elsewhere (by their version, or their files); for an installed class all files of its package.
    A class of a notebook has no file: the cells that have run so far stand for it.

    Raises
    ------
    InputError
        For a class of which no source is left, typed into Python itself.
    """
    load_class(reference, folders)
    name = reference.partition(":")[0]
    if name in _loaded:
        found = {module: sha for module, (_, sha) in sorted(_loaded.items())}
        return found | outside(_loaded.values(), found)
    if name == "__main__" and getattr(sys.modules[name], "__file__", None) is None:
        return {name: digest("\n".join(_cells(reference)).encode())}
    top = name.partition(".")[0]
    return {} if top == "janus_sim" else package(top, whole=True)  # the version of the model tells of its own


def _cells(reference: str) -> Sequence[str]:
    cells: Sequence[str] | None = getattr(sys.modules["__main__"], "In", None)
    if cells is None:
        words = "was typed into Python, and no source of it is left; write it into a file"
        raise InputError(Mistake(reference, words))
    return cells


def _module(name: str, folders: Sequence[Path], where: str) -> ModuleType:
    path = None if name.partition(".")[0] == "janus_sim" else _file(name, folders)
    if path is None:
        return importlib.import_module(name)
    known = _loaded.get(name)
    if name in sys.modules and known is not None and known[0] == path and _unchanged():
        return sys.modules[name]
    _forget()
    present = getattr(sys.modules.get(name), "__file__", None)
    if name in sys.modules and (present is None or Path(present).resolve() != path):
        raise InputError(Mistake(where, f"a module called {name} is loaded already; rename {path.name}"))
    sys.modules.pop(name, None)
    finder = _Finder(name, folders)
    sys.meta_path.insert(0, finder)
    try:
        return importlib.import_module(name)
    except BaseException:
        _forget()
        raise
    finally:
        sys.meta_path.remove(finder)


def _file(name: str, folders: Sequence[Path]) -> Path | None:
    parts = name.replace(".", "/")
    tries = (folder / tail for folder in folders for tail in (f"{parts}.py", f"{parts}/__init__.py"))
    return next((path.resolve() for path in tries if path.is_file()), None)


def _unchanged() -> bool:
    return all(path.is_file() and digest(path.read_bytes()) == sha for path, sha in _loaded.values())


def _forget() -> None:
    for name in _mine:
        sys.modules.pop(name, None)
    _mine.clear()
    _loaded.clear()


class _Source(SourceFileLoader):
    """Compile the bytes of a file, whatever lies in a cache beside it."""

    def get_code(self, fullname: str) -> CodeType:
        data = self.get_data(self.path)
        _loaded[fullname] = (Path(self.path).resolve(), digest(data))
        return compile(data, self.path, "exec", dont_inherit=True)


class _Finder(MetaPathFinder):
    """Find the wanted module and what lies beside it, before anything installed."""

    def __init__(self, wanted: str, folders: Sequence[Path]) -> None:
        self.wanted = wanted
        self.folders = [str(folder) for folder in folders]

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,
        target: ModuleType | None = None,
    ) -> ModuleSpec | None:
        parent = fullname.rpartition(".")[0]
        top = fullname.partition(".")[0]
        if (parent and parent not in _mine) or top in sys.stdlib_module_names or top == "janus_sim":
            return None
        for entry in path or self.folders:
            spec = FileFinder(entry, (_Source, [".py"])).find_spec(fullname)
            if spec is not None and (spec.loader is not None or f"{self.wanted}.".startswith(f"{fullname}.")):
                _mine.add(fullname)
                return spec
        return None
