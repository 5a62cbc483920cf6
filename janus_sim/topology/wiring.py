"""The links of one kind of machine, how they join its devices, and which NIC serves which GPU."""

from __future__ import annotations

from janus_sim.topology.graph import Graph
from janus_sim.topology.machine import MachineSpec, PortSpec
from janus_sim.topology.place import Link, LinkKind


class Wiring:
    """One machine of a kind, with links numbered from 0 and named without the machine.

    Devices are ``gpu0``, ``switch0``, ``socket0``, ``nvswitch``, ``nic0`` and ``host``. Host memory is one
    pool: each socket reaches it over a memory link of its own, and buffers are taken to lie beside the socket
    that uses them, so that traffic between GPUs and memory never crosses sockets. A NIC has no PCIe lane of
    its own below its switch: what it reaches is the rate of its port.

    Attributes
    ----------
    links : list of Link
    graph : Graph
    gpu_switch, nic_switch, switch_socket : tuple of int
    gpu_nic : tuple of int
        The NIC of each GPU: one on its switch, else one of the nearest, dealt out in turn; -1 for none.
    """

    def __init__(self, spec: MachineSpec) -> None:
        self.spec = spec
        count, pcie = spec.gpus.count, spec.pcie
        self.nics = spec.nics.count if spec.nics is not None else 0
        attached = spec.nics.switches if spec.nics is not None else None
        self.gpu_switch = pcie.gpus if pcie.gpus is not None else deal(count, pcie.switches)
        sockets = spec.sockets.count
        self.switch_socket = pcie.sockets if pcie.sockets is not None else deal(pcie.switches, sockets)
        self.nic_switch = attached if attached is not None else deal(self.nics, pcie.switches)
        self.links: list[Link] = []
        ends = [*(f"gpu{gpu}" for gpu in range(count)), *(f"nic{nic}" for nic in range(self.nics)), "host"]
        self.graph = Graph(ends)
        self._nvlink()
        self._pcie()
        self._host()
        self._nics()
        self.gpu_nic = tuple(self._nearest_nic(gpu) for gpu in range(count))

    def on_nic(self, nic: int) -> tuple[int, ...]:
        """Give the local numbers of the GPUs that a NIC serves."""
        return tuple(gpu for gpu, own in enumerate(self.gpu_nic) if own == nic)

    def _nvlink(self) -> None:
        nvlink = self.spec.nvlink
        if nvlink.type == "switch":
            for gpu in range(self.spec.gpus.count):
                out, into = self._both(f"gpu{gpu}.nvlink", "nvlink", nvlink.port(), "out", "in")
                self.graph.connect(f"gpu{gpu}", "nvswitch", (out,), 1.0)
                self.graph.connect("nvswitch", f"gpu{gpu}", (into,), 1.0)
        for pair in nvlink.pairs:
            a, b = pair.gpus
            there, back = self._both(f"gpu{a}.nvlink.gpu{b}", "nvlink", nvlink.port(pair), "out", "in")
            self.graph.connect(f"gpu{a}", f"gpu{b}", (there,), 1.0)
            self.graph.connect(f"gpu{b}", f"gpu{a}", (back,), 1.0)

    def _pcie(self) -> None:
        for gpu, switch in enumerate(self.gpu_switch):
            name, port = f"gpu{gpu}.pcie", self.spec.pcie.lane
            self._join(name, "pcie", port, f"gpu{gpu}", f"switch{switch}", "up", "down")
        for switch, socket in enumerate(self.switch_socket):
            name, port = f"switch{switch}.uplink", self.spec.pcie.uplink
            self._join(name, "uplink", port, f"switch{switch}", f"socket{socket}", "up", "down")

    def _host(self) -> None:
        sockets = range(self.spec.sockets.count)
        for socket in sockets:
            name = f"socket{socket}.memory"
            self._join(name, "memory", self.spec.host, f"socket{socket}", "host", "write", "read")
        for a in sockets:
            for b in sockets[a + 1 :]:
                name, port = f"socket{a}.socket{b}", self.spec.sockets.port()
                self._join(name, "socket", port, f"socket{a}", f"socket{b}", "out", "in")

    def _nics(self) -> None:
        for nic, switch in enumerate(self.nic_switch):
            assert self.spec.nics is not None  # noqa: S101  # there are NICs
            out, into = self._nic_port(nic, self.spec.nics)
            self.graph.connect(f"switch{switch}", f"nic{nic}", out)
            self.graph.connect(f"nic{nic}", f"switch{switch}", into)

    def _nic_port(self, nic: int, port: PortSpec) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Give the links out and in; a half-duplex port is shared, and a link out beside it counts bytes."""
        if port.duplex == "full":
            return (
                (self._add(f"nic{nic}.out", "nic", port, crosses=True),),
                (self._add(f"nic{nic}.in", "nic", port),),
            )
        shared = self._add(f"nic{nic}.port", "nic", port)
        count = PortSpec(bandwidth=port.bandwidth, efficiency=port.efficiency)
        return (shared, self._add(f"nic{nic}.out", "nic", count, crosses=True)), (shared,)

    def _nearest_nic(self, gpu: int) -> int:
        routes = [self.graph.route(f"gpu{gpu}", f"nic{nic}") for nic in range(self.nics)]
        hops = [len(route) for route in routes if route is not None]
        near = [nic for nic, route in enumerate(routes) if route is not None and len(route) == min(hops)]
        mates = [mate for mate, switch in enumerate(self.gpu_switch) if switch == self.gpu_switch[gpu]]
        return near[mates.index(gpu) % len(near)] if near else -1

    def _join(
        self, name: str, kind: LinkKind, port: PortSpec, below: str, above: str, up: str, down: str
    ) -> None:
        """Join two devices by a link up and a link down."""
        rising, falling = self._both(name, kind, port, up, down)
        self.graph.connect(below, above, (rising,))
        self.graph.connect(above, below, (falling,))

    def _both(self, name: str, kind: LinkKind, port: PortSpec, there: str, back: str) -> tuple[int, int]:
        """Give a link for each direction, or the same for both where the port is half duplex."""
        if port.duplex == "half":
            shared = self._add(f"{name}.port", kind, port)
            return shared, shared
        return self._add(f"{name}.{there}", kind, port), self._add(f"{name}.{back}", kind, port)

    def _add(self, name: str, kind: LinkKind, port: PortSpec, crosses: bool = False) -> int:
        self.links.append(Link(len(self.links), name, kind, 0, port.capacity, port.latency, crosses))
        return len(self.links) - 1


def deal(count: int, among: int) -> tuple[int, ...]:
    """Deal things out in equal runs.

    Examples
    --------
    >>> deal(8, 4), deal(2, 4)
    ((0, 0, 1, 1, 2, 2, 3, 3), (0, 2))
    """
    return tuple(index * among // count for index in range(count))
