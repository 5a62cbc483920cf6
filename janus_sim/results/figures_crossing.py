"""Lines of policies over tokens, and where they cross: which moves less, and which is faster."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from janus_sim.results.figures_style import (
    BLUE,
    DARK,
    GREEN,
    ORANGE,
    PURPLE,
    SKY,
    STYLE,
    TEXT,
    VERMILLION,
    title,
)

Floats = npt.NDArray[np.float64]

COLOURS: Final = (VERMILLION, SKY, BLUE, PURPLE, ORANGE, GREEN, DARK)
MARKS: Final = ("o", "s", "D", "v", "^", "P", "X")
ROWS: Final = {
    "forward_machine_bytes_per_layer": "leaving a machine, forward [GB]",
    "step_time_s": "a step of the layer [ms]",
}
SCALE: Final = {"forward_machine_bytes_per_layer": 1e-9, "step_time_s": 1e3}


def crossings(x: Floats, first: Floats, second: Floats) -> list[tuple[float, float]]:
    """Return (x, y) where two lines cross that are straight on logarithmic axes.

    Parameters
    ----------
    x, first, second : (n,) float64
        Above 0; x ascends.

    Examples
    --------
    >>> [round(float(x)) for x, _ in crossings(np.array([1.0, 4.0]), np.array([1.0, 4.0]), np.full(2, 2.0))]
    [2]
    """
    logs, gap = np.log(x), np.log(first) - np.log(second)
    found = []
    for left in np.flatnonzero(gap[:-1] * gap[1:] < 0).tolist():
        part = gap[left] / (gap[left] - gap[left + 1])
        at = logs[left] + part * (logs[left + 1] - logs[left])
        height = np.log(first[left]) + part * (np.log(first[left + 1]) - np.log(first[left]))
        found.append((float(np.exp(at)), float(np.exp(height))))
    return found


def crossing(
    table: pd.DataFrame, *, skew: str, dashed: str, against: str, names: Mapping[str, str],
    workloads: Mapping[str, str], finding: str,
) -> Figure:  # fmt: skip
    """Draw bytes and time over tokens, a column of panels a workload, and mark where `against` is crossed.

    Parameters
    ----------
    table : DataFrame
        A summary: rows of all policies, tokens and skews.
    skew : str
        Column of the skew; its least value is drawn whole, its greatest dashed.
    dashed : str
        What the dashed lines are.
    against : str
        The policy whose crossings are marked.
    names, workloads : mapping
        What policies and workloads are called; those that are named are drawn, in this order.
    finding : str
        The title.
    """
    table = table.assign(tokens=(table["tokens_per_s_per_gpu"] * table["step_time_s"]).round())
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(4.9 * len(workloads), 7.4), layout="constrained")
        grid = figure.subplots(2, len(workloads), sharex=True, squeeze=False)
        for column, (workload, said) in enumerate(workloads.items()):
            for row, (figure_of, label) in enumerate(ROWS.items()):
                axes: Axes = grid[row][column]
                _panel(axes, table[table["workload"] == workload], figure_of, skew, against, list(names))
                axes.set_ylabel(label)
            grid[0][column].set_title(said, loc="left", fontsize=9.5)
            grid[1][column].set_xlabel("tokens a GPU and micro-batch")
        marks = _legend(names, dashed)
        figure.legend(handles=marks, loc="outside lower center", ncols=3, frameon=False)
        title(figure, finding, 100)
        return figure


def _panel(
    axes: Axes, table: pd.DataFrame, column: str, skew: str, against: str, policies: list[str]
) -> None:
    """Draw one figure of one workload: a line a policy and skew, with hollow marks where it does not fit."""
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.grid(visible=True)
    for level in sorted(table[skew].unique(), reverse=True):
        whole = level == table[skew].min()
        lines = {}
        for place, policy in enumerate(policies):
            rows = table[(table[skew] == level) & (table["policy"] == policy)].sort_values("tokens")
            lines[policy] = rows["tokens"].to_numpy(float), rows[column].to_numpy(float) * SCALE[column]
            _line(axes, *lines[policy], rows["fits"].to_numpy(bool), place, whole)
        if whole or column == "step_time_s":  # bytes do not hang on the skew
            _mark(axes, lines, against, whole)
    _ticks(axes, sorted(table["tokens"].unique()))


def _line(axes: Axes, x: Floats, y: Floats, fits: npt.NDArray[np.bool_], place: int, whole: bool) -> None:
    colour = COLOURS[place]
    axes.plot(x, y, "-" if whole else "--", color=colour, linewidth=1.6 if whole else 1.0)
    if whole:
        look: Any = {"color": colour, "markersize": 5.5, "linestyle": "none"}
        axes.plot(x[fits], y[fits], MARKS[place], **look)
        axes.plot(x[~fits], y[~fits], MARKS[place], markerfacecolor="white", **look)


def _mark(axes: Axes, lines: Mapping[str, tuple[Floats, Floats]], against: str, whole: bool) -> None:
    """Ring where lines cross that of `against`, those close together once, and write the tokens."""
    x, pulled = lines[against]
    found = sorted(
        place
        for policy, (_, y) in lines.items()
        if policy != against and len(y) == len(pulled)
        for place in crossings(x, y, pulled)
    )
    side: Any = {"xytext": (5, -15), "ha": "left", "fontweight": "bold"}
    if not whole:
        side = {"xytext": (-5, 9), "ha": "right", "style": "italic"}
    for group in _close(found):
        low, high = (f"{tokens / 1000:.0f}" for tokens in (group[0][0], group[-1][0]))
        at, height = np.exp(np.log(group).mean(axis=0)).tolist()
        axes.plot(at, height, "o", markersize=10, markerfacecolor="none", markeredgecolor=TEXT, zorder=5)
        axes.annotate(
            f"{low}k" if low == high else f"{low}-{high}k", (at, height), fontsize=8, zorder=6,
            textcoords="offset points", **side,
            bbox={"boxstyle": "round,pad=0.1", "facecolor": "white", "edgecolor": "none", "alpha": 0.85},
        )  # fmt: skip


def _close(found: list[tuple[float, float]]) -> list[list[tuple[float, float]]]:
    """Group places, sorted by x, of which each is less than 1.28 times the one before.

    Examples
    --------
    >>> [len(group) for group in _close([(1.0, 1.0), (1.05, 1.0), (2.0, 1.0)])]
    [2, 1]
    """
    groups: list[list[tuple[float, float]]] = []
    for place in found:
        if groups and place[0] <= 1.28 * groups[-1][-1][0]:
            groups[-1].append(place)
        else:
            groups.append([place])
    return groups


def _ticks(axes: Axes, tokens: list[float]) -> None:
    """Write tokens, and round numbers at the side."""
    axes.set_xticks(tokens, [f"{int(tick):,}" for tick in tokens])
    axes.minorticks_off()
    low, high = axes.get_ylim()
    powers = range(int(np.floor(np.log10(low))), int(np.ceil(np.log10(high))) + 1)
    shown = [step * 10.0**power for power in powers for step in (1, 2, 5)]
    shown = [value for value in shown if low <= value <= high]
    axes.set_yticks(shown, [f"{value:g}" for value in shown])


def _legend(names: Mapping[str, str], dashed: str) -> list[Line2D]:
    marks = [
        Line2D([], [], color=COLOURS[place], marker=MARKS[place], label=said)
        for place, said in enumerate(names.values())
    ]
    return [
        *marks,
        Line2D([], [], color=DARK, linestyle="--", linewidth=1.0, label=dashed),
        Line2D([], [], color=DARK, marker="o", markerfacecolor="white", linestyle="none",
               label="hollow: does not fit into memory"),
    ]  # fmt: skip
