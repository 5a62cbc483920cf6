"""Figures of uncertainty: an interval a speedup, and the tornado of what it hangs on."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from janus_sim.results.figures_style import (
    BLUE,
    DARK,
    GREY,
    ORANGE,
    TEXT,
    VERMILLION,
    Width,
    inches,
    style,
    title,
)
from janus_sim.results.spread import MOST_PANELS, Spread, finding, hangs_on, headline, labels

MOST_ROWS = 40


def intervals(found: Spread, width: Width | None = None) -> Figure:
    """Draw for each row the 5 to 95 % interval of its speedup, its median and the constants as written."""
    rows = found.intervals.head(MOST_ROWS)
    names = labels(found.intervals)[: len(rows)]
    best = rows.index.isin(headline(found).index) & (len(headline(found)) < len(found.intervals))
    with mpl.rc_context(style(width)):
        figure = Figure(figsize=(inches(width, 7.2), 1.7 + 0.28 * len(rows)), layout="constrained")
        axes = figure.add_subplot()
        for place, (row, strong) in enumerate(zip(rows.to_dict("records"), best, strict=True)):
            colour = VERMILLION if strong else BLUE
            axes.barh(place, row["p95"] - row["p5"], left=row["p5"], height=0.22, color=colour)
            axes.plot(row["median"], place, "|", color=TEXT, markersize=13, markeredgewidth=2)
            axes.plot(row["nominal"], place, "D", color="white", markeredgecolor=TEXT, markersize=5)
            words = f"{row['p5']:.2f} to {row['p95']:.2f}"
            axes.text(1.01, place, words, va="center", fontsize=8, transform=axes.get_yaxis_transform())
        axes.axvline(1.0, color=DARK, linewidth=0.9, linestyle="--")
        axes.set_yticks(range(len(rows)), names)
        axes.set_ylim(len(rows) - 0.4, -0.6)
        axes.tick_params(axis="y", length=0)
        axes.xaxis.grid(visible=True)
        axes.set_xlabel(
            f"speedup: 5 to 95 % of {found.draws} draws; line: median, diamond: the constants as written"
        )
        title(figure, finding(found), 76, paper=bool(width))
        return figure


def tornado(found: Spread, width: Width | None = None) -> Figure:
    """Draw for a few rows what the speedup hangs on: rank correlations, the strongest on top."""
    rows = headline(found).head(MOST_PANELS)
    names = labels(rows)
    panels = [hangs_on(found, index)["correlation"].tolist() for index in rows.index]
    order = np.argsort([-np.mean(np.abs(values)) for values in zip(*panels, strict=True)], kind="stable")
    ranges = list(dict.fromkeys(found.tornado["range"]))
    with mpl.rc_context(style(width)):
        size = inches(width, 2.6 + 2.4 * len(panels)), 1.6 + 0.28 * len(ranges)
        figure = Figure(figsize=size, layout="constrained")
        for axes, name, values in zip(
            figure.subplots(1, len(panels), sharey=True, squeeze=False)[0], names, panels, strict=True
        ):
            shown = [values[index] for index in order]
            colours = [BLUE if value >= 0 else ORANGE for value in shown]
            axes.barh(range(len(shown)), shown, height=0.72, color=colours)
            for place, value in enumerate(shown):
                axes.text(
                    value + (0.03 if value >= 0 else -0.03), place, f"{value:+.2f}", va="center",
                    ha="left" if value >= 0 else "right", fontsize=7.5, color=TEXT,
                )  # fmt: skip
            axes.axvline(0, color=GREY, linewidth=0.8)
            axes.set_xlim(-1.5, 1.5)
            axes.set_yticks(range(len(shown)), [ranges[index] for index in order])
            axes.set_ylim(len(shown) - 0.4, -0.6)
            axes.tick_params(axis="y", length=0)
            axes.set_title(name, loc="left", fontsize=9)
            axes.set_xlabel("rank correlation")
        title(figure, f"What the speedup hangs on ({found.draws} draws)", 60, paper=bool(width))
        return figure
