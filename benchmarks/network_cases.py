"""The networks and flows that the solver is measured on: drawn as `docs/performance.md` says, seeded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

MACHINE = 8  # GPUs of a machine


@dataclass(frozen=True)
class Case:
    """Flows that all start at 0, without latency.

    Attributes
    ----------
    capacity : (links,) float64
        Bytes per second.
    routes : (n, hops) int32
        Padded with -1.
    sizes : (n,) float64
        Bytes.
    tolerance : float
        Of `finish_times`; 0 is exact.
    """

    name: str
    capacity: NDArray[np.float64]
    routes: NDArray[np.int32]
    sizes: NDArray[np.float64]
    tolerance: float = 0.0


def gpu_network(world: int) -> NDArray[np.float64]:
    """A GPU has two NVLink ports of 300 GB/s (out, in) and two NIC ports of 25 GB/s."""
    return np.tile([300e9, 300e9, 25e9, 25e9], world)


def gpu_routes(source: NDArray[np.int64], target: NDArray[np.int64]) -> NDArray[np.int32]:
    """Inside a machine two NVLink ports, else two NIC ports."""
    near = source // MACHINE == target // MACHINE
    out = 4 * source + np.where(near, 0, 2)
    into = 4 * target + np.where(near, 1, 3)
    return np.stack([out, into], axis=1).astype(np.int32)


def node_network(world: int) -> NDArray[np.float64]:
    """Two ports of 300 GB/s a GPU, and one NIC of 100 GB/s (out, in) a machine."""
    return np.concatenate([np.full(2 * world, 300e9), np.full(2 * world // MACHINE, 100e9)])


def node_routes(source: NDArray[np.int64], target: NDArray[np.int64]) -> NDArray[np.int32]:
    """Ports inside a machine; between machines ports and NICs, four links."""
    world = int(max(source.max(), target.max())) // MACHINE * MACHINE + MACHINE
    here, there = source // MACHINE, target // MACHINE
    far = here != there
    nic_out = np.where(far, 2 * world + 2 * here, -1)
    nic_in = np.where(far, 2 * world + 2 * there + 1, -1)
    return np.stack([2 * source, 2 * target + 1, nic_out, nic_in], axis=1).astype(np.int32)


def drawn_pairs(
    world: int, count: int, rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Ordered pairs of different GPUs, uniformly."""
    source = rng.integers(0, world, count)
    target = (source + rng.integers(1, world, count)) % world
    return source, target


def random_case(kind: str, world: int, count: int, seed: int = 7) -> Case:
    """Random pairs, sizes max(1, int(Exp(mean 1e6))) bytes; `kind` is gpu or node."""
    rng = np.random.default_rng(seed)
    source, target = drawn_pairs(world, count, rng)
    sizes = np.maximum(1.0, np.floor(rng.exponential(1e6, count)))
    network, routes = (gpu_network, gpu_routes) if kind == "gpu" else (node_network, node_routes)
    if kind == "node":
        source[0] = world - 1 if target[0] != world - 1 else source[0]
    return Case(f"{count} random, {kind} {world}", network(world), routes(source, target), sizes)


def every_pair(world: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """All ordered pairs of different GPUs."""
    source, target = np.nonzero(~np.eye(world, dtype=bool))
    return source, target


def all_to_all(world: int, *, skewed: bool, seed: int = 7) -> Case:
    """All ordered pairs on the gpu network: 1 MB each, or exponential sizes of mean 1e6."""
    source, target = every_pair(world)
    rng = np.random.default_rng(seed)
    sizes = (
        np.maximum(1.0, np.floor(rng.exponential(1e6, len(source)))) if skewed else np.full(len(source), 1e6)
    )
    name = f"{'skewed' if skewed else 'uniform'} All-to-All, {world}"
    return Case(name, gpu_network(world), gpu_routes(source, target), sizes)


def near(case: Case, tolerance: float = 2e-3) -> Case:
    """The same case, close instead of exact."""
    return replace(case, name=f"{case.name}, tolerance {tolerance:g}", tolerance=tolerance)


def tree_all_to_all(seed: int = 7) -> Case:
    """16 x 8 GPUs: a port of 300 GB/s, PCIe of 32 GB/s, a NIC of 25 GB/s for two GPUs; sizes of 17 values."""
    world = 128
    source, target = every_pair(world)
    port, pcie, nic = 0, 2 * world, 4 * world
    capacity = np.concatenate([np.full(2 * world, 300e9), np.full(2 * world, 32e9), np.full(world, 25e9)])
    near = source // MACHINE == target // MACHINE
    columns = [
        np.where(near, port + 2 * source, pcie + 2 * source),
        np.where(near, port + 2 * target + 1, pcie + 2 * target + 1),
        np.where(near, -1, nic + 2 * (source // 2)),
        np.where(near, -1, nic + 2 * (target // 2) + 1),
    ]
    rng = np.random.default_rng(seed)
    sizes = rng.choice(np.linspace(1e5, 1.7e6, 17).round(), len(source))
    return Case(
        "skewed All-to-All, 16 x 8, PCIe tree", capacity, np.stack(columns, axis=1).astype(np.int32), sizes
    )


#: Name of a group of cases, and how to draw them.
GROUPS: dict[str, Callable[[], list[Case]]] = {
    "3,000 random flows": lambda: [
        random_case(kind, world, 3000) for kind in ("gpu", "node") for world in (64, 256, 1024)
    ],
    "10,000 random flows": lambda: [
        random_case(kind, world, 10_000) for kind in ("gpu", "node") for world in (64, 256, 1024)
    ],
    "16 x 8": lambda: [tree_all_to_all()],
    "uniform": lambda: [all_to_all(world, skewed=False) for world in (256, 1024)],
    "skewed": lambda: [all_to_all(256, skewed=True), near(all_to_all(256, skewed=True))],
    "skewed, 1,024 GPUs": lambda: [near(all_to_all(1024, skewed=True), part) for part in (2e-3, 3e-3)],
    "100,000 random flows": lambda: [random_case("gpu", 1024, 100_000)],
}
