"""What a topology file says: machines, fabric, transfers and overrides, as frozen values."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import model_validator

from janus_sim.files import (
    Bandwidth,
    Bytes,
    Fraction,
    NonNegative,
    NonNegativeFloat,
    Positive,
    PositiveFloat,
    Seconds,
    Spec,
)

Duplex = Literal["full", "half"]


class PortSpec(Spec):
    """One kind of link: its line rate in each direction and the part of it that large messages reach.

    With ``duplex: half`` both directions share one link of that rate.
    """

    bandwidth: Bandwidth
    efficiency: Fraction = 1.0
    latency: Seconds = 0.0
    duplex: Duplex = "full"

    @property
    def capacity(self) -> float:  #: bytes per second that large messages reach
        return self.bandwidth * self.efficiency


class GpusSpec(Spec):
    """The GPUs of a machine: a file of topologies/gpus, and how many."""

    kind: str
    count: Positive


class PairSpec(Spec):
    """Two GPUs joined by an NVLink of their own; the bandwidth is that of `nvlink` unless stated."""

    gpus: tuple[NonNegative, NonNegative]
    bandwidth: Bandwidth | None = None


class NvlinkSpec(Spec):
    """NVLink: a port a GPU into a switch that never limits, direct pairs (no GPU forwards for another), or none."""

    type: Literal["switch", "pairs", "none"]
    bandwidth: Bandwidth | None = None
    efficiency: Fraction = 1.0
    latency: Seconds = 0.0
    duplex: Duplex = "full"
    pairs: tuple[PairSpec, ...] = ()

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.type == "switch" and self.bandwidth is None:
            raise ValueError("a switch needs a bandwidth, one way of a GPU's port")
        if self.type == "pairs" and not self.pairs:
            raise ValueError("type pairs needs pairs; write pairs: [{gpus: [0, 1]}]")
        if self.type == "pairs" and self.bandwidth is None and any(pair.bandwidth is None for pair in self.pairs):
            raise ValueError("a pair needs a bandwidth, of its own or of nvlink")
        if self.type != "pairs" and self.pairs:
            raise ValueError(f"type {self.type} has no pairs; write type: pairs")
        return self

    def port(self, pair: PairSpec | None = None) -> PortSpec:
        """Give the port of a GPU, or of a pair, as a link kind."""
        own = pair.bandwidth if pair is not None else None
        bandwidth = own if own is not None else self.bandwidth
        return PortSpec.model_validate(
            {"bandwidth": bandwidth, "efficiency": self.efficiency, "latency": self.latency, "duplex": self.duplex}
        )


class PcieSpec(Spec):
    """PCIe switches, each with GPUs and NICs below and one uplink to a socket above.

    `gpus` names the switch of each GPU and `sockets` the socket of each switch; unless stated, both are dealt out
    in equal runs (8 GPUs on 4 switches: 0 and 1 on switch 0, and so on).
    """

    switches: Positive
    lane: PortSpec
    uplink: PortSpec
    gpus: tuple[NonNegative, ...] | None = None
    sockets: tuple[NonNegative, ...] | None = None


class SocketsSpec(Spec):
    """CPU sockets, every two joined by a link."""

    count: Positive = 1
    bandwidth: Bandwidth | None = None
    efficiency: Fraction = 1.0
    latency: Seconds = 0.0
    duplex: Duplex = "full"

    @model_validator(mode="after")
    def _joined(self) -> Self:
        if self.count > 1 and self.bandwidth is None:
            raise ValueError("several sockets need the bandwidth of the link between two")
        return self

    def port(self) -> PortSpec:
        """Give the link between two sockets as a link kind."""
        return PortSpec.model_validate(dict(self.model_dump(exclude={"count"})))


class HostSpec(PortSpec):
    """Host memory (its size, and the rate at which each socket reaches it) and the CPU's part in each launch."""

    memory: Bytes
    launch: Seconds = 4e-6
    gap: Seconds = 10e-6
    sync: Seconds = 0.0
    jitter: Seconds = 0.0


class NicsSpec(PortSpec):
    """NICs of a machine. `switches` names the PCIe switch of each; unless stated they are dealt out in equal runs."""

    count: NonNegative
    switches: tuple[NonNegative, ...] | None = None


class MachineSpec(Spec):
    """One kind of machine."""

    gpus: GpusSpec
    nvlink: NvlinkSpec
    pcie: PcieSpec
    sockets: SocketsSpec = SocketsSpec()
    host: HostSpec
    nics: NicsSpec | None = None


class MixedSpec(Spec):
    """So many machines of a kind, in a cluster of several kinds."""

    machines: Positive
    machine: MachineSpec


class FabricSpec(Spec):
    """What joins the NICs.

    ``switch``: one ideal switch. ``rails``: one ideal switch for each NIC index. ``leaf_spine``: so many machines a
    leaf; a leaf's uplink is the sum of its NICs divided by `oversubscription`, sprayed ideally over all spines.
    """

    type: Literal["switch", "rails", "leaf_spine"] = "switch"
    machines_per_leaf: Positive | None = None
    oversubscription: PositiveFloat = 1.0
    latency: Seconds = 0.0

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.type == "leaf_spine" and self.machines_per_leaf is None:
            raise ValueError("leaf_spine needs machines_per_leaf")
        if self.type != "leaf_spine" and (self.oversubscription != 1.0 or self.latency != 0.0):
            raise ValueError(f"type {self.type} has no leaf links; write type: leaf_spine, or the latency at nics")
        return self


class SmsSpec(Spec):
    """SMs that the kernel of a collective holds on a GPU."""

    all_to_all: NonNegative = 16
    all_reduce: NonNegative = 8


class CommunicationSpec(Spec):
    """How collectives behave: SMs held, part of the port rate an all-reduce reaches, weight on a NIC, loss when they overlap."""

    sms: SmsSpec = SmsSpec()
    all_reduce_efficiency: Fraction = 0.80
    channels: PositiveFloat = 1.0
    overlap_loss: NonNegativeFloat = 0.0


class LineSpec(Spec):
    """One line of an envelope: a start time, then a rate; without a rate the links alone decide."""

    start: Seconds
    rate: Bandwidth | None = None


class LinesSpec(Spec):
    """The lines of one kind of transfer, by the kind of path."""

    nvlink: tuple[LineSpec, ...] = ()
    pcie: tuple[LineSpec, ...] = ()
    rdma: tuple[LineSpec, ...] = ()


class TransfersSpec(Spec):
    """Start times and rate caps by message size; see `janus_sim.topology.transfers`."""

    all_to_all: LinesSpec
    all_reduce: LinesSpec
    pull: LinesSpec


class OverrideSpec(Spec):
    """From a time on, another rate for the links whose name matches, or another speed for some GPUs.

    `scale` multiplies the capacity that the file gives the link without overrides, so that 1.0 restores it.
    """

    links: str | None = None
    gpus: tuple[NonNegative, ...] | None = None
    bandwidth: Bandwidth | None = None
    scale: PositiveFloat | None = None
    speed: PositiveFloat | None = None
    at: Seconds = 0.0

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if (self.links is None) == (self.gpus is None):
            raise ValueError("name either links or gpus")
        if self.links is not None and ((self.bandwidth is None) == (self.scale is None) or self.speed is not None):
            raise ValueError("links take either a bandwidth or a scale")
        if self.gpus is not None and (self.speed is None or self.bandwidth is not None or self.scale is not None):
            raise ValueError("gpus take a speed; write speed: 0.8")
        return self


class TopologySpec(Spec):
    """A cluster: so many machines of one kind, or `mixed` kinds, and the fabric between them."""

    name: str = "cluster"
    source: str = ""
    machines: Positive | None = None
    machine: MachineSpec | None = None
    mixed: tuple[MixedSpec, ...] = ()
    fabric: FabricSpec = FabricSpec()
    communication: CommunicationSpec = CommunicationSpec()
    transfers: TransfersSpec
    overrides: tuple[OverrideSpec, ...] = ()
