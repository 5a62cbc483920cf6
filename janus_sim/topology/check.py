"""Contradictions in a topology that a single field does not show, each with its path."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from janus_sim.errors import Mistake
from janus_sim.topology.machine import MachineSpec
from janus_sim.topology.spec import LinesSpec, TopologySpec

_WORDS = ("all_to_all", "all_reduce", "pull")
MOST_GPUS = 16_384  #: more are refused, as a slip of the pen


def mistakes(spec: TopologySpec, at: Callable[[str], str]) -> list[Mistake]:
    """Find all contradictions.

    Parameters
    ----------
    spec : TopologySpec
    at : function
        From a path into the file to the place that an error names.
    """
    found = [*_machines(spec)]
    for path, machine in machines_of(spec):
        found += [(f"{path}.{inner}", message) for inner, message in _machine(machine)]
    if not found:
        found += [*_reach(spec), *_transfers(spec)]
    return [Mistake(at(path), message) for path, message in found]


def machines_of(spec: TopologySpec) -> list[tuple[str, MachineSpec]]:
    """List the kinds of machines with their paths."""
    if spec.mixed:
        return [(f"mixed.{index}.machine", group.machine) for index, group in enumerate(spec.mixed)]
    return [("machine", spec.machine)] if spec.machine is not None else []


def world_machines(spec: TopologySpec) -> int:
    """Count the machines."""
    return sum(group.machines for group in spec.mixed) if spec.mixed else spec.machines or 0


def _machines(spec: TopologySpec) -> Iterator[tuple[str, str]]:
    if spec.mixed and spec.machines is not None:
        yield "machines", "stands beside mixed; write the number in each entry of mixed"
    if not spec.mixed and spec.machines is None:
        wish = "the number is left open; write machines: N" if spec.machine else "is missing"
        yield "machines", f"{wish}, as in {{base: {spec.name}, machines: 4}}" if spec.machine else wish
    world = sum(group.machines * group.machine.gpus.count for group in spec.mixed)
    world += (spec.machines or 0) * (spec.machine.gpus.count if spec.machine else 0)
    if world > MOST_GPUS:
        yield "machines", f"have {world:,} GPUs together; write at most {MOST_GPUS:,}"
    if not spec.mixed and spec.machine is None:
        yield "machine", "is missing; write the machine or a base"


def _machine(machine: MachineSpec) -> Iterator[tuple[str, str]]:
    gpus, pcie, nics, sockets = machine.gpus.count, machine.pcie, machine.nics, machine.sockets.count
    yield from _attached("pcie.gpus", pcie.gpus, gpus, "GPU", pcie.switches, "switch")
    yield from _attached("pcie.sockets", pcie.sockets, pcie.switches, "switch", sockets, "socket")
    if nics is not None:
        yield from _attached("nics.switches", nics.switches, nics.count, "NIC", pcie.switches, "switch")
    seen: set[frozenset[int]] = set()
    for index, pair in enumerate(machine.nvlink.pairs):
        path, ends = f"nvlink.pairs.{index}.gpus", frozenset(pair.gpus)
        if max(pair.gpus) >= gpus:
            yield path, f"there is no GPU {max(pair.gpus)}; the machine has {gpus}, counted from 0"
        if len(ends) == 1:
            yield path, "a GPU is no pair with itself"
        if ends in seen:
            yield path, f"the pair {min(ends)}, {max(ends)} stands twice; add up the bandwidth"
        seen.add(ends)


def _attached(
    path: str, places: tuple[int, ...] | None, count: int, thing: str, among: int, place: str
) -> Iterator[tuple[str, str]]:
    if places is None:
        return
    if len(places) != count:
        yield path, f"names {len(places)} places for {count} {thing}s; write one {place} for each {thing}"
    if places and max(places) >= among:
        yield path, f"there is no {place} {max(places)}; there are {among}, counted from 0"


def _reach(spec: TopologySpec) -> Iterator[tuple[str, str]]:
    if world_machines(spec) < 2:
        return
    for path, machine in machines_of(spec):
        if machine.nics is None or machine.nics.count == 0:
            yield (
                f"{path}.nics",
                "without NICs the machines cannot reach each other; write nics, or machines: 1",
            )


def _transfers(spec: TopologySpec) -> Iterator[tuple[str, str]]:
    """Every kind of path that transfers can take needs its lines."""
    machines = [machine for _, machine in machines_of(spec)]
    needed = {("pull", "pcie")}
    if world_machines(spec) > 1:
        needed |= {(word, "rdma") for word in _WORDS}
    if any(machine.nvlink.type != "none" and machine.gpus.count > 1 for machine in machines):
        needed |= {(word, "nvlink") for word in _WORDS}
    if any(machine.nvlink.type != "switch" and machine.gpus.count > 1 for machine in machines):
        needed |= {(word, "pcie") for word in _WORDS}
    for word in (*_WORDS, "ring", "in_switch"):
        lines: LinesSpec = getattr(spec.transfers, word)
        for kind in ("nvlink", "pcie", "rdma"):
            if (word, kind) in needed and not getattr(lines, kind):
                yield f"transfers.{word}.{kind}", "is missing; write [{start: 50 us}]"
            if any(line.rate is None for line in getattr(lines, kind)[:-1]):
                yield f"transfers.{word}.{kind}", "only the last line may go without a rate"
