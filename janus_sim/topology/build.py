"""From a specification to links and places: machines side by side, a fabric, the overrides of time 0."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import lru_cache
from pathlib import Path

from janus_sim.errors import InputError, Mistake
from janus_sim.files import layered, nearest
from janus_sim.topology.check import machines_of
from janus_sim.topology.gpu import GpuKind
from janus_sim.topology.machine import MachineSpec
from janus_sim.topology.place import GpuChange, GpuPlace, HostSettings, Link, LinkChange, MachinePlace
from janus_sim.topology.spec import OverrideSpec, TopologySpec
from janus_sim.topology.wiring import Wiring

At = Callable[[str], str]


@dataclass(slots=True)
class Site:
    """A machine in the cluster: its wiring, and where its links and ranks begin."""

    wiring: Wiring
    first_link: int
    first_rank: int


@dataclass(slots=True)
class Parts:
    """All that a topology is made of."""

    links: list[Link]
    gpus: list[GpuPlace]
    machines: list[MachinePlace]
    sites: list[Site]
    leaves: dict[int, tuple[int, int]]  #: of each machine, its leaf's first link up and first link down
    changes: list[LinkChange | GpuChange]


def build(spec: TopologySpec, at: At, beside: Path | None = None) -> Parts:
    """Build the parts of a topology that was checked.

    Parameters
    ----------
    spec : TopologySpec
    at : function
        From a path into the file to the place that an error names.
    beside : Path, optional
        A folder to look in for the file of a GPU.

    Raises
    ------
    InputError
        For an unknown GPU, or an override that matches nothing.
    """
    parts = Parts([], [], [], [], {}, [])
    counts = [group.machines for group in spec.mixed] or [spec.machines or 0]
    for (path, machine), count in zip(machines_of(spec), counts, strict=True):
        name = machine.gpus.kind
        own = _beside(name, beside)
        wiring, kind = wired(machine), GpuKind.load(name, where=at(f"{path}.gpus.kind"), beside=own)
        if machine.gpus.hbm_efficiency is not None:
            kind = kind.change(hbm_efficiency=machine.gpus.hbm_efficiency)
        for _ in range(count):
            _place(parts, wiring, kind)
    _check_sms(spec, parts.gpus, at)
    if spec.fabric.type == "leaf_spine":
        _leaves(parts, spec)
    _override(parts, spec, at)
    return parts


def gpu_files(spec: TopologySpec, beside: Path | None = None) -> tuple[Path, ...]:
    """List the files of the kinds of GPUs, each followed by what it is based on; parameters as of `build`.

    Examples
    --------
    >>> from janus_sim.topology.resolve import resolve
    >>> [path.name for path in gpu_files(resolve("a100_4x8").spec)]
    ['a100-sxm4-80gb.yaml']
    """
    kinds = dict.fromkeys(machine.gpus.kind for _, machine in machines_of(spec))
    found = [path for kind in kinds for path in layered("topologies/gpus", kind, _beside(kind, beside))[1]]
    return tuple(dict.fromkeys(found))


def _beside(kind: str, folder: Path | None) -> Path | None:
    """Return where to look for a kind of GPU: a file of one's own lies beside the topology that names it."""
    return folder if kind.endswith((".yaml", ".yml")) else None


@lru_cache(maxsize=64)
def wired(machine: MachineSpec) -> Wiring:
    """Wire a kind of machine, once."""
    return Wiring(machine)


def _check_sms(spec: TopologySpec, gpus: list[GpuPlace], at: At) -> None:
    """Refuse a collective that would hold more SMs than a GPU has."""
    least = min(gpu.kind.sms for gpu in gpus)
    found = [
        Mistake(at(f"communication.sms.{word}"), f"holds {held} of the {least} SMs of a GPU; write fewer")
        for word, held in spec.communication.sms
        if held >= least
    ]
    if found:
        raise InputError(found)


def _place(parts: Parts, wiring: Wiring, kind: GpuKind) -> None:
    """Set one more machine beside the others."""
    index, link, rank = len(parts.machines), len(parts.links), len(parts.gpus)
    spec = wiring.spec
    parts.sites.append(Site(wiring, link, rank))
    for one in wiring.links:
        parts.links.append(replace(one, index=link + one.index, name=f"m{index}.{one.name}", machine=index))
    ranks = tuple(range(rank, rank + spec.gpus.count))
    for local, (switch, nic) in enumerate(zip(wiring.gpu_switch, wiring.gpu_nic, strict=True)):
        parts.gpus.append(GpuPlace(ranks[local], index, local, kind, switch, nic))
    host = HostSettings(spec.host.launch, spec.host.gap, spec.host.sync, spec.host.jitter)
    switches = tuple(
        tuple(ranks[gpu] for gpu, own in enumerate(wiring.gpu_switch) if own == switch)
        for switch in range(spec.pcie.switches)
    )
    parts.machines.append(MachinePlace(index, ranks, wiring.nics, switches, host, spec.host.memory))


def _leaves(parts: Parts, spec: TopologySpec) -> None:
    """Give every so many machines a leaf: links up to the spines and as many down, that share its rate."""
    fabric = spec.fabric
    size, planes, latency = fabric.machines_per_leaf or 1, fabric.planes, fabric.latency / 2
    nics: dict[int, list[float]] = {machine.index // size: [] for machine in parts.machines}
    for link in parts.links:
        if link.crosses:
            nics[link.machine // size].append(link.capacity)
    for leaf, capacities in nics.items():
        capacity, first = sum(capacities) / fabric.oversubscription / planes, len(parts.links)
        for way in ("up", "down"):
            for spine in range(planes):
                name = f"leaf{leaf}.spine{spine}.{way}" if fabric.hashed else f"leaf{leaf}.{way}"
                parts.links.append(Link(len(parts.links), name, "fabric", -1, capacity, latency))
        below = range(leaf * size, min((leaf + 1) * size, len(parts.machines)))
        parts.leaves.update((machine, (first, first + planes)) for machine in below)


def _override(parts: Parts, spec: TopologySpec, at: At) -> None:
    """Apply the overrides of time 0 and list the later ones by time, those of one time as written."""
    found: list[Mistake] = []
    for index, override in enumerate(spec.overrides):
        found += [Mistake(at(f"overrides.{index}.{path}"), text) for path, text in _changes(parts, override)]
    if found:
        raise InputError(found)
    now = [change for change in parts.changes if change.time == 0.0]
    for change in now:
        if isinstance(change, LinkChange):
            parts.links[change.link] = replace(parts.links[change.link], capacity=change.capacity)
        else:
            parts.gpus[change.rank] = replace(parts.gpus[change.rank], speed=change.speed)
    later = [change for change in parts.changes if change.time > 0.0]
    parts.changes = sorted(later, key=lambda change: change.time)


def _changes(parts: Parts, override: OverrideSpec) -> list[tuple[str, str]]:
    """Write one override out as changes; give mistakes as path and message."""
    if override.links is not None:
        matching = [link for link in parts.links if fnmatchcase(link.name, override.links)]
        for link in matching:
            scaled = link.capacity * (override.scale or 1.0)
            capacity = scaled if override.bandwidth is None else override.bandwidth
            parts.changes.append(LinkChange(override.at, link.index, capacity))
        names = [link.name for link in parts.links]
        hint = nearest(override.links, names) or f'; links are named like "{names[0]}"'
        return [] if matching else [("links", f'"{override.links}" matches no link{hint}')]
    world, wrong = len(parts.gpus), [rank for rank in override.gpus or () if rank >= len(parts.gpus)]
    for rank in override.gpus or ():
        parts.changes.append(GpuChange(override.at, rank, override.speed or 1.0))
    return [("gpus", f"there is no GPU {rank}; ranks go from 0 to {world - 1}") for rank in wrong]
