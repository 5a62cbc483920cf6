"""Charts of the report that tell of one step: links over time, and what one machine did when."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from janus_sim.record import Record
from janus_sim.results.figures_links import COLUMNS, IDLE, row, used_groups
from janus_sim.results.figures_style import DEED_COLOURS, OVER
from janus_sim.results.figures_timeline import COMPUTE_DEEDS, MOST_GPUS, deeds
from janus_sim.results.metrics import Floats, Ints, Mask
from janus_sim.results.report_charts import GRID, LAYOUT, Chart, escaped
from janus_sim.results.result import Result

MOST_SPANS = 2500  #: bars of one policy; more are merged with their neighbours
HEAT_ROW, LANE = 7, 26  #: pixels of a link in the heat map, and of a GPU in the timeline
GAP = 58  #: pixels between panels
SCALE = [[0.0, "#FDE725"], [0.25, "#5EC962"], [0.5, "#21918C"], [0.75, "#3B528B"], [1.0, "#440154"]]


def heat(results: Mapping[str, Result]) -> Chart | None:
    """Draw the utilization of links over the first step, a panel a policy; idle slots are empty."""
    traces: list[Chart] = []
    panels: list[tuple[str, Chart, int]] = []
    lines: list[Chart] = []
    for name, groups in used_groups(results).items():
        result, step = results[name], results[name].record.steps[0]
        links = [link for _, members in groups for link in members]
        if not links:
            continue
        shares = [
            [None if share < IDLE else round(share, 3) for share in row(link, step).tolist()]
            for link in links
        ]
        place = len(panels) + 1
        traces.append({
            "type": "heatmap", "z": shares, "x0": 0, "dx": step.seconds * 1e3 / COLUMNS, "zmin": 0, "zmax": 1,
            "colorscale": SCALE, "showscale": place == 1, "hoverongaps": False, **_axes(place),
            "colorbar": {"title": {"text": "in use", "side": "right"}, "tickformat": ".0%", "thickness": 12,
                         "lenmode": "pixels", "len": 200, "y": 1, "yanchor": "top"},
            "y": [escaped(link.name) for link in links],
            "hovertemplate": "%{y}<br>%{x:.2f} ms: %{z:.0%}<extra></extra>",
        })  # fmt: skip
        edges = np.cumsum([0, *(len(members) for _, members in groups)])
        axis = {
            "type": "category",
            "tickfont": {"size": 10},
            "tickvals": ((edges[:-1] + edges[1:] - 1) / 2).tolist(),
            "ticktext": [escaped(words.replace("\n", ", ")) for words, _ in groups],
            "range": [len(links) - 0.5, -0.5],
        }
        lines.append(_over(place, result, results))
        lines += [_line(place, edge - 0.5) for edge in edges[1:-1].tolist()]
        panels.append((_heading(name, result), axis, max(HEAT_ROW * len(links), 60)))
    return {"data": traces, "layout": stacked(panels, results) | {"shapes": lines}} if panels else None


def _over(place: int, result: Result, results: Mapping[str, Result]) -> Chart:
    """Grey what comes after the step, up to the end of the longest."""
    names = _axes(place)
    return {"type": "rect", "xref": names["xaxis"], "yref": f"{names['yaxis']} domain", "y0": 0, "y1": 1,
            "x0": result.record.steps[0].seconds * 1e3, "x1": _longest(results), "fillcolor": OVER,
            "line": {"width": 0}, "layer": "below"}  # fmt: skip


def _longest(results: Mapping[str, Result]) -> float:
    return max((one.record.steps[0].seconds for one in results.values()), default=0.0) * 1e3


def _line(place: int, height: float) -> Chart:
    """Draw a thin line across a panel."""
    names = _axes(place)
    return {"type": "line", "xref": f"{names['xaxis']} domain", "yref": names["yaxis"], "x0": 0, "x1": 1,
            "y0": height, "y1": height, "line": {"color": "#999999", "width": 0.7}}  # fmt: skip


def timeline(results: Mapping[str, Result], machine: int = 0) -> Chart | None:
    """Draw what the GPUs of one machine did in the first step, a panel a policy; drag to zoom.

    A GPU computes in the upper half of its row and communicates in the lower half. Where a policy has more
    than `MOST_SPANS` spans, neighbours of one kind are merged, those with the smallest gaps first.
    """
    traces: list[Chart] = []
    panels: list[tuple[str, Chart, int]] = []
    seen: set[str] = set()
    after: list[Chart] = []
    for name, result in results.items():
        bars, ranks = spans(result.record, machine)
        if not any(len(one["x"]) for one in bars.values()):
            continue
        place = len(panels) + 1
        after.append(_over(place, result, results))
        for deed, one in bars.items():
            if one["x"]:
                traces.append({
                    "type": "bar", "orientation": "h", "name": deed, "legendgroup": deed, **one,
                    **_axes(place), "showlegend": deed not in seen, "textposition": "none",
                    "marker": {"color": DEED_COLOURS[deed], "line": {"width": 0}},
                    "hovertemplate": "%{text}<br>from %{base:.3f} ms, %{x:.3f} ms<extra></extra>",
                })  # fmt: skip
                seen.add(deed)
        labels = ["machine" if rank < 0 else f"GPU {rank}" for rank in ranks]
        axis = {
            "tickvals": [at + 0.5 for at in range(len(ranks))],
            "ticktext": labels,
            "range": [len(ranks), 0],
            "fixedrange": True,
        }
        panels.append((_heading(name, result), axis, max(LANE * len(ranks), 60)))
    return (
        {"data": traces, "layout": stacked(panels, results) | {"barmode": "overlay", "shapes": after}}
        if panels
        else None
    )


def spans(record: Record, machine: int) -> tuple[dict[str, Chart], list[int]]:
    """Return for each deed its bars (base, x, y, width, text) in ms, and the ranks of the rows."""
    columns, step = record.spans, record.steps[0]
    mine = (columns["step"] == step.step) & (columns["machine"] == machine)
    ranks = np.unique(columns["rank"][mine])
    ranks = np.concatenate([ranks[ranks >= 0][:MOST_GPUS], ranks[ranks < 0]])
    masks = deeds(record, mine & np.isin(columns["rank"], ranks))
    gap = merging_gap(record, list(masks.values()))
    found: dict[str, Chart] = {}
    for deed, mask in masks.items():
        bars: dict[str, list[Any]] = {"base": [], "x": [], "y": [], "text": []}
        middle = 0.27 if deed in COMPUTE_DEEDS else 0.71
        for place, rank in enumerate(ranks.tolist()):
            chosen = np.flatnonzero(mask & (columns["rank"] == rank))
            opened = columns["joined" if deed == "All-to-All" else "begin"]
            for base, length, words in _merged(record, chosen, opened, gap):
                bars["base"].append(round((base - step.begin) * 1e3, 4))
                bars["x"].append(round(length * 1e3, 4))
                bars["y"].append(place + middle)
                bars["text"].append(escaped(words))
        found[deed] = bars | {"width": 0.42}
    return found, [int(rank) for rank in ranks]


def merging_gap(record: Record, masks: list[Mask], most: int = MOST_SPANS) -> float:
    """Return the gap in seconds below which neighbours are merged, so that about `most` bars are left.

    0 merges nothing but what overlaps.
    """
    columns = record.spans
    gaps: list[Floats] = []
    for mask in masks:
        for rank in np.unique(columns["rank"][mask]).tolist():
            chosen = np.flatnonzero(mask & (columns["rank"] == rank))
            chosen = chosen[np.argsort(columns["begin"][chosen], kind="stable")]
            reach = np.maximum.accumulate(columns["end"][chosen])
            gaps.append(np.maximum(columns["begin"][chosen][1:] - reach[:-1], 0.0))
            gaps.append(np.array([np.inf]))
    every = np.sort(np.concatenate([np.zeros(0), *gaps]))
    return 0.0 if len(every) <= most else float(np.nextafter(every[-most - 1], np.inf))


def _merged(record: Record, chosen: Ints, opened: Floats, gap: float) -> list[tuple[float, float, str]]:
    """Return (begin, seconds, words) of the bars of one row."""
    chosen = chosen[np.argsort(opened[chosen], kind="stable")]
    begin, end = opened[chosen], record.spans["end"][chosen]
    if not len(chosen):
        return []
    reach = np.maximum.accumulate(end)
    new = np.ones(len(chosen), dtype=bool)
    new[1:] = begin[1:] - reach[:-1] >= gap if gap > 0 else True
    first = np.flatnonzero(new)
    last = np.append(first[1:], len(chosen)) - 1
    reach = end if gap == 0 else reach
    return [
        (float(begin[a]), float(reach[b] - begin[a]), _words(record, chosen[a], b - a))
        for a, b in zip(first.tolist(), last.tolist(), strict=True)
    ]


def _words(record: Record, span: int, more: int) -> str:
    columns = record.spans
    words = f"{columns['label'][span]}, layer {columns['layer'][span]} {columns['phase'][span]}".strip()
    return f"{words} and {more} more" if more else words


def _heading(name: str, result: Result) -> str:
    steps = len(result.record.steps)
    first = "" if steps == 1 else f" (the first of {steps} steps)"
    return escaped(f"{name}: {result.record.steps[0].seconds * 1e3:.1f} ms{first}")


def _axes(place: int) -> Chart:
    return {"xaxis": "x" if place == 1 else f"x{place}", "yaxis": "y" if place == 1 else f"y{place}"}


def stacked(panels: list[tuple[str, Chart, int]], results: Mapping[str, Result]) -> Chart:
    """Lay panels above each other on one axis of time, each with its heading."""
    top, bottom = 60, 44
    inside = sum(height for _, _, height in panels) + GAP * max(len(panels) - 1, 0)
    layout: Chart = LAYOUT | {
        "height": inside + top + bottom,
        "margin": {"l": 10, "r": 20, "t": top, "b": bottom},
    }
    layout["legend"] = LAYOUT["legend"] | {"y": 1 + 24 / max(inside, 1)}
    headings, at = [], 0
    for place, (words, axis, height) in enumerate(panels, start=1):
        number = "" if place == 1 else str(place)
        high, low = 1 - at / inside, max(1 - (at + height) / inside, 0.0)
        layout[f"yaxis{number}"] = GRID | axis | {
            "domain": [low, high], "anchor": f"x{number}", "showgrid": False, "zeroline": False, "ticks": "",
        }  # fmt: skip
        layout[f"xaxis{number}"] = GRID | {
            "anchor": f"y{number}",
            "range": [0, _longest(results)],
            "showgrid": False,
            "zeroline": False,
            **({} if place == 1 else {"matches": "x"}),
        }
        headings.append({
            "xref": "paper", "yref": "paper", "x": 0, "y": high, "text": f"<b>{words}</b>",
            "showarrow": False, "xanchor": "left", "yanchor": "bottom", "yshift": 2,
        })  # fmt: skip
        at += height + GAP
    layout[f"xaxis{'' if len(panels) == 1 else len(panels)}"]["title"] = {
        "text": "ms since the step began",
        "standoff": 6,
    }
    return layout | {"annotations": headings}
