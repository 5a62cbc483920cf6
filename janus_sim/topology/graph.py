"""The wiring of one machine as a graph of devices, and the shortest routes through it."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import networkx as nx

#: How much worse a hop is than one over NVLink, so that NVLink is taken wherever it leads.
PCIE_HOP = 100.0


class Graph:
    """Devices joined by links; GPUs, NICs and host memory end a route and never lie inside one.

    Parameters
    ----------
    ends : iterable of str
        The devices through which nothing passes.

    Examples
    --------
    >>> graph = Graph(["gpu0", "gpu1"])
    >>> graph.connect("gpu0", "switch0", (0,))
    >>> graph.connect("switch0", "gpu1", (1,))
    >>> graph.route("gpu0", "gpu1"), graph.route("gpu1", "gpu0")
    ((0, 1), None)
    """

    def __init__(self, ends: list[str]) -> None:
        self._ends = frozenset(ends)
        import networkx as nx

        self._graph: nx.DiGraph[str] = nx.DiGraph()
        self._paths: dict[str, dict[str, list[str]]] = {}
        self._routes: dict[tuple[str, str], tuple[int, ...] | None] = {}

    def connect(self, tail: str, head: str, links: tuple[int, ...], weight: float = PCIE_HOP) -> None:
        """Lead from one device to another over some links (none: inside a device)."""
        self._graph.add_edge(self._key(tail, "from"), self._key(head, "to"), links=links, weight=weight)

    def route(self, source: str, target: str) -> tuple[int, ...] | None:
        """Give the links from one device to another, or None; ties fall to what was connected first."""
        key = (source, target)
        if key not in self._routes:
            self._routes[key] = self._route(source, target)
        return self._routes[key]

    def _route(self, source: str, target: str) -> tuple[int, ...] | None:
        start, end = self._key(source, "from"), self._key(target, "to")
        if start not in self._paths:
            self._paths[start] = self._search(start)
        path = self._paths[start].get(end)
        if path is None:
            return None
        edges = self._graph.edges
        return tuple(link for tail, head in pairwise(path) for link in edges[tail, head]["links"])

    def _search(self, start: str) -> dict[str, list[str]]:
        """Find the shortest paths from one device to all others."""
        import networkx as nx

        if start not in self._graph:
            return {}
        found: dict[str, list[str]] = nx.single_source_dijkstra_path(self._graph, start, weight="weight")
        return found

    def _key(self, device: str, role: str) -> str:
        """Split a device that ends routes in two: one to start from, one to arrive at."""
        return f"{device} {role}" if device in self._ends else device
