"""The heat map of links over time: one machine's links and every machine's NICs, a panel a policy."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from numpy.typing import NDArray

from janus_sim.record import LinkRecord, StepRecord
from janus_sim.results.figures_style import OVER, Width, inches, one_step, title
from janus_sim.results.result import Result

#: Columns of a panel, and at most so many rows of one group of links; below few, its label is one line.
COLUMNS, MOST_ROWS, FEW = 360, 16, 4

#: Inches of a row of a panel, and how many rows the name of a group needs on paper.
ROW: dict[Width | None, float] = {None: 0.085, "page": 0.04, "column": 0.025}
LEAST = 5

#: Letters of a panel's title in one line.
TITLE_WIDTH, PAPER_TITLE = 38, 26

#: A share below this is drawn as idle.
IDLE = 0.002

COLOURS = "viridis_r"

WORDS = {"nvlink": "NVLink", "pcie": "PCIe lanes", "uplink": "PCIe uplinks", "memory": "host memory",
         "socket": "sockets", "nic": "NICs", "fabric": "fabric"}  # fmt: skip

Group = tuple[str, list[LinkRecord]]


def draw(results: Mapping[str, Result], width: Width | None = None) -> Figure:
    """Draw one panel a result on one scale of time; white is idle, grey is after the end.

    Panels stand side by side, in a column of a paper one above the other.
    """
    groups, column = used_groups(results), width == "column"
    across, down = (1, len(results)) if column else (len(results), 1)
    most = max(sum(_rooms(panel, width)) for panel in groups.values())
    high = 1.2 + (0.5 + ROW[width] * most) * down
    figure = Figure(figsize=(inches(width, 2.4 + 3.3 * across), high), layout="constrained")
    panels: list[Axes] = list(figure.subplots(down, across, squeeze=False).ravel())
    longest = max(result.record.steps[0].seconds for result in results.values()) * 1e3
    for axes, (name, result) in zip(panels, results.items(), strict=True):
        step, other = result.record.steps[0], _names(groups[name]) != _names(next(iter(groups.values())))
        _panel(axes, step, groups[name], width, labels=column or axes is panels[0] or other)
        words = textwrap.fill(f"{name}: {step.seconds * 1e3:.1f} ms", PAPER_TITLE if width else TITLE_WIDTH)
        axes.set_title(words, loc="left", fontsize=8 if width else 10)
        axes.set_xlim(0, longest)
        axes.set_xlabel("ms" if not column or axes is panels[-1] else "")
        axes.axvspan(step.seconds * 1e3, longest, color=OVER, linewidth=0)
    scale = ScalarMappable(Normalize(0, 1), cmap=COLOURS)
    place: Any = {"location": "bottom", "pad": 0.01} if column else {"shrink": 0.6, "pad": 0.02}
    figure.colorbar(scale, ax=panels, aspect=30, **place).set_label("share of the link's capacity in use")
    first = next(iter(results.values()))
    whose = f" of {first.scenario['workload']}" if first.scenario.get("workload") else ""
    words = f"{one_step(len(first.record.steps))}{whose}, link by link: white is idle"
    title(figure, words, 44 * len(panels), paper=bool(width))
    return figure


def _rooms(groups: Sequence[Group], width: Width | None) -> list[int]:
    """Return the height of each group in rows: on paper a small group has room for its name all the same."""
    return [max(len(links), LEAST if width else 1) for _, links in groups]


def _panel(
    axes: Axes, step: StepRecord, groups: Sequence[Group], width: Width | None, *, labels: bool
) -> None:
    """Draw the links of one result, group by group, with the name of each in its middle."""
    edges = np.cumsum([0, *_rooms(groups, width)])
    for low, high, (_, links) in zip(edges, edges[1:], groups, strict=False):
        heat = np.ma.masked_less(np.vstack([row(link, step) for link in links]), IDLE)
        axes.imshow(
            heat, aspect="auto", interpolation="nearest", cmap=COLOURS, vmin=0, vmax=1, rasterized=True,
            extent=(0, step.seconds * 1e3, high, low),
        )  # fmt: skip
    for edge in edges[1:-1]:
        axes.axhline(edge, color="white", linewidth=1.2 if width else 2.4)
        axes.axhline(edge, color="#AAAAAA", linewidth=0.6)
    names = [words.partition("\n")[0] if width else words for words in _names(groups)]
    axes.set_ylim(edges[-1], 0)
    axes.set_yticks((edges[:-1] + edges[1:]) / 2, names if labels else [""] * len(groups))
    axes.tick_params(axis="y", length=0, labelsize=6.5 if width else 7.5)


def used_groups(results: Mapping[str, Result]) -> dict[str, list[Group]]:
    """Return for each result its links by kind and direction, those kinds that any of the results used."""
    used = {
        (link.kind, way(link.name))
        for result in results.values()
        for link in result.record.links
        if link.series.any()
    }
    return {
        name: groups_of([link for link in result.record.links if (link.kind, way(link.name)) in used])
        for name, result in results.items()
    }


def numbers(results: Mapping[str, Result]) -> pd.DataFrame:
    """Return what is drawn: a row a link, and a column a slice of the step (each of `slice_s` seconds)."""
    tables = []
    for name, groups in used_groups(results).items():
        step = results[name].record.steps[0]
        links = [link for _, members in groups for link in members]
        shares = pd.DataFrame(np.array([row(link, step) for link in links]).reshape(-1, COLUMNS).round(4))
        shares.columns = pd.Index([f"slice_{place}" for place in range(COLUMNS)])
        shares.insert(0, "slice_s", step.seconds / COLUMNS)
        shares.insert(0, "link", [link.name for link in links])
        shares.insert(0, "policy", name)
        tables.append(shares)
    return pd.concat(tables, ignore_index=True)


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
