"""A cluster as a frozen value: its GPUs, machines and links, and the routes between them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from janus_sim.errors import InputError, Mistake, UnreachableError
from janus_sim.files import join
from janus_sim.topology.build import build
from janus_sim.topology.check import mistakes
from janus_sim.topology.place import (
    Communication,
    Device,
    GpuChange,
    GpuPlace,
    Link,
    LinkChange,
    MachinePlace,
    PathKind,
    Word,
)
from janus_sim.topology.resolve import Source, resolve
from janus_sim.topology.routing import Route, Router
from janus_sim.topology.spec import TopologySpec
from janus_sim.topology.table import Layout
from janus_sim.topology.transfers import Envelope, Floats, Rows, envelopes


@dataclass(frozen=True, eq=False)
class Topology:
    """A cluster.

    Attributes
    ----------
    spec : TopologySpec
        What it was built from; two topologies are equal when these are.
    gpus : tuple of GpuPlace
        By rank, machine by machine.
    machines : tuple of MachinePlace
    links : tuple of Link
    capacity, latency : (links,) float64
        Bytes per second and seconds, read-only.
    communication : Communication
    changes : tuple of LinkChange or GpuChange
        What happens later, by time; the overrides of time 0 are in the links and GPUs already.

    Examples
    --------
    >>> topology = Topology.load("two_gpus")
    >>> [topology.links[link].name for link in topology.route(0, 1)]
    ['m0.gpu0.pcie.up', 'm0.nic0.out', 'm1.nic0.in', 'm1.gpu0.pcie.down']
    """

    spec: TopologySpec
    gpus: tuple[GpuPlace, ...]
    machines: tuple[MachinePlace, ...]
    links: tuple[Link, ...]
    capacity: Floats
    latency: Floats
    communication: Communication
    changes: tuple[LinkChange | GpuChange, ...]
    _router: Router = field(repr=False)
    _envelopes: Mapping[tuple[str, str], Envelope] = field(repr=False)
    _routes: dict[tuple[Device, Device], tuple[Route, PathKind]] = field(repr=False, default_factory=dict)

    @classmethod
    def load(cls, source: Source, beside: Path | None = None, where: str = "") -> Self:
        """Read a preset by name, a file by path, or a mapping: ``{"base": "a100", "machines": 64}``.

        Parameters
        ----------
        source : str, Path or mapping
        beside : Path, optional
            The folder of the file that names it.
        where : str
            Where it was named, for errors.

        Raises
        ------
        InputError
            With every mistake and its path.
        """
        return cls.build(*resolve(source, beside, where))

    @classmethod
    def build(cls, spec: TopologySpec, where: str = "", beside: Path | None = None) -> Self:
        """Build a topology from a specification; the file of a GPU is looked for in `beside`, too.

        Raises
        ------
        InputError
            With every contradiction: an unknown GPU, a number of machines left open, an override that matches
            nothing.
        """
        found = mistakes(spec, lambda path: join(where, path))
        if found:
            raise InputError(found)
        parts = build(spec, lambda path: join(where, path), beside)
        talk = spec.communication
        return cls(
            spec=spec,
            gpus=tuple(parts.gpus),
            machines=tuple(parts.machines),
            links=tuple(parts.links),
            capacity=_fixed([link.capacity for link in parts.links]),
            latency=_fixed([link.latency for link in parts.links]),
            communication=Communication(
                dict(talk.sms), talk.all_reduce_efficiency, talk.channels, talk.overlap_loss
            ),
            changes=tuple(parts.changes),
            _router=Router(parts.sites, parts.gpus, spec.fabric, parts.leaves),
            _envelopes=envelopes(spec.transfers),
        )

    @property
    def name(self) -> str:
        """Its name in its file."""
        return self.spec.name

    @property
    def source(self) -> str:
        """Where its numbers come from."""
        return self.spec.source

    @property
    def world(self) -> int:
        """How many GPUs there are."""
        return len(self.gpus)

    @property
    def width(self) -> int | None:
        """How many GPUs each machine has; None where they have unequally many."""
        widths = {len(machine.ranks) for machine in self.machines}
        return widths.pop() if len(widths) == 1 else None

    @property
    def alive(self) -> int:
        """How many ranks are simulated, from the first on; see `janus_sim.topology.alike`."""
        return self.world

    @cached_property
    def _layout(self) -> Layout:
        return Layout(self._router, self.route)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Topology) and self.spec == other.spec

    def __hash__(self) -> int:
        return hash(self.spec)

    def route(self, source: Device, target: Device) -> Route:
        """Give the links from one device to another; a device reaches itself over none.

        Parameters
        ----------
        source, target : Device
            A rank, or ``("host", machine)``.

        Raises
        ------
        UnreachableError
            Names both devices.
        """
        return self._path(source, target)[0]

    def path_kind(self, source: Device, target: Device) -> PathKind:
        """Say how a transfer goes: ``rdma`` if by a NIC, else ``nvlink`` if over NVLink, else ``pcie``."""
        return self._path(source, target)[1]

    def queue_pairs(self, source: Device, target: Device) -> tuple[Route, ...]:
        """Give the route of each queue pair between two devices: one where no leaf hashes them to a spine."""
        first, count = self.route(source, target), self.spec.fabric.queue_pairs
        if count == 1 or not any(self.links[link].kind == "fabric" for link in first):
            return (first,)
        return (first, *(self._router.route(source, target, number) or () for number in range(1, count)))

    def routes(
        self,
        sources: NDArray[np.integer],
        targets: NDArray[np.integer],
        numbers: NDArray[np.integer] | int = 0,
    ) -> NDArray[np.int32]:
        """Give the links of many routes from GPU to GPU.

        Parameters
        ----------
        sources, targets : (n,) int
            Ranks.
        numbers : (n,) int, or int
            Which queue pair of the two it is, from 0 on.

        Returns
        -------
        (n, hops) int32
            Links in order of travel, padded with -1 to the longest kind of route among them.

        Raises
        ------
        UnreachableError
            When a GPU of a source's machine cannot reach one of its target's machine.
        """
        return self._layout.routes(sources, targets, numbers)

    def start(
        self, word: Word, path_kind: PathKind, sizes: Floats, sms: int = 0, rows: Rows | None = None
    ) -> tuple[Floats, Floats]:
        """Give start times and rate caps of transfers by size; see `janus_sim.topology.transfers`.

        Parameters
        ----------
        word : {"all_to_all", "all_reduce", "ring", "in_switch", "dispatch", "combine", "notify", "pull"}
        path_kind : {"nvlink", "pcie", "rdma"}
        sizes : (n,) float64
            Bytes; in a collective, all that a rank sends over paths of this kind.
        sms : int
            Of the kernel, where lines say what one SM moves.
        rows : Rows, optional
            Of the kernel, where rows have a cost of their own.

        Returns
        -------
        starts : (n,) float64
            Seconds.
        caps : (n,) float64
            Bytes per second for a rank's bytes together, infinite where the links alone decide.

        Raises
        ------
        InputError
            When the file has no lines for this.
        """
        envelope = self._envelopes.get((word, path_kind))
        if envelope is None:
            raise InputError(Mistake(f"transfers.{word}.{path_kind}", "is missing; write [{start: 50 us}]"))
        return envelope(sizes, sms, rows)

    def name_of(self, device: Device) -> str:
        """Name a device: ``GPU 3`` or ``the host memory of machine 1``."""
        return f"the host memory of machine {device[1]}" if isinstance(device, tuple) else f"GPU {device}"

    def _path(self, source: Device, target: Device) -> tuple[Route, PathKind]:
        known = self._routes.get((source, target))
        if known is not None:
            return known
        route = self._router.route(source, target)
        if route is None:
            message = f"no route leads from {self.name_of(source)} to {self.name_of(target)}"
            raise UnreachableError(Mistake(f"topology {self.name}", message))
        kinds = {self.links[link].kind for link in route}
        kind: PathKind = "rdma" if "nic" in kinds else "nvlink" if "nvlink" in kinds else "pcie"
        self._routes[source, target] = route, kind
        return route, kind


def _fixed(values: list[float]) -> Floats:
    array = np.array(values, dtype=np.float64)
    array.flags.writeable = False
    return array
