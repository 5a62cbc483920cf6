"""What exists: GPUs, machines, links, and the routes between them."""

from __future__ import annotations

from janus_sim.topology.alike import Alike, unlike
from janus_sim.topology.gpu import GpuKind
from janus_sim.topology.place import (
    Communication,
    Device,
    GpuChange,
    GpuPlace,
    HostSettings,
    Link,
    LinkChange,
    MachinePlace,
)
from janus_sim.topology.spec import TopologySpec
from janus_sim.topology.topology import Topology

__all__ = [
    "Alike",
    "Communication",
    "Device",
    "GpuChange",
    "GpuKind",
    "GpuPlace",
    "HostSettings",
    "Link",
    "LinkChange",
    "MachinePlace",
    "Topology",
    "TopologySpec",
    "unlike",
]
