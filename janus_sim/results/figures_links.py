"""The heat map of links over time: one machine's links and every machine's NICs, a panel a policy."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from numpy.typing import NDArray

from janus_sim.record import LinkRecord, StepRecord
from janus_sim.results.figures_style import OVER, one_step, title
from janus_sim.results.result import Result

#: Columns of a panel, and at most so many rows of one group of links; below few, its label is one line.
COLUMNS, MOST_ROWS, FEW = 360, 16, 4

#: Letters of a panel's title in one line.
TITLE_WIDTH = 38

#: A share below this is drawn as idle.
IDLE = 0.002

COLOURS = "viridis_r"

WORDS = {"nvlink": "NVLink", "pcie": "PCIe lanes", "uplink": "PCIe uplinks", "memory": "host memory",
         "socket": "sockets", "nic": "NICs", "fabric": "fabric"}  # fmt: skip

Group = tuple[str, list[LinkRecord]]


def draw(results: Mapping[str, Result]) -> Figure:
    """Draw one panel a result, side by side on one scale of time; white is idle, grey is after the end."""
    used = {
        (link.kind, way(link.name))
        for result in results.values()
        for link in result.record.links
        if link.series.any()
    }
    groups = {
        name: groups_of([link for link in result.record.links if (link.kind, way(link.name)) in used])
        for name, result in results.items()
    }
    ends = [result.record.steps[0].seconds * 1e3 for result in results.values()]
    most = max(sum(len(links) for _, links in panel) for panel in groups.values())
    figure = Figure(figsize=(2.4 + 3.3 * len(results), 1.7 + 0.085 * most), layout="constrained")
    panels: list[Axes] = list(figure.subplots(1, len(results), squeeze=False)[0])
    for axes, (name, result), seconds in zip(panels, results.items(), ends, strict=True):
        step, shown = result.record.steps[0], groups[name]
        heat = np.vstack([row(link, step) for _, links in shown for link in links])
        heat = np.ma.masked_less(heat, IDLE)
        axes.imshow(
            heat, aspect="auto", interpolation="nearest", cmap=COLOURS, vmin=0, vmax=1, rasterized=True,
            extent=(0, step.seconds * 1e3, len(heat), 0),
        )  # fmt: skip
        words = textwrap.fill(f"{name}: {seconds:.1f} ms", TITLE_WIDTH)
        axes.set_title(words, loc="left", fontsize=10)
        axes.set_xlim(0, max(ends))
        axes.set_xlabel("ms")
        axes.axvspan(seconds, max(ends), color=OVER, linewidth=0)
        _mark(axes, shown, labels=axes is panels[0] or _names(shown) != _names(next(iter(groups.values()))))
    scale = ScalarMappable(Normalize(0, 1), cmap=COLOURS)
    bar = figure.colorbar(scale, ax=panels, shrink=0.6, pad=0.02, aspect=30)
    bar.set_label("share of the link's capacity in use")
    workload = next(iter(results.values())).scenario.get("workload", "")
    whose = f" of {workload}" if workload else ""
    shown_step = one_step(len(next(iter(results.values())).record.steps))
    title(figure, f"{shown_step}{whose}, link by link: white is idle", 44 * len(ends))
    return figure


def groups_of(links: Sequence[LinkRecord]) -> list[Group]:
    """Return the links to show by kind and direction: machine 0's, every machine's NICs, and the fabric.

    A group of many is thinned out evenly. Links without a series are left out.

    Returns
    -------
    list of (name of the group, its links); the name of a group of few links is one line
    """
    groups: dict[tuple[str, str], list[LinkRecord]] = {}
    for link in links:
        if link.series.size and (link.machine <= 0 or link.kind == "nic"):
            groups.setdefault((link.kind, way(link.name)), []).append(link)
    order = {kind: place for place, kind in enumerate(WORDS)}
    shown: list[Group] = []
    for (kind, out), members in sorted(
        groups.items(), key=lambda item: (order.get(item[0][0], 99), item[0][1])
    ):
        machines = len({link.machine for link in members})
        every = -(-len(members) // MOST_ROWS)
        where = f"{machines} machines" if machines > 1 else f"machine {members[0].machine}"
        few = f", {len(members[::every])} of {len(members)}" if every > 1 else ""
        where = few[2:] if kind == "fabric" else where + few
        where = f"\n{where}" if len(members) >= FEW else ""
        shown.append((f"{WORDS.get(kind, kind)} {out}".strip() + where, members[::every]))
    return shown


def row(link: LinkRecord, step: StepRecord) -> NDArray[np.float64]:
    """Return (COLUMNS,) the mean utilization of a link in equal slices of a step."""
    edges = np.linspace(step.begin, step.end, COLUMNS + 1)
    carried = np.concatenate([[0.0], np.cumsum(link.series)])
    bins = np.arange(len(carried)) * link.bin_width
    moved = np.diff(np.interp(edges, bins, carried))
    room = link.capacity * max(step.seconds / COLUMNS, 1e-300)
    return np.asarray(moved / room, dtype=np.float64)


def _names(groups: Sequence[Group]) -> list[str]:
    return [words for words, _ in groups]


def way(name: str) -> str:
    """Return the direction that a name ends in, or "".

    Examples
    --------
    >>> way("m0.gpu3.nvlink.out"), way("m0.bus")
    ('out', '')
    """
    last = name.rpartition(".")[2]
    return last if last in {"in", "out", "up", "down", "read", "write"} else ""


def _mark(axes: Axes, groups: Sequence[Group], *, labels: bool) -> None:
    """Write the name of each group in its middle, and draw a line between groups."""
    edges = np.cumsum([0] + [len(links) for _, links in groups])
    for edge in edges[1:-1]:
        axes.axhline(edge, color="white", linewidth=2.4)
        axes.axhline(edge, color="#AAAAAA", linewidth=0.6)
    middles = (edges[:-1] + edges[1:]) / 2
    axes.set_yticks(middles, [words for words, _ in groups] if labels else [""] * len(groups), fontsize=7.5)
    axes.tick_params(axis="y", length=0)
