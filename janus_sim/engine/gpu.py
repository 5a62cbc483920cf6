"""The words of a GPU: what policies and steps are written in."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Self, TypeVar

from janus_sim.engine.fabric import Device
from janus_sim.engine.machine import Buffer, Machine, Slots
from janus_sim.engine.peers import G, Peers
from janus_sim.engine.place import Place
from janus_sim.engine.shelf import Shelf
from janus_sim.engine.time import Activity, All, Steps
from janus_sim.engine.words import Together
from janus_sim.errors import PolicyError

if TYPE_CHECKING:
    from janus_sim.engine.belt.belt import Belt
    from janus_sim.engine.cluster import Cluster
    from janus_sim.workload.kernel import Kernel

__all__ = ["Gpu", "Peers", "Shelf"]

T = TypeVar("T")


class Gpu(Together):
    """A light view on one GPU, at one place of the step; its collectives stand in `janus_sim.engine.words`.

    Attributes
    ----------
    rank : int
    place : Place

    Examples
    --------
    >>> from janus_sim.engine.cluster import Cluster
    >>> from janus_sim.topology import Topology
    >>> cluster = Cluster(Topology.load("two_gpus"))
    >>> gpu = Gpu(cluster, 0, Place(step=0), Shelf(put_off=False))
    >>> def story(gpu):
    ...     yield gpu.pull(1, 10**9, "expert 3")  # 10 GB/s, and a start of 50 us
    ...     yield gpu.think(0.5)
    >>> thread = gpu.start(story(gpu))
    >>> cluster.timeline.run()
    >>> round(cluster.timeline.now, 5)
    0.60005
    """

    __slots__ = ("_cluster", "_shelf", "place", "rank")

    def __init__(self, cluster: Cluster, rank: int, place: Place, shelf: Shelf) -> None:
        self._cluster, self.rank, self.place, self._shelf = cluster, rank, place, shelf

    # --- where I am ---

    def at(self, place: Place, shelf: Shelf | None = None) -> Self:
        """Return the view of the same GPU at another place."""
        return type(self)(self._cluster, self.rank, place, shelf or self._shelf)

    def within(self, **changes: object) -> Self:
        """Return the view at this place with some fields changed, as `layer=3, phase="forward"`."""
        return self.at(replace(self.place, **changes))  # type: ignore[arg-type]

    def wearing(self, words: type[G]) -> G:
        """Return the view with changed words: `words` is a subclass of Gpu that overrides some."""
        return words(self._cluster, self.rank, self.place, self._shelf)

    @property
    def machine(self) -> Machine:
        """The machine I stand in."""
        return self._cluster.machine_of[self.rank]

    @property
    def switch(self) -> tuple[int, ...]:
        """The ranks under my PCIe switch, myself included."""
        return self._cluster.mates[self.rank]

    def machine_of(self, rank: int) -> int:
        """Return the machine in which another GPU stands."""
        return self._cluster.topology.gpus[rank].machine

    def nic_of(self, rank: int) -> int:
        """Return the index, in its machine, of the NIC that a GPU uses."""
        return self._cluster.topology.gpus[rank].nic

    @property
    def belt(self) -> Belt:
        """The compiled belt, where the cluster has one."""
        if self._cluster.belt is None:
            raise PolicyError("there is no belt on this cluster")
        return self._cluster.belt

    @property
    def machines(self) -> int:
        """How many machines the cluster has."""
        return len(self._cluster.topology.machines)

    @property
    def domain(self) -> int:
        """GPUs of the smallest machine: the ranks that can share what was fetched once."""
        return self._cluster.domain

    @property
    def peers(self) -> Peers[Self]:
        """All GPUs by rank, at the same place."""
        return Peers(self)

    @property
    def gap(self) -> float:
        """Seconds of host time between two one-expert tasks (a setting of the machine)."""
        return self._cluster.host[self.rank].gap

    # --- waiting ---

    def start(self, steps: Steps) -> Activity:
        """Run `steps` beside me, at once up to their first wait."""
        return self._cluster.timeline.start(steps, "rank", self.rank, "at", self.place)

    def all(self, parts: Iterable[Activity]) -> Activity:
        """Over when all parts are."""
        return All(self._cluster.timeline, parts)

    def later(self, steps: Steps) -> Activity:
        """Run weight gradients beside me, or put them off to the W pass where the schedule splits backward.

        Returns an activity that is over at once if they are put off, so that it may be waited for either way.
        """
        shelf = self._shelf
        if shelf.put_off:
            shelf.steps.append(steps)
            return self.all([])
        activity = self.start(steps)
        shelf.running.append(activity)
        return activity

    # --- doing ---

    def compute(
        self, kernels: tuple[Kernel, ...], label: str, *, gap: float = 0.0, useful: float = 1.0
    ) -> Activity:
        """Run kernels back to back on my compute stream, first in, first out.

        Parameters
        ----------
        kernels : tuple of Kernel
        label : str
        gap : float
            Seconds of host time before the first.
        useful : float
            Part of the FLOPs that is not padding.
        """
        return self._cluster.computes[self.rank].compute(kernels, label, self.place, gap=gap, useful=useful)

    def think(self, seconds: float, label: str = "think") -> Activity:
        """Spend CPU time on the critical path."""
        return self._cluster.think(self.rank, seconds, label, self.place)

    def sync(self) -> Activity:
        """Wait for the host to read something back (drop-less dispatch reads its counts)."""
        return self.think(self._cluster.host[self.rank].sync, "host sync")

    def pull(self, source: Device, size: int, label: str, *, priority: int = 0) -> Activity:
        """Copy `size` bytes from a GPU or a host memory to me; takes no SMs."""
        return self._transfer(source, self.rank, size, label, priority, self.rank)

    def push(self, target: Device, size: int, label: str, *, priority: int = 0) -> Activity:
        """Copy `size` bytes from me to a GPU or a host memory; takes no SMs."""
        return self._transfer(self.rank, target, size, label, priority, self.rank)

    def copy(self, source: Device, target: Device, size: int, label: str, *, priority: int = 0) -> Activity:
        """Copy `size` bytes between two other devices, on behalf of my machine."""
        return self._transfer(source, target, size, label, priority, -1)

    def _transfer(
        self, source: Device, target: Device, size: int, label: str, priority: int, rank: int
    ) -> Activity:
        return self._cluster.fabric.transfer(
            source, target, size, self.place, label, rank=rank, machine=self.machine.index, priority=priority
        )

    # --- room and order ---

    def buffer(self, name: Hashable, credits: int = 0) -> Buffer:  # noqa: A002
        """Return my buffer of that name; the first call says for how many things it has room."""
        return self._cluster.buffer(self.rank, name, credits)

    def slots(self, name: Hashable, count: int) -> Slots:
        """Return my slots of that name: at most `count` things at a time."""
        return self.machine.slots((self.rank, name), count)

    def recall(self, key: Hashable, work_out: Callable[[], T]) -> T:
        """Return what I worked out for `key` before in this step, or work it out now."""
        return self.machine.recall((self.rank, key), work_out)

    def first(self, key: Hashable) -> bool:
        """True for the first time in this step that I ask for `key`."""
        return self.machine.complete(("first", self.rank, key), 1)
