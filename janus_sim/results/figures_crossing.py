"""Lines of policies over tokens, and where they cross: which moves less, and which is faster."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import matplotlib as mpl
import numpy as np
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

COLOURS: Final = (VERMILLION, SKY, BLUE, PURPLE, ORANGE, GREEN, DARK)
MARKS: Final = ("o", "s", "D", "v", "^", "P", "X")
ROWS: Final = {
    "forward_machine_bytes_per_layer": "leaves a machine, forward [GB]",
    "step_time_s": "a step of the layer [ms]",
}
SCALE: Final = {"forward_machine_bytes_per_layer": 1e-9, "step_time_s": 1e3}


def crossings(x: np.ndarray, first: np.ndarray, second: np.ndarray) -> list[tuple[float, float]]:
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
    table: pd.DataFrame, *, skew: str, against: str, names: Mapping[str, str], workloads: Mapping[str, str],
    finding: str,
) -> Figure:  # fmt: skip
    """Draw bytes and time over tokens, a column of panels a workload, and mark where `against` is crossed.

    Parameters
    ----------
    table : DataFrame
        A summary: rows of all policies, tokens and skews.
    skew : str
        Column of the skew; its least value is drawn whole, its greatest dashed.
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
        figure.legend(
            handles=_legend(names, skew), loc="outside lower center", ncols=min(4, len(names)), frameon=False
        )
        title(figure, finding, 100)
        return figure


def _panel(
    axes: Axes, table: pd.DataFrame, column: str, skew: str, against: str, policies: list[str]
) -> None:
    """Draw one figure of one workload: a line a policy and skew, with hollow marks where it does not fit."""
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.grid(visible=True)
    for level in (table[skew].min(), table[skew].max()):
        lines: dict[str, tuple[np.ndarray, np.ndarray]] = {}
        whole = level == table[skew].min()
        for place, policy in enumerate(policies):
            rows = table[(table[skew] == level) & (table["policy"] == policy)].sort_values("tokens")
            x, y = rows["tokens"].to_numpy(float), rows[column].to_numpy(float) * SCALE[column]
            lines[policy] = x, y
            colour = COLOURS[place]
            axes.plot(x, y, "-" if whole else (0, (4, 2)), color=colour, linewidth=1.6 if whole else 1.0)
            if whole:
                fits = rows["fits"].astype(bool).to_numpy()
                look: Any = {"color": colour, "markersize": 5.5, "linestyle": "none"}
                axes.plot(x[fits], y[fits], MARKS[place], **look)
                axes.plot(x[~fits], y[~fits], MARKS[place], markerfacecolor="white", **look)
        if whole:
            _mark(axes, lines, against)
    ticks = sorted(table["tokens"].unique())
    axes.set_xticks(ticks, [f"{int(tick) // 1024}k" for tick in ticks])
    axes.minorticks_off()
    low, high = axes.get_ylim()
    decades = [
        step * 10.0**power
        for power in range(int(np.floor(np.log10(low))), int(np.ceil(np.log10(high))) + 1)
        for step in (1, 2, 5)
    ]
    shown = [value for value in decades if low <= value <= high]
    axes.set_yticks(shown, [f"{value:g}" for value in shown])


def _mark(axes: Axes, lines: Mapping[str, tuple[np.ndarray, np.ndarray]], against: str) -> None:
    """Ring where a line crosses that of `against`, and write the tokens."""
    x, pulled = lines[against]
    above = True
    for policy, (_, y) in lines.items():
        for at, height in crossings(x, y, pulled) if policy != against and len(y) == len(pulled) else ():
            axes.plot(at, height, "o", markersize=11, markerfacecolor="none", markeredgecolor=TEXT, zorder=5)
            axes.annotate(
                f"{at / 1024:.1f}k", (at, height), xytext=(0, 9 if above else -17), ha="center", fontsize=8,
                textcoords="offset points", fontweight="bold",
                bbox={"boxstyle": "round,pad=0.1", "facecolor": "white", "edgecolor": "none", "alpha": 0.8},
            )  # fmt: skip
            above = not above


def _legend(names: Mapping[str, str], skew: str) -> list[Line2D]:
    marks = [
        Line2D([], [], color=COLOURS[place], marker=MARKS[place], label=said)
        for place, said in enumerate(names.values())
    ]
    return [
        *marks,
        Line2D([], [], color=DARK, linestyle=(0, (4, 2)), linewidth=1.0, label="dashed: skewed routing"),
        Line2D([], [], color=DARK, marker="o", markerfacecolor="white", linestyle="none",
               label="hollow: does not fit 80 GB"),
    ]  # fmt: skip
