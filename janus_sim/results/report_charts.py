"""Charts of the report that tell of the table: speedups, where steps went, and the way from one to another.

A chart is what plotly.js reads, as plain values; words that users wrote are escaped.
"""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from janus_sim.results import figures_waterfall, tables, wording
from janus_sim.results.explain import NAMES, Waterfall
from janus_sim.results.figures_style import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PART_COLOURS,
    PURPLE,
    SKY,
    VERMILLION,
    YELLOW,
)

Chart = dict[str, Any]
#: By the id of its place: a chart if it can be drawn, and a heading and a line of text in two lines.
Charts = dict[str, tuple[Chart | None, str]]

MOST_BARS = 60  #: rows of the table that are drawn
ROW, LEGEND = 22, 40  #: pixels of a bar and its gap, and of a legend of three lines

#: A policy has the same colour in all charts.
POLICY_COLOURS = (GREY, BLUE, VERMILLION, GREEN, ORANGE, PURPLE, SKY, YELLOW)

PATH_COLOURS = {
    "compute": BLUE,
    "small_kernels": SKY,
    "launch": PURPLE,
    "nvlink": GREEN,
    "pcie": YELLOW,
    "nic": VERMILLION,
    "transfer_start": ORANGE,
    "straggler": "#777777",
    "host": "#AA8866",
    "other": GREY,
}

#: What the parts of the critical path are called, as in a waterfall.
PATH_NAMES = NAMES | {"nic": "NICs", "host": "host"}

FONT = {"family": "system-ui, 'Segoe UI', 'DejaVu Sans', sans-serif", "size": 12, "color": "#222222"}
GRID = {"gridcolor": "#E5E5E5", "zerolinecolor": "#999999", "automargin": True, "ticklabelstandoff": 5}
#: Zoom is a drag; double click is all again.
LAYOUT: Chart = {
    "font": FONT,
    "paper_bgcolor": "white",
    "plot_bgcolor": "white",
    "hoverlabel": {"align": "left"},
    "margin": {"l": 10, "r": 40, "t": 14, "b": 44},
    "legend": {"orientation": "h", "y": 1, "yanchor": "bottom", "x": 0},
}

SPEEDUP = GRID | {"title": {"text": "speedup over the baseline at the same point", "standoff": 6},
                  "rangemode": "tozero"}  # fmt: skip
#: The line of the baseline.
ONE = {"type": "line", "xref": "x", "yref": "paper", "x0": 1, "x1": 1, "y0": 0, "y1": 1,
       "line": {"color": "#777777", "width": 1, "dash": "dash"}}  # fmt: skip


def escaped(value: object) -> str:
    """Return words as plotly.js shows them, with no markup of their own."""
    return html.escape(str(value), quote=False)


def bars(summary: pd.DataFrame) -> list[tuple[str, str]]:
    """Return for each row the point of the grid that it belongs to and its policy: a bar each, escaped."""
    points = [escaped(point) for point in wording.headings(summary)]
    return list(zip(points, map(escaped, summary["policy"]), strict=True))


def finished(summary: pd.DataFrame) -> pd.DataFrame:
    """Return the rows that have a step time."""
    return summary[summary["step_time_s"].notna()].reset_index(drop=True)


def _axis(labels: Sequence[tuple[str, str]]) -> tuple[list[Any], Chart]:
    """Return the places of bars and an axis of them: two levels where there are several points."""
    several = len({point for point, _ in labels}) > 1
    places: list[Any] = [[point for point, _ in labels], [policy for _, policy in labels]]
    kind = {"type": "multicategory", "dividercolor": "#CCCCCC"} if several else {"type": "category"}
    return places if several else places[1], {**GRID, **kind, "autorange": "reversed", "showgrid": False}


def height(rows: int) -> int:
    """Return the height in pixels of a chart of so many bars."""
    return 90 + ROW * max(rows, 2)


def speedups(summary: pd.DataFrame) -> Chart | None:
    """Draw a bar a row that has a speedup, a colour a policy; 1 is the baseline."""
    shown = summary[summary["speedup"].notna()].head(MOST_BARS).reset_index(drop=True)
    if shown.empty:
        return None
    labels = bars(shown)
    places, axis = _axis(labels)
    colour = colours([policy for _, policy in labels])
    trace = {
        "type": "bar",
        "orientation": "h",
        "y": places,
        "x": shown["speedup"].tolist(),
        "width": 0.74,
        "marker": {"color": [colour[policy] for _, policy in labels]},
        "text": [f"{value:.2f}x" for value in shown["speedup"]],
        "textposition": "outside",
        "cliponaxis": False,
        "customdata": [f"{one * 1e3:.2f} ms" for one in shown["step_time_s"]],
        "hovertemplate": "%{x:.3f}x, a step takes %{customdata}<extra></extra>",
    }
    if "speedup_low" in shown:
        trace["error_x"] = {
            "type": "data", "symmetric": False, "color": "#222222", "thickness": 1, "width": 3,
            "array": (shown["speedup_high"] - shown["speedup"]).fillna(0.0).tolist(),
            "arrayminus": (shown["speedup"] - shown["speedup_low"]).fillna(0.0).tolist(),
        }  # fmt: skip
    layout = LAYOUT | {
        "height": height(len(shown)),
        "yaxis": axis,
        "shapes": [ONE],
        "showlegend": False,
        "xaxis": SPEEDUP,
    }
    return {"data": [trace], "layout": layout}


def dots(summary: pd.DataFrame) -> Chart | None:
    """Draw a dot a row that has a speedup, a line a policy, for tables too long for bars."""
    shown = summary[summary["speedup"].notna()].reset_index(drop=True)
    if shown.empty:
        return None
    points, colour = wording.headings(shown), colours(shown["policy"].tolist())
    traces = []
    for place, (policy, rows) in enumerate(shown.groupby("policy", sort=False)):
        apart = [place + 0.3 * ((7 * number) % 11 - 5) / 5 for number in range(len(rows))]
        traces.append({
            "type": "scatter", "mode": "markers", "y": apart, "x": rows["speedup"].tolist(),
            "marker": {"color": colour[str(policy)], "size": 6, "opacity": 0.6},
            "text": [escaped(points[row]) for row in rows.index],
            "customdata": [f"{one * 1e3:.2f} ms" for one in rows["step_time_s"]],
            "hovertemplate": "%{text}<br>%{x:.3f}x, a step takes %{customdata}<extra></extra>",
        })  # fmt: skip
    names = list(colour)
    axis = GRID | {
        "range": [len(names) - 0.5, -0.5], "tickvals": list(range(len(names))), "showgrid": False,
        "ticktext": [escaped(name) for name in names], "zeroline": False,
    }  # fmt: skip
    layout = LAYOUT | {"height": 100 + 60 * len(names), "yaxis": axis, "shapes": [ONE], "showlegend": False,
                       "xaxis": SPEEDUP}  # fmt: skip
    return {"data": traces, "layout": layout}


def colours(policies: Sequence[str]) -> dict[str, str]:
    """Give each policy its colour, in the order in which they come."""
    names = list(dict.fromkeys(policies))
    return {name: POLICY_COLOURS[place % len(POLICY_COLOURS)] for place, name in enumerate(names)}


def parts(summary: pd.DataFrame, long: pd.DataFrame, colour: Mapping[str, str], words: str) -> Chart | None:
    """Draw where each step went, stacked bars of a long table (`tables.breakdown` or `tables.path`)."""
    shown = finished(summary).head(MOST_BARS)
    if shown.empty:
        return None
    places, axis = _axis(bars(shown))
    traces = []
    for name, rows in long.groupby("part", sort=False):
        seconds = rows["seconds"].to_numpy(float)[: len(shown)]
        if (seconds > 0).any():
            traces.append({
                "type": "bar", "orientation": "h", "name": PATH_NAMES.get(str(name), str(name)), "y": places,
                "width": 0.74, "x": (seconds * 1e3).round(6).tolist(), "marker": {"color": colour[str(name)]},
                "customdata": rows["share"].to_numpy(float)[: len(shown)].round(6).tolist(),
                "hovertemplate": "%{fullData.name}: %{x:.2f} ms, %{customdata:.1%}<extra></extra>",
            })  # fmt: skip
    layout = LAYOUT | {
        "barmode": "stack",
        "height": height(len(shown)) + LEGEND,
        "yaxis": axis,
        "xaxis": GRID | {"title": {"text": words, "standoff": 6}, "rangemode": "tozero"},
        "legend": LAYOUT["legend"] | {"traceorder": "normal"},
    }
    return {"data": traces, "layout": layout}


def where(summary: pd.DataFrame) -> tuple[Chart | None, Chart | None]:
    """Draw where the steps went: means over ranks, and the critical path."""
    done = finished(summary)
    ranks = parts(done, tables.breakdown(done), PART_COLOURS, "ms of a step, mean over ranks")
    path = parts(done, tables.path(done), PATH_COLOURS, "ms of a step, on its critical path")
    return ranks, path


def waterfall(way: Waterfall) -> Chart:
    """Draw the way from one step time to another."""
    shown = figures_waterfall.parts(way)
    names = [way.a, *(part.name for part in shown), way.b]
    values = [way.before, *(part.change for part in shown), way.after]
    measures = ["absolute", *("relative" for _ in shown), "absolute"]
    marks = [f"{value * 1e3:.1f} ms" if kind == "absolute" else f"{value * 1e3:+.1f}"
             for value, kind in zip(values, measures, strict=True)]  # fmt: skip
    trace = {
        "type": "waterfall",
        "orientation": "h",
        "measure": measures,
        "y": list(range(len(names))),
        "x": [value * 1e3 for value in values],
        "text": marks,
        "textposition": "outside",
        "cliponaxis": False,
        "increasing": {"marker": {"color": VERMILLION}},
        "decreasing": {"marker": {"color": BLUE}},
        "totals": {"marker": {"color": "#777777"}},
        "connector": {"line": {"color": "#BFBFBF", "width": 1}},
        "hovertemplate": "%{text}<extra></extra>",
    }
    axis = GRID | {
        "autorange": "reversed",
        "showgrid": False,
        "zeroline": False,
        "tickvals": list(range(len(names))),
        "ticktext": [escaped(name) for name in names],
    }
    across = GRID | {"title": {"text": "ms on the critical path", "standoff": 6}, "rangemode": "tozero"}
    margin = LAYOUT["margin"] | {"r": 60}
    layout = LAYOUT | {"height": height(len(names)), "yaxis": axis, "xaxis": across, "margin": margin}
    return {"data": [trace], "layout": layout | {"showlegend": False}}
