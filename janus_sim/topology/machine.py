"""What a topology file says about one kind of machine, as frozen values."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from janus_sim.files import (
    Bandwidth,
    Bytes,
    Field,
    Fraction,
    NonNegative,
    Seconds,
    Spec,
    model_validator,
)

Duplex = Literal["full", "half"]
Count = Annotated[int, Field(ge=1, le=256)]  #: things in a machine; more are a slip of the pen


class PortSpec(Spec):
    """One kind of link: its line rate in each direction and the part of it that large messages reach.

    With ``duplex: half`` both directions share one link of that rate.
    """

    bandwidth: Bandwidth
    efficiency: Fraction = 1.0
    latency: Seconds = 0.0
    duplex: Duplex = "full"

    @property
    def capacity(self) -> float:
        """Bytes per second that large messages reach."""
        return self.bandwidth * self.efficiency


class GpusSpec(Spec):
    """The GPUs of a machine: a file of topologies/gpus, how many, and `hbm_efficiency` for the file's."""

    kind: str
    count: Count
    hbm_efficiency: Fraction | None = None


class PairSpec(Spec):
    """Two GPUs joined by an NVLink of their own; the bandwidth is that of `nvlink` unless stated."""

    gpus: tuple[NonNegative, NonNegative]
    bandwidth: Bandwidth | None = None


class NvlinkSpec(Spec):
    """NVLink: a port a GPU into a switch that never limits, direct pairs, or none.

    No GPU forwards for another: without a pair of their own, two GPUs use PCIe.
    """

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
        if self.bandwidth is None and any(pair.bandwidth is None for pair in self.pairs):
            raise ValueError("a pair needs a bandwidth, of its own or of nvlink")
        if self.type != "pairs" and self.pairs:
            raise ValueError(f"type {self.type} has no pairs; write type: pairs")
        return self

    def port(self, pair: PairSpec | None = None) -> PortSpec:
        """Give the port of a GPU, or of a pair, as a link kind."""
        own = pair.bandwidth if pair is not None else None
        return _port(self, self.bandwidth if own is None else own)


class PcieSpec(Spec):
    """PCIe switches, each with GPUs and NICs below and one uplink to a socket above.

    `gpus` names the switch of each GPU and `sockets` the socket of each switch; unless stated, both are dealt
    out in equal runs (8 GPUs on 4 switches: 0 and 1 on switch 0, and so on).
    """

    switches: Count
    lane: PortSpec
    uplink: PortSpec
    gpus: tuple[NonNegative, ...] | None = None
    sockets: tuple[NonNegative, ...] | None = None


class SocketsSpec(Spec):
    """CPU sockets, every two joined by a link."""

    count: Count = 1
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
        return _port(self, self.bandwidth)


def _port(kind: NvlinkSpec | SocketsSpec, bandwidth: float | None) -> PortSpec:
    return PortSpec.model_validate(
        {
            "bandwidth": bandwidth,
            "efficiency": kind.efficiency,
            "latency": kind.latency,
            "duplex": kind.duplex,
        }
    )


class HostSpec(PortSpec):
    """Host memory (its size, and the rate at which each socket reaches it) and the CPU's part in a launch."""

    memory: Bytes
    launch: Seconds = 4e-6
    gap: Seconds = 10e-6
    sync: Seconds = 0.0
    jitter: Seconds = 0.0


class NicsSpec(PortSpec):
    """NICs of a machine; `switches` names the PCIe switch of each, else they are dealt out in equal runs."""

    count: Annotated[int, Field(ge=0, le=256)]
    switches: tuple[NonNegative, ...] | None = None


class MachineSpec(Spec):
    """One kind of machine."""

    gpus: GpusSpec
    nvlink: NvlinkSpec
    pcie: PcieSpec
    sockets: SocketsSpec = SocketsSpec()
    host: HostSpec
    nics: NicsSpec | None = None
