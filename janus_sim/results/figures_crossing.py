"""Lines of policies over tokens, and where they cross: which moves less, and which is faster."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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

COLOURS: Final = (VERMILLION, SKY, BLUE, PURPLE, TEXT, ORANGE, DARK, GREEN)
MARKS: Final = ("o", "s", "D", "v", "P", "^", "X", "h")
SCALE: Final = {"forward_machine_bytes_per_layer": 1e-9, "step_time_s": 1e3}
GAP: Final = 0.085  #: between two labels, in parts of a panel's height
TOP: Final = 0.96  #: the highest label, as well
SAME: Final = 0.03  #: lines that are never further apart share a label

Line = tuple[Floats, Floats]


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
    table: pd.DataFrame, *, skew: str, rows: Sequence[tuple[str, str, float]], against: str,
    names: Mapping[str, str], workloads: Mapping[str, tuple[str, tuple[str, ...]]], finding: str,
) -> Figure:  # fmt: skip
    """Draw lines over tokens, a column of panels a workload, and mark where `against` is crossed.

    Parameters
    ----------
    table : DataFrame
        A summary: rows of all policies, tokens and skews.
    skew : str
        Column of the skew.
    rows : sequence of (str, str, float)
        Of each row of panels: the column drawn, what it is called, and the skew.
    against : str
        The policy whose crossings are marked.
    names : mapping
        What policies are called; those that are named are drawn, in this order.
    workloads : mapping
        What workloads are called, and the policies that are left out there.
    finding : str
        The title.
    """
    table = table.assign(tokens=(table["tokens_per_s_per_gpu"] * table["step_time_s"]).round())
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(5.4 * len(workloads), 2.9 * len(rows) + 0.8), layout="constrained")
        grid = figure.subplots(len(rows), len(workloads), sharex=True, squeeze=False)
        for column, (workload, (said, without)) in enumerate(workloads.items()):
            drawn = [policy for policy in names if policy not in without]
            for row, (figure_of, label, level) in enumerate(rows):
                chosen = table[(table["workload"] == workload) & (table[skew] == level)]
                _panel(
                    grid[row][column],
                    chosen,
                    figure_of,
                    against,
                    {one: names[one] for one in drawn},
                    list(names),
                )
                grid[row][column].set_ylabel(label)
            grid[0][column].set_title(said, loc="left", fontsize=9.5)
            grid[-1][column].set_xlabel("tokens a GPU and micro-batch")
        hollow = Line2D([], [], color=DARK, marker="o", markerfacecolor="white", linestyle="none")
        ring = Line2D([], [], color=TEXT, marker="o", markersize=10, markerfacecolor="none", linestyle="none")
        legend = ["does not fit into memory", f"crosses {names[against]}, at so many tokens"]
        figure.legend([hollow, ring], legend, loc="outside lower center", ncols=2, frameon=False)
        title(figure, finding, 108)
        return figure


def _panel(
    axes: Axes, table: pd.DataFrame, column: str, against: str, names: Mapping[str, str], order: list[str]
) -> None:
    """Draw one figure of one workload: a line a policy, with hollow marks where it does not fit."""
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.grid(visible=True)
    lines: dict[str, Line] = {}
    for policy in names:
        rows = table[table["policy"] == policy].sort_values("tokens")
        lines[policy] = rows["tokens"].to_numpy(float), rows[column].to_numpy(float) * SCALE[column]
        _line(axes, *lines[policy], rows["fits"].to_numpy(bool), order.index(policy))
    _mark(axes, lines, against)
    _ticks(axes, sorted(table["tokens"].unique()))
    _labels(axes, lines, names, order)


def _line(axes: Axes, x: Floats, y: Floats, fits: npt.NDArray[np.bool_], place: int) -> None:
    look: Any = {"color": COLOURS[place], "markersize": 5.0, "linestyle": "none", "zorder": 3 - place / 10}
    axes.plot(x, y, "-", color=COLOURS[place], linewidth=1.5, zorder=3 - place / 10)
    axes.plot(x[fits], y[fits], MARKS[place], **look)
    axes.plot(x[~fits], y[~fits], MARKS[place], markerfacecolor="white", **look)


def _labels(axes: Axes, lines: Mapping[str, Line], names: Mapping[str, str], order: list[str]) -> None:
    """Write what lines are called at their right ends, apart; lines that are the same have one label."""
    groups: list[list[str]] = []
    for policy, (_, y) in lines.items():
        like = [group for group in groups if np.allclose(lines[group[0]][1], y, rtol=SAME)]
        like[0].append(policy) if like else groups.append([policy])
    low, high = np.log(axes.get_ylim())
    ends = sorted((float(np.log(lines[group[0]][1][-1]) - low) / (high - low), group) for group in groups)
    for place, (_, group) in zip(apart([end for end, _ in ends], GAP), ends, strict=True):
        x, y = lines[group[0]]
        colour = COLOURS[order.index(group[0])]
        axes.annotate(
            ", ".join(names[policy] for policy in group),
            (x[-1], y[-1]), (1.05, place), textcoords="axes fraction", va="center", fontsize=8,
            arrowprops={"arrowstyle": "-", "color": colour, "linewidth": 0.9, "shrinkA": 1, "shrinkB": 4,
                        "relpos": (0.0, 0.5)},
            annotation_clip=False,
        )  # fmt: skip


def apart(places: Sequence[float], gap: float) -> list[float]:
    """Move ascending places apart until none is nearer than `gap` to the next; none goes beyond `TOP`.

    Examples
    --------
    >>> [round(place, 2) for place in apart([0.1, 0.5, 0.55, 0.92], 0.1)]
    [0.1, 0.5, 0.6, 0.92]
    >>> [round(place, 2) for place in apart([0.95, 0.98], 0.1)]
    [0.86, 0.96]
    """
    found: list[float] = []
    for place in places:
        found.append(max(place, found[-1] + gap) if found else place)
    most = TOP
    for index in reversed(range(len(found))):
        found[index] = min(found[index], most)
        most = found[index] - gap
    return found


def _mark(axes: Axes, lines: Mapping[str, Line], against: str) -> None:
    """Ring where lines cross that of `against`, those close together once, and write the tokens."""
    x, pulled = lines[against]
    found = sorted(
        place
        for policy, (_, y) in lines.items()
        if policy != against and len(y) == len(pulled) and not np.allclose(y, pulled, rtol=SAME)
        for place in crossings(x, y, pulled)
    )
    for group in _close(found):
        low, high = (f"{tokens / 1000:.0f}" for tokens in (group[0][0], group[-1][0]))
        at, height = np.exp(np.log(group).mean(axis=0)).tolist()
        axes.plot(at, height, "o", markersize=10, markerfacecolor="none", markeredgecolor=TEXT, zorder=5)
        axes.annotate(
            f"{low}k" if low == high else f"{low}-{high}k", (at, height), (4, -15), fontsize=8, zorder=6,
            textcoords="offset points", ha="left", fontweight="bold",
            bbox={"boxstyle": "round,pad=0.1", "facecolor": "white", "edgecolor": "none", "alpha": 0.85},
        )  # fmt: skip


def _close(found: list[tuple[float, float]]) -> list[list[tuple[float, float]]]:
    """Group places, sorted by x, of which each is less than 1.35 times the one before.

    Examples
    --------
    >>> [len(group) for group in _close([(1.0, 1.0), (1.05, 1.0), (2.0, 1.0)])]
    [2, 1]
    """
    groups: list[list[tuple[float, float]]] = []
    for place in found:
        if groups and place[0] <= 1.35 * groups[-1][-1][0]:
            groups[-1].append(place)
        else:
            groups.append([place])
    return groups


def _ticks(axes: Axes, tokens: list[float]) -> None:
    """Write tokens, and round numbers at the side."""
    axes.set_xticks(tokens, [f"{int(tick):,}" for tick in tokens], fontsize=7)
    axes.minorticks_off()
    low, high = axes.get_ylim()
    powers = range(int(np.floor(np.log10(low))), int(np.ceil(np.log10(high))) + 1)
    shown = [step * 10.0**power for power in powers for step in (1, 2, 5)]
    shown = [value for value in shown if low <= value <= high]
    axes.set_yticks(shown, [f"{value:g}" for value in shown])
