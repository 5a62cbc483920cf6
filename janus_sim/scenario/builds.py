"""What many scenarios of one process share: topologies and digests, each while its files stay as they are."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from janus_sim.files import digest, layered, stamp_of

if TYPE_CHECKING:
    from janus_sim.topology import Topology
    from janus_sim.workload.spec import WorkloadSpec

TOPOLOGIES, SMALL = 64, 4096  #: how many are remembered: topologies are large, the others are not

T = TypeVar("T")
Written = str | Mapping[str, Any]
Files = tuple[Path, ...]


class Remembered(Generic[T]):
    """Values by a name, each with the files that it was made of; made again when one of them changed."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.known: dict[str, tuple[T, dict[Path, tuple[int, ...]]]] = {}

    def get(self, name: str, make: Callable[[], tuple[T, Files]]) -> T:
        """Return the value of a name."""
        if name in self.known:
            value, stamps = self.known[name]
            if all(stamp_of(path) == stamp for path, stamp in stamps.items()):
                return value
        value, files = make()
        while len(self.known) >= self.most:
            self.known.pop(next(iter(self.known)))
        self.known[name] = value, {path: stamp_of(path) for path in files}
        return value


_topologies: Remembered[Topology] = Remembered(TOPOLOGIES)
_specs: Remembered[WorkloadSpec] = Remembered(SMALL)
_files: Remembered[dict[str, str]] = Remembered(SMALL)
_digests: Remembered[str] = Remembered(SMALL)


def topology(written: Written, beside: Path | None, where: str) -> Topology:
    """Build a topology, or give the one that was built before: it is a frozen value."""
    from janus_sim.topology import Topology

    def build() -> tuple[Topology, Files]:
        built = Topology.load(written, beside=beside, where=where)
        return built, tuple(named("topologies", written, beside).values())

    return _topologies.get(_name(written, beside), build)


def workload_spec(written: Written, beside: Path | None, where: str) -> WorkloadSpec:
    """Read a workload, or give the one that was read before."""
    from janus_sim.workload.spec import WorkloadSpec

    def read() -> tuple[WorkloadSpec, Files]:
        return WorkloadSpec.load(written, where, beside), files("workloads", written, beside)

    return _specs.get(_name(written, beside), read)


def inputs(room: str, written: Written, beside: Path | None) -> dict[str, str]:
    """Give the SHA-256 of each file behind a topology or a workload, by a name that holds on any machine."""

    def read() -> tuple[dict[str, str], Files]:
        paths = named(room, written, beside)
        return {name: digest(path.read_bytes()) for name, path in paths.items()}, tuple(paths.values())

    return dict(_files.get(_name([room, written], beside), read))


def digest_of(path: Path) -> str:
    """Give the SHA-256 of a file."""
    return _digests.get(str(path), lambda: (digest(path.read_bytes()), (path,)))


def named(room: str, written: Written, beside: Path | None) -> dict[str, Path]:
    """Give each file behind a topology or a workload, kinds of GPUs too, a name that holds on any machine."""
    from janus_sim.topology.build import gpu_files
    from janus_sim.topology.resolve import resolve

    paths = {f"{room}/{path.name}": path for path in files(room, written, beside)}
    if room == "topologies":
        spec, _, folder = resolve(written, beside)
        paths |= {f"{room}/gpus/{path.name}": path for path in gpu_files(spec, folder)}
    return paths


def files(room: str, written: object, beside: Path | None) -> Files:
    """List the files that a topology or a workload is laid over, also those of mixed machines."""
    data, paths = layered(room, written, beside)  # type: ignore[arg-type]
    kinds = data.get("mixed") if isinstance(data.get("mixed"), tuple) else ()
    for entry in kinds or ():
        if isinstance(entry, Mapping) and "base" in entry:
            paths += layered(room, entry["base"], beside)[1]
    return tuple(dict.fromkeys(paths))


def _name(written: object, beside: Path | None) -> str:
    return json.dumps([written, str(beside), os.getcwd()], sort_keys=True)  # noqa: PTH109 - far quicker
