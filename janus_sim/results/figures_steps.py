"""The bars of a table: where the time of each step went."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from janus_sim.record import legend
from janus_sim.results import tables, wording
from janus_sim.results.figures_style import PART_COLOURS, TEXT, Width, inches, title

#: So many rows of a table are drawn at most.
MOST_BARS = 40

#: How far the axis goes beyond the longest bar, for the words at its end.
ROOM: dict[Width | None, float] = {None: 1.22, "page": 1.22, "column": 1.65}


def draw(summary: pd.DataFrame, baseline: str, width: Width | None) -> Figure:
    """Draw a bar a row: compute, exposed communication and waiting, together the step time."""
    shown = summary.head(MOST_BARS)
    narrow = width == "column"
    places, marks = _places(wording.headings(shown))
    high = 1.5 + 0.27 * places[-1] - (0.3 if width else 0.0)
    figure = Figure(figsize=(inches(width, 7.2), high), layout="constrained")
    axes = figure.add_subplot()
    longest = _bars(axes, places, shown)
    _whiskers(axes, places, shown)
    axes.set_yticks(places, shown["policy"].tolist())
    for place, heading in marks:
        axes.text(0, place, heading, va="center", fontsize=8 if width else 9, fontweight="bold", color=TEXT)
    axes.set_ylim(places[-1] + 0.6, -0.6)
    axes.set_xlim(0, longest * ROOM[width])
    few = f"; the first {len(shown)} of {len(summary)} rows" if len(summary) > len(shown) else ""
    wide = f"time of one training step, ms (mean over ranks{few})"
    axes.set_xlabel("\n".join([f"ms of a step{few}" if narrow else wide, legend(shown["policy"])]).rstrip())
    axes.tick_params(axis="y", length=0)
    axes.xaxis.grid(visible=True)
    title(figure, wording.finding(summary, baseline), 68, paper=bool(width))
    figure.legend(loc="outside lower left", ncols=2 if narrow else 3, frameon=False, fontsize=8)
    return figure


def _bars(axes: Axes, places: Sequence[float], shown: pd.DataFrame) -> float:
    """Stack the parts of each step, write at its end how long it is; return the longest, in ms."""
    left = pd.Series(0.0, index=shown.index)
    for part, rows in tables.breakdown(shown).groupby("part", sort=False):
        length = pd.Series(rows["seconds"].to_numpy() * 1e3, index=shown.index)
        axes.barh(places, length, left=left, height=0.78, color=PART_COLOURS[str(part)], label=str(part))
        left = left + length
    longest = float(left.max())
    for place, seconds, speedup in zip(places, shown["step_time_s"], shown["speedup"], strict=True):
        told = f"{seconds * 1e3:.1f} ms" + ("" if pd.isna(speedup) else f"   {speedup:.2f}x")
        axes.text(seconds * 1e3 + longest * 0.01, place, told, va="center", fontsize=8, color=TEXT)
    return longest


def _whiskers(axes: Axes, places: Sequence[float], shown: pd.DataFrame) -> None:
    """Draw the 95 % interval of each paired difference to the baseline around the end of its bar."""
    if "difference_low_s" not in shown:
        return
    half = (shown["difference_high_s"] - shown["difference_low_s"]) / 2 * 1e3
    ends = shown["step_time_s"] * 1e3
    axes.errorbar(ends, places, xerr=half.fillna(0.0), fmt="none", ecolor=TEXT, elinewidth=1, capsize=2)


def _places(headings: Sequence[str]) -> tuple[list[float], list[tuple[float, str]]]:
    """Return where the bars stand, and the headings above their groups."""
    places: list[float] = []
    marks: list[tuple[float, str]] = []
    at, before = -1.0, None
    for heading in headings:
        if heading != before:
            at += 1.0 if before is None else 1.4
            marks.append((at, heading))
        at, before = at + 1.0, heading
        places.append(at)
    return places, marks


def numbers(summary: pd.DataFrame) -> pd.DataFrame:
    """Return what is drawn: a row a bar, its point of the grid, step time, speedup and parts in seconds.

    Examples
    --------
    >>> row = {"policy": "janus", "step_time_s": 5.0, "speedup": 2.0, "gpu_busy_s": 3.0, "idle_s": 0.5}
    >>> row |= {"exposed_comm_s": 1.5, "exposed_comm_waiting_s": 0.25}
    >>> print(numbers(pd.DataFrame([row])).to_string(index=False))
    policy  step_time_s  speedup  compute_s  exposed_communication_s  waiting_s
     janus          5.0      2.0        3.0                     1.25       0.75
    """
    shown = summary.head(MOST_BARS).reset_index(drop=True)
    names = [*tables.grid_columns(shown, ""), "policy"]
    names += [str(name) for name in shown if str(name).startswith("policies.")]
    seconds = ["step_time_s", "speedup", "difference_low_s", "difference_high_s"]
    parts = {
        f"{part}_s".replace(" ", "_"): rows["seconds"].to_numpy(float)
        for part, rows in tables.breakdown(shown).groupby("part", sort=False)
    }
    return shown[[*names, *(name for name in seconds if name in shown)]].assign(**parts)
