"""What code of a user's imports from elsewhere: packages that are installed, or found along the path."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from importlib.machinery import ModuleSpec
from importlib.metadata import packages_distributions, version
from importlib.util import find_spec
from pathlib import Path

from janus_sim.files import digest

INSTALLED = {"site-packages", "dist-packages"}


def outside(files: Iterable[tuple[Path, str]], beside: Iterable[str]) -> dict[str, str]:
    """Give a SHA-256 of each package that some files import, wherever in them.

    Parameters
    ----------
    files : iterable of (Path, str)
        Python files, each with the digest of its bytes.
    beside : iterable of str
        Modules that are known already.
    """
    known = {name.partition(".")[0] for name in beside} | {"janus_sim", *sys.stdlib_module_names}
    tops = {top for path, sha in files for top in _imports(str(path), sha)} - known
    return {name: sha for top in sorted(tops) for name, sha in package(top).items()}


@cache
def package(top: str, *, whole: bool = False) -> dict[str, str]:
    """Give what tells a version of a package from another, as of the first time that it is asked for.

    Python does not import a package twice, so neither is it looked at twice.

    Parameters
    ----------
    top : str
        Its name.
    whole : bool
        Read its files also where a distribution with a version has put them.

    Examples
    --------
    >>> list(package("numpy"))[0].startswith("numpy ")
    True
    """
    spec = find_spec(top)
    if spec is None:  # imported in a `try`, and not there
        return {}
    names = packages_distributions().get(top, [])
    if names and not whole and _places(spec) and INSTALLED & {*_places(spec)[0].parts}:
        told = f"{top} {version(names[0])}"
        return {told: digest(told.encode())}
    return dict(_files(top, spec))


def _files(top: str, spec: ModuleSpec) -> Iterator[tuple[str, str]]:
    for place in _places(spec):
        if place.is_file():
            yield top, digest(place.read_bytes())
        for path in sorted(place.rglob("*.py")) if place.is_dir() else ():
            yield ".".join([top, *path.relative_to(place).with_suffix("").parts]), digest(path.read_bytes())


def _places(spec: ModuleSpec) -> list[Path]:
    """Return the folders of a package, or the file of a module."""
    if spec.submodule_search_locations is not None:
        return [Path(place) for place in spec.submodule_search_locations]
    return [Path(spec.origin)] if spec.origin and spec.has_location else []


@cache
def _imports(path: str, sha: str) -> frozenset[str]:
    """Return the first words of what a file imports; `sha` tells one version of it from another."""
    found = set[str]()
    for node in ast.walk(ast.parse(Path(path).read_bytes())):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.partition(".")[0])
    return frozenset(found)
