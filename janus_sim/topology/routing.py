"""Which links a transfer takes: inside a machine, from machine to machine, and over rails."""

from __future__ import annotations

from collections.abc import Sequence

from janus_sim.topology.build import Site
from janus_sim.topology.hashing import spine
from janus_sim.topology.place import Device, GpuPlace
from janus_sim.topology.spec import FabricSpec

Route = tuple[int, ...]


class Router:
    """Routes between devices; gives None where there is none.

    GPU to GPU in one machine: NVLink where it joins the two, else PCIe. Across machines: GPUDirect, by the
    NIC of each GPU. Over rails a GPU sends on the target's rail: through NVLink and the PCIe lane of the
    local GPU on that rail (PXN), or over PCIe to that rail's NIC where no NVLink leads there or `pxn` is off;
    where the source's machine lacks that rail it sends on its own, and the change is made on the far side.
    With `cross_nic` only PXN brings a message to the target's rail; else it leaves by the source's own NIC
    and arrives at the target's. Between a GPU and the host memory of another machine: by the NIC of the GPU,
    and the NIC of the same index (modulo their number) at the host. Where a leaf hashes, the two devices
    choose the spine.
    """

    def __init__(
        self,
        sites: Sequence[Site],
        gpus: Sequence[GpuPlace],
        fabric: FabricSpec,
        leaves: dict[int, tuple[int, int]],
    ) -> None:
        self.sites, self.gpus, self.fabric, self.leaves = sites, gpus, fabric, leaves

    def route(self, source: Device, target: Device, number: int = 0) -> Route | None:
        """Give the links from one device to another, for the queue pair of that number."""
        if source == target:
            return ()
        (here, out), (there, into) = self._stand(source), self._stand(target)
        if here == there:
            return self._inside(here, out, into)
        pair = self._nics(here, there, source, target)
        if pair is None:
            return None
        leave = self._to_nic(here, out, pair[0])
        arrive = self._from_nic(there, pair[1], into)
        if leave is None or arrive is None:
            return None
        return leave + self._across(here, there, source, target, number) + arrive

    def ranks(self, machine: int) -> range:
        """Give the ranks of a machine."""
        first = self.sites[machine].first_rank
        return range(first, first + self.sites[machine].wiring.spec.gpus.count)

    def _stand(self, device: Device) -> tuple[int, str]:
        """Give the machine of a device and its name there."""
        if isinstance(device, tuple):
            return device[1], "host"
        gpu = self.gpus[device]
        return gpu.machine, f"gpu{gpu.local}"

    def _nics(self, here: int, there: int, source: Device, target: Device) -> tuple[int, int] | None:
        """Choose the NIC to leave by and the NIC to arrive at."""
        counts = self.sites[here].wiring.nics, self.sites[there].wiring.nics
        out = self.gpus[source].nic if not isinstance(source, tuple) else None
        into = self.gpus[target].nic if not isinstance(target, tuple) else None
        if out == -1 or into == -1 or 0 in counts or (out is None and into is None):
            return None
        if out is None or into is None:
            own = into if out is None else out
            assert own is not None  # noqa: S101  # one of the two is a GPU
            out, into = own % counts[0], own % counts[1]
        if self.fabric.type != "rails" or out == into:
            return out, into
        if self.fabric.cross_nic and self._relay(here, self._stand(source)[1], into) is None:
            return out, into
        rail = into if into < counts[0] else out
        return (rail, rail) if rail < min(counts) else None

    def _to_nic(self, machine: int, device: str, nic: int) -> Route | None:
        relay = self._relay(machine, device, nic)
        if relay is None:
            return self._inside(machine, device, f"nic{nic}")
        first, second = self._inside(machine, device, relay), self._inside(machine, relay, f"nic{nic}")
        return first + second if first is not None and second is not None else None

    def _from_nic(self, machine: int, nic: int, device: str) -> Route | None:
        relay = self._relay(machine, device, nic)
        if relay is None:
            return self._inside(machine, f"nic{nic}", device)
        first, second = self._inside(machine, f"nic{nic}", relay), self._inside(machine, relay, device)
        return first + second if first is not None and second is not None else None

    def _relay(self, machine: int, device: str, nic: int) -> str | None:
        """Name the GPU through which a device reaches a NIC not its own (PXN); None to go straight."""
        wiring = self.sites[machine].wiring
        if device == "host" or self.fabric.type != "rails" or not self.fabric.pxn:
            return None
        local = int(device.removeprefix("gpu"))
        mates = wiring.on_nic(nic)
        if wiring.gpu_nic[local] == nic or not mates:
            return None
        relay = mates[local % len(mates)]
        links = self._inside(machine, device, f"gpu{relay}") or ()
        near = all(wiring.links[link - self.sites[machine].first_link].kind == "nvlink" for link in links)
        return f"gpu{relay}" if links and near else None

    def _inside(self, machine: int, source: str, target: str) -> Route | None:
        site = self.sites[machine]
        route = site.wiring.graph.route(source, target)
        return None if route is None else tuple(site.first_link + link for link in route)

    def _across(self, here: int, there: int, source: Device, target: Device, number: int) -> Route:
        """Give the links of the fabric between two machines."""
        fabric = self.fabric
        if fabric.type != "leaf_spine" or self.leaves[here] == self.leaves[there]:
            return ()
        plane = spine(fabric.seed, source, target, fabric.planes, number)
        return self.leaves[here][0] + plane, self.leaves[there][1] + plane
