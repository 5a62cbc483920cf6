"""What a topology is made of: links, the places of GPUs and machines, and changes to come."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from janus_sim.topology.gpu import GpuKind

#: A GPU by its rank, or the memory of a machine: ("host", machine).
Device: TypeAlias = int | tuple[Literal["host"], int]
LinkKind: TypeAlias = Literal["nvlink", "pcie", "uplink", "memory", "socket", "nic", "fabric"]
PathKind: TypeAlias = Literal["nvlink", "pcie", "rdma"]
Word: TypeAlias = Literal[
    "all_to_all", "all_reduce", "ring", "in_switch", "dispatch", "combine", "notify", "pull"
]


@dataclass(frozen=True, slots=True)
class Link:
    """One direction of a cable or bus, or both where it is half duplex.

    Attributes
    ----------
    index : int
        Its place in `Topology.links`.
    name : str
        Readable and unique: ``m0.gpu3.nvlink.out``, ``m0.switch1.uplink.up``, ``m0.nic2.out``, ``leaf0.up``.
    kind : str
    machine : int
        -1 for the fabric.
    capacity : float
        Bytes per second that large messages reach, at time 0.
    latency : float
        Seconds.
    crosses : bool
        Every byte that leaves a machine is carried by exactly one such link: the outgoing one of a NIC.
    """

    index: int
    name: str
    kind: LinkKind
    machine: int
    capacity: float
    latency: float
    crosses: bool = False


@dataclass(frozen=True, slots=True)
class GpuPlace:
    """Where a GPU stands.

    Attributes
    ----------
    rank, machine : int
    local : int
        Its number in the machine.
    kind : GpuKind
    switch, nic : int
        Its PCIe switch and its NIC, numbered in the machine; -1 for no NIC.
    speed : float
        Of its kernels at time 0; 1.0 is that of its kind.
    """

    rank: int
    machine: int
    local: int
    kind: GpuKind
    switch: int
    nic: int
    speed: float = 1.0


@dataclass(frozen=True, slots=True)
class HostSettings:
    """Seconds that the CPU takes: a kernel launch, an expert task, reading counts back, seeded jitter."""

    launch: float = 4e-6
    gap: float = 10e-6
    sync: float = 0.0
    jitter: float = 0.0


@dataclass(frozen=True, slots=True)
class MachinePlace:
    """A machine: its ranks, its number of NICs, the ranks of each PCIe switch, and its host."""

    index: int
    ranks: tuple[int, ...]
    nics: int
    switches: tuple[tuple[int, ...], ...]
    host: HostSettings
    host_memory: float  #: bytes


@dataclass(frozen=True, slots=True)
class Communication:
    """How collectives behave.

    Attributes
    ----------
    sms : mapping of str to int
        SMs that the kernel of an ``all_to_all`` or ``all_reduce`` holds.
    all_reduce_efficiency : float
        Part of its links' rate that a ring reaches.
    channels : float
        Weight of a collective's flows together on a NIC.
    overlap_loss : float
        Part of a NIC's rate lost while collectives overlap on it.
    """

    sms: Mapping[str, int]
    all_reduce_efficiency: float
    channels: float
    overlap_loss: float


@dataclass(frozen=True, slots=True)
class LinkChange:
    """From a time (s) on, a link has another capacity (bytes/s)."""

    time: float
    link: int
    capacity: float


@dataclass(frozen=True, slots=True)
class GpuChange:
    """From a time (s) on, a GPU computes at another speed (1.0 is that of its kind)."""

    time: float
    rank: int
    speed: float
