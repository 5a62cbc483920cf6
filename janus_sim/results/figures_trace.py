"""The figure of a trace of routing: the load of each expert over the steps, and the imbalance over time."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from janus_sim.results.figures_style import BLUE, SKY, STYLE, title

MOST_COLUMNS = 400  #: of the heat map; more steps are put together

COLOURS = "viridis"


def draw(
    steps: Sequence[int], load: NDArray[np.int64], layer: int, imbalance: NDArray[np.float64], name: str
) -> Figure:
    """Draw the figure.

    Parameters
    ----------
    steps : (steps,) numbers of the steps
    load : (steps, experts) rows of one MoE layer
    layer : int
        Which.
    imbalance : (steps, micro_batches, layers) max over mean of all layers
    name : str
        Of the trace, for the title.
    """
    parts = np.array_split(np.arange(len(steps)), min(MOST_COLUMNS, len(steps)))
    mean = np.maximum(load.mean(axis=1, keepdims=True), 1e-300)
    heat = np.array([(load[part] / mean[part]).mean(axis=0) for part in parts]).T
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(8.2, 5.6), layout="constrained")
        above, below = figure.subplots(2, 1, height_ratios=(3, 2))
        edges = (0.0, float(len(steps)), float(load.shape[1]) - 0.5, -0.5)
        image = above.imshow(heat, aspect="auto", interpolation="nearest", cmap=COLOURS, vmin=0, extent=edges)
        figure.colorbar(image, ax=above, pad=0.015, aspect=22).set_label("load over the mean load")
        above.set_ylabel(f"expert of MoE layer {layer}")
        over_time(below, imbalance)
        for axes in (above, below):
            axes.set_xlim(0, len(steps))
            places = np.unique(np.linspace(0, len(steps) - 1, min(8, len(steps))).astype(int))
            axes.set_xticks(places + 0.5, [str(steps[place]) for place in places])
        below.set_xlabel("step of the training")
        title(figure, finding(imbalance, name), 92)
        return figure


def over_time(axes: mpl.axes.Axes, imbalance: NDArray[np.float64]) -> None:
    """Draw max over mean: the mean of all layers, and the band from the least to the most unequal one."""
    layers = imbalance.mean(axis=1)
    where = np.arange(len(layers)) + 0.5
    if layers.shape[1] > 1:
        axes.fill_between(where, layers.min(axis=1), layers.max(axis=1), color=SKY, alpha=0.45, linewidth=0,
                          label="least to most unequal layer")  # fmt: skip
    axes.plot(where, layers.mean(axis=1), color=BLUE, linewidth=1.4, label="mean over layers",
              marker="o" if len(layers) < 3 else "")  # fmt: skip
    axes.set_ylabel("max/mean over experts")
    axes.set_ylim(0, None)
    axes.yaxis.grid(visible=True)
    axes.legend(frameon=False, fontsize=8, loc="upper right", ncols=2)
    axes.set_ylim(0, axes.get_ylim()[1] * 1.18)


def finding(imbalance: NDArray[np.float64], name: str) -> str:
    """Say how unequal the routing is, at first, on average, and at the most."""
    first, mean, most = imbalance[0].mean(), imbalance.mean(), imbalance.max()
    words = f"the busiest expert of a layer has {mean:.1f} times the mean load"
    return f"{name}: {words} ({first:.1f} times at the first step, at most {most:.1f})"


def numbers(steps: Sequence[int], imbalance: NDArray[np.float64]) -> pd.DataFrame:
    """Return what the lower panel shows, a row a step: max over mean of the layers."""
    layers = imbalance.mean(axis=1)
    return pd.DataFrame({
        "step": list(steps),
        "mean_over_layers": layers.mean(axis=1),
        "least_unequal_layer": layers.min(axis=1),
        "most_unequal_layer": layers.max(axis=1),
    })  # fmt: skip
