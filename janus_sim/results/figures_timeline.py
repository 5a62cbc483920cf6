"""The timeline of one machine, a panel a policy: what its GPUs ran and moved, and how its links were used."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from janus_sim.record import LinkRecord, Record, StepRecord
from janus_sim.results.figures_links import WORDS, row, way
from janus_sim.results.figures_style import DARK, DEED_COLOURS, OVER, Width, inches, one_step, title
from janus_sim.results.metrics import Floats, Mask
from janus_sim.results.result import Result

#: GPUs shown at most, and the gap (as a share of the step) below which two bars of one colour become one.
MOST_GPUS, FINEST = 8, 1 / 1500

#: Kinds and directions of link that are shown, where the machine has them.
LINKS = (("nvlink", "out"), ("uplink", "down"), ("uplink", "up"), ("nic", "in"), ("nic", "out"))

BARS: Any = {"linewidth": 0, "antialiased": False, "rasterized": True}

COMPUTE_DEEDS = ("dense compute", "expert compute")


def draw(results: Mapping[str, Result], machine: int, width: Width | None = None) -> Figure:
    """Draw one panel a result, above each other on one scale of time."""
    rows = [_rows(result.record, machine) for result in results.values()]
    heights = [len(ranks) + 0.9 * len(links) for ranks, links in rows]
    figure = Figure(
        figsize=(
            inches(width, 9.0),
            1.3 + sum((0.14 if width else 0.3) * height + 0.5 for height in heights),
        ),
        layout="constrained",
    )
    panels: list[Axes] = list(
        figure.subplots(len(results), 1, squeeze=False, sharex=True, height_ratios=heights)[:, 0]
    )
    longest = max(result.record.steps[0].seconds for result in results.values()) * 1e3
    seen: set[str] = set()
    for axes, (name, result), (ranks, links) in zip(panels, results.items(), rows, strict=True):
        axes.set_xlim(0, longest)
        seen |= _panel(axes, result.record, machine, ranks, links)
        axes.set_title(
            f"{name}: {result.record.steps[0].seconds * 1e3:.1f} ms",
            loc="left",
            fontsize=8 if width else 10,
            pad=9 if width else 13,
        )
    panels[-1].set_xlabel("ms since the step began")
    workload = next(iter(results.values())).scenario.get("workload", "")
    whose = f" of {workload}" if workload else ""
    below = "A GPU computes in the upper half of its row and communicates in the lower half."
    shown = one_step(len(next(iter(results.values())).record.steps))
    title(figure, f"{shown}{whose} on machine {machine}", 80, below, paper=bool(width))
    patches = [Patch(color=colour, label=deed) for deed, colour in DEED_COLOURS.items() if deed in seen]
    patches.append(Patch(color=DARK, label="share of the links in use"))
    figure.legend(handles=patches, loc="outside lower left", ncols=2 if width == "column" else 4,
                  frameon=False, fontsize=8, handlelength=1.2, columnspacing=1.2)  # fmt: skip
    return figure


def numbers(results: Mapping[str, Result], machine: int = 0) -> pd.DataFrame:
    """Return the bars that are drawn: policy, rank, deed, begin_s, seconds.

    Rank -1 is what the machine does for all its GPUs. The use of links is not among them (see `links`).
    """
    rows = []
    for name, result in results.items():
        record, step = result.record, result.record.steps[0]
        mine = (record.spans["step"] == step.step) & (record.spans["machine"] == machine)
        for deed, mask in deeds(record, mine).items():
            for rank in _rows(record, machine)[0]:
                for begin, length in _bars(record, mask & (record.spans["rank"] == rank), deed):
                    rows.append((name, rank, deed, begin, length))
    return pd.DataFrame(rows, columns=["policy", "rank", "deed", "begin_s", "seconds"])


def _bars(record: Record, chosen: Mask, deed: str) -> list[tuple[float, float]]:
    """Return begin and length in seconds of the bars of one row and colour."""
    step = record.steps[0]
    opened = record.spans["joined" if deed == "All-to-All" else "begin"][chosen]
    return merge(opened - step.begin, record.spans["end"][chosen] - step.begin, step.seconds * FINEST)


def _rows(record: Record, machine: int) -> tuple[list[int], list[tuple[str, str]]]:
    """Return the ranks (-1: what the machine does for all) and the groups of links to show."""
    spans = record.spans
    ranks = np.unique(spans["rank"][spans["machine"] == machine])
    ranks = np.concatenate([ranks[ranks >= 0][:MOST_GPUS], ranks[ranks < 0]])
    there = {
        (link.kind, way(link.name)) for link in record.links if link.machine == machine and link.series.size
    }
    return [int(rank) for rank in ranks], [group for group in LINKS if group in there]


def _panel(
    axes: Axes, record: Record, machine: int, ranks: list[int], links: list[tuple[str, str]]
) -> set[str]:
    """Draw the rows of one policy; return the deeds that occur."""
    spans, step, seen = record.spans, record.steps[0], set()
    mine = (spans["step"] == step.step) & (spans["machine"] == machine)
    for deed, mask in deeds(record, mine).items():
        for place, rank in enumerate(ranks):
            found = _bars(record, mask & (spans["rank"] == rank), deed)
            bars = [(begin * 1e3, length * 1e3) for begin, length in found]
            if bars:
                seen.add(deed)
                low, high = (0.06, 0.46) if deed in COMPUTE_DEEDS else (0.5, 0.42)
                axes.broken_barh(bars, (place + low, high), color=DEED_COLOURS[deed], **BARS)
    middles = [place + 0.5 for place in range(len(ranks))]
    labels = ["machine" if rank < 0 else f"GPU {rank}" for rank in ranks]
    for place, (kind, out) in enumerate(links):
        floor = len(ranks) + 0.9 * (place + 1)
        there = [link for link in record.links if link.machine == machine and link.kind == kind]
        _use(axes, [link for link in there if way(link.name) == out], step, floor)
        middles.append(floor - 0.4)
        labels.append(f"{WORDS[kind]} {out}")
    axes.set_yticks(middles, labels, fontsize=7.5)
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(len(ranks) + 0.9 * len(links) + 0.05, 0)
    _turn(axes, record, mine)
    return seen


def _use(axes: Axes, group: list[LinkRecord], step: StepRecord, floor: float) -> None:
    """Draw the mean utilization of a group of links, full scale 0.8 of a row."""
    used = np.clip(np.mean([row(link, step) for link in group], axis=0), 0, 1)
    edges = np.linspace(0, step.seconds * 1e3, len(used) + 1)
    axes.stairs(floor - 0.8 * used, edges, baseline=floor, fill=True, color=DARK, linewidth=0)
    axes.axhline(floor, color="#CCCCCC", linewidth=0.5)


def _turn(axes: Axes, record: Record, mine: Mask) -> None:
    """Mark where the backward pass begins, and grey what comes after the step."""
    step, back = record.steps[0], mine & (record.spans["phase"] == "backward")
    end = step.seconds * 1e3
    axes.axvspan(end, max(end, axes.get_xlim()[1]), color=OVER, linewidth=0)
    if back.any():
        at = float(record.spans["begin"][back].min() - step.begin) * 1e3
        axes.axvline(at, color="#555555", linewidth=0.8, linestyle=":")
        axes.annotate(
            " backward", (at, 0), (0, 2), textcoords="offset points", fontsize=7, annotation_clip=False
        )


def deeds(record: Record, mine: Mask) -> dict[str, Mask]:
    """Return the spans of each deed of the legend."""
    kind, label = record.spans["kind"], record.spans["label"]
    expert: Mask = np.array([word.startswith("expert") for word in label], dtype=bool)
    gradient: Mask = np.array(["grad" in word for word in label], dtype=bool)
    masks = (
        (kind == "compute") & ~expert,
        (kind == "compute") & expert,
        kind == "all_to_all",
        (kind == "transfer") & ~gradient,
        (kind == "transfer") & gradient,
        kind == "all_reduce",
    )
    return {deed: mask & mine for deed, mask in zip(DEED_COLOURS, masks, strict=True)}


def merge(begin: Floats, end: Floats, gap: float) -> list[tuple[float, float]]:
    """Return begin and length of each part of the union of intervals, gaps below `gap` closed.

    Examples
    --------
    >>> merge(np.array([0.0, 2.0, 2.25]), np.array([1.0, 3.0, 2.5]), 0.5)
    [(0.0, 1.0), (2.0, 1.0)]
    """
    order = np.argsort(begin, kind="stable")
    begin, reach = begin[order], np.maximum.accumulate(end[order])
    new = np.ones(len(begin), dtype=bool)
    new[1:] = begin[1:] - reach[:-1] >= gap
    first = np.flatnonzero(new)
    last = np.append(first[1:], len(begin)) - 1 if len(first) else first
    return list(zip(begin[first].tolist(), (reach[last] - begin[first]).tolist(), strict=True))
