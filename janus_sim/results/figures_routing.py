"""The figure of real routing: step time and traffic between machines, over the training recorded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from janus_sim.results.figures_style import BLUE, STYLE, TEXT, VERMILLION, title

COLOURS = {"expert_centric": VERMILLION, "data_centric": BLUE}


def draw(table: pd.DataFrame, balanced: Mapping[str, Mapping[str, float]], steps: Sequence[int]) -> Figure:
    """Draw the figure.

    Parameters
    ----------
    table : DataFrame
        policy, step (its place), step_time_s, cross_machine_bytes: one row a policy and replayed step.
    balanced : mapping
        From policy to step_time_s and cross_machine_bytes with balanced routing, drawn as dashed lines.
    steps : (steps,) numbers of the steps in the training
    """
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(8.4, 3.7), layout="constrained")
        left, right = figure.subplots(1, 2)
        _lines(left, table, balanced, steps, "step_time_s", 1e3, "step time [ms]")
        _lines(
            right,
            table,
            balanced,
            steps,
            "cross_machine_bytes",
            1e-9,
            "expert bytes between machines [GB]",
        )
        handles, words = left.get_legend_handles_labels()
        figure.legend(handles, words, frameon=False, fontsize=8.5, loc="outside lower center", ncols=3)
        title(figure, finding(table, balanced), 96)
        return figure


def _lines(
    axes: Axes, table: pd.DataFrame, balanced: Mapping[str, Mapping[str, float]], steps: Sequence[int],
    column: str, scale: float, words: str,
) -> None:  # fmt: skip
    top = 0.0
    for policy, rows in table.groupby("policy", sort=False):
        name, colour = str(policy), COLOURS.get(str(policy), TEXT)
        values = rows[column].to_numpy(float) * scale
        even = balanced[name][column] * scale
        axes.plot(list(steps), values, color=colour, marker="o", markersize=3.5, linewidth=1.4,
                  label=name.replace("_", "-"))  # fmt: skip
        axes.axhline(even, color=colour, linewidth=1.1, linestyle="--")
        top = max(top, values.max(), even)
    axes.plot([], [], color=TEXT, linewidth=1.1, linestyle="--", label="balanced routing")
    axes.set_ylim(0, top * 1.08)
    axes.set_ylabel(words)
    axes.set_xlabel("step of the training that was recorded")
    axes.yaxis.grid(visible=True)


def finding(table: pd.DataFrame, balanced: Mapping[str, Mapping[str, float]]) -> str:
    """Say what real routing does to each policy, in figures of the table.

    Examples
    --------
    >>> table = pd.DataFrame({"policy": ["a"], "step_time_s": [2.0], "cross_machine_bytes": [9.0]})
    >>> finding(table, {"a": {"step_time_s": 1.0, "cross_machine_bytes": 10.0}})
    'With real routing, against balanced: a takes 2.00 times as long (0.90 times the bytes)'
    """
    told = []
    for policy, rows in table.groupby("policy", sort=False):
        even = balanced[str(policy)]
        time = rows["step_time_s"].mean() / even["step_time_s"]
        moved = rows["cross_machine_bytes"].mean() / even["cross_machine_bytes"]
        name = str(policy).replace("_", "-")
        told.append(f"{name} takes {time:.2f} times as long ({moved:.2f} times the bytes)")
    return f"With real routing, against balanced: {'; '.join(told)}"
