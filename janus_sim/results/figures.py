"""Figures of a table and of its results: where steps went, how links were used, what one machine did when.

Colours are those of Okabe and Ito (2008), told apart by colour-blind readers too. The bytes of a file hang on
its numbers alone: no date, no name of a machine.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure

from janus_sim.results import figures_links, figures_timeline, tables
from janus_sim.results.figures_style import PART_COLOURS, STYLE, TEXT, title
from janus_sim.results.result import Result

#: A figure of bars shows at most so many rows of a table, the others so many policies.
MOST_BARS, MOST_POLICIES = 40, 4


def draw(
    results: Sequence[Result], summary: pd.DataFrame, folder: Path | str, baseline: str = "",
    means: pd.DataFrame | None = None,
) -> list[Path]:  # fmt: skip
    """Draw all figures as PNG and PDF into a folder; return the paths of the files.

    `step_time` shows every row of the summary; `links` and `timeline` compare the policies at the first point
    of the grid, in its first step.

    Parameters
    ----------
    results
        In the order of the rows of the summary; those of the last rows may be missing.
    means
        One row for all seeds of a scenario, in place of the summary for `step_time`; see `results.seeds`.
    """
    chosen = first_point(results, summary)
    figures = {"step_time": step_time(summary if means is None else means, baseline)}
    if any(link.series.any() for result in chosen.values() for link in result.record.links):
        figures["links"] = links(chosen)
    if any(len(result.record.spans["rank"]) for result in chosen.values()):
        figures["timeline"] = timeline(chosen)
    return [path for name, figure in figures.items() for path in write(figure, Path(folder) / name)]


def write(figure: Figure, path: Path) -> list[Path]:
    """Write a figure as path.png and path.pdf, without date or program in them."""
    path.parent.mkdir(exist_ok=True)
    files = {
        path.with_name(f"{path.name}.png"): {"Software": None},
        path.with_name(f"{path.name}.pdf"): {"CreationDate": None, "Creator": None, "Producer": None},
    }
    with mpl.rc_context(STYLE):
        for file, metadata in files.items():
            figure.savefig(file, metadata=metadata)
    return list(files)


def first_point(results: Sequence[Result], summary: pd.DataFrame) -> dict[str, Result]:
    """Return the results at the first point of the grid by policy, of the first few policies."""
    point = [name for name in tables.grid_columns(summary, "") if not name.startswith("policies.")]
    chosen: dict[str, Result] = {}
    for row in range(min(len(results), len(summary))):
        policy = str(summary["policy"].iloc[row])
        same = all(_same(summary[name].iloc[row], summary[name].iloc[0]) for name in point)
        if same and policy not in chosen and len(chosen) < MOST_POLICIES:
            chosen[policy] = results[row]  # read now, and only now
    return chosen


def step_time(summary: pd.DataFrame, baseline: str = "") -> Figure:
    """Draw a bar a row of the table: compute, exposed communication and waiting, together the step time."""
    shown = summary.head(MOST_BARS)
    groups = headings(shown)
    with mpl.rc_context(STYLE):
        places, marks = _places(groups)
        figure = Figure(figsize=(7.2, 1.5 + 0.27 * places[-1]), layout="constrained")
        axes = figure.add_subplot()
        left = pd.Series(0.0, index=shown.index)
        for part, rows in tables.breakdown(shown).groupby("part", sort=False):
            length = pd.Series(rows["seconds"].to_numpy() * 1e3, index=shown.index)
            axes.barh(places, length, left=left, height=0.78, color=PART_COLOURS[str(part)], label=str(part))
            left = left + length
        longest = float(left.max())
        for place, seconds, speedup in zip(places, shown["step_time_s"], shown["speedup"], strict=True):
            words = f"{seconds * 1e3:.1f} ms" + ("" if pd.isna(speedup) else f"   {speedup:.2f}x")
            axes.text(seconds * 1e3 + longest * 0.01, place, words, va="center", fontsize=8, color=TEXT)
        _whiskers(axes, places, shown)
        axes.set_yticks(places, shown["policy"].tolist())
        for place, heading in marks:
            axes.text(0, place, heading, va="center", fontsize=9, fontweight="bold", color=TEXT)
        axes.set_ylim(places[-1] + 0.6, -0.6)
        axes.set_xlim(0, longest * 1.22)
        few = f"; the first {len(shown)} of {len(summary)} rows" if len(summary) > len(shown) else ""
        axes.set_xlabel(f"time of one training step, ms (mean over ranks{few})")
        axes.tick_params(axis="y", length=0)
        axes.xaxis.grid(visible=True)
        title(figure, finding(summary, baseline), 68)
        figure.legend(loc="outside lower left", ncols=3, frameon=False, fontsize=8)
        return figure


def _whiskers(axes: Any, places: Sequence[float], shown: pd.DataFrame) -> None:  # noqa: ANN401
    """Draw the 95 % interval of each paired difference to the baseline around the end of its bar."""
    if "difference_low_s" not in shown:
        return
    half = (shown["difference_high_s"] - shown["difference_low_s"]) / 2 * 1e3
    ends = shown["step_time_s"] * 1e3
    axes.errorbar(ends, places, xerr=half.fillna(0.0), fmt="none", ecolor=TEXT, elinewidth=1, capsize=2)


def finding(summary: pd.DataFrame, baseline: str = "") -> str:
    """Return what the table says about the fastest policy, in one line.

    Without a `baseline`, it is the first policy whose speedups are all 1.

    Examples
    --------
    >>> rows = {
    ...     "policy": ["slow", "fast"],
    ...     "workload": ["gpt", "gpt"],
    ...     "step_time_s": [2.0, 1.0],
    ...     "speedup": [1.0, 2.0],
    ... }
    >>> finding(pd.DataFrame(rows))
    'fast is 2.00x faster than slow on gpt'
    """
    known = summary[summary["speedup"].notna()].reset_index(drop=True)
    bases = [
        str(name)
        for name, speedup in known.groupby("policy", sort=False)["speedup"]
        if (speedup == 1.0).all()
    ]
    base = baseline or next(iter(bases), "")
    others = known[known["policy"] != base].reset_index(drop=True)
    if others.empty or not base:
        return "Where the time of a step goes"
    best = others.iloc[int(others["speedup"].argmax())]
    gain, where = float(best["speedup"]), _point(summary, best)
    if gain <= 1.0:
        return f"No policy is faster than {base}{where}; the best is {best['policy']} at {gain:.2f}x"
    mine = others.loc[others["policy"] == best["policy"], "speedup"]
    if len(mine) == 1:
        return f"{best['policy']} is {gain:.2f}x faster than {base}{where}"
    return f"{best['policy']} is up to {gain:.2f}x faster than {base}{where}; at worst {mine.min():.2f}x"


def links(results: Mapping[str, Result]) -> Figure:
    """Draw the utilization of links over the first step, a panel a policy: idle slots are white."""
    with mpl.rc_context(STYLE):
        return figures_links.draw(results)


def timeline(results: Mapping[str, Result], machine: int = 0) -> Figure:
    """Draw what the GPUs and links of one machine did in the first step, a panel a policy."""
    with mpl.rc_context(STYLE):
        return figures_timeline.draw(results, machine)


def _point(summary: pd.DataFrame, best: pd.Series[Any]) -> str:
    """Return " on moe_gpt" with all that varies in the table."""
    varied = [name for name in tables.grid_columns(summary, "") if summary[name].nunique(dropna=False) > 1]
    names = [name for name in varied if name != "workload"]
    words = [str(best["workload"])] if "workload" in summary else []
    words += [_said(name, best[name]) for name in names]
    return " on " + ", ".join(words) if words else ""


def _said(name: str, value: object) -> str:
    return (
        str(value)
        if name in {"topology", "precision"}
        else f"{name.rpartition('.')[2].replace('_', ' ')} {value}"
    )


def headings(table: pd.DataFrame) -> list[str]:
    """Return the point of the grid of each row, in the words that vary, or the workload."""
    varied = [name for name in tables.grid_columns(table, "") if table[name].nunique(dropna=False) > 1]
    knobs = [
        str(n) for n in table.columns if str(n).startswith("policies.") and table[n].nunique(dropna=False) > 1
    ]
    names = [name for name in [*dict.fromkeys([*varied, *knobs])] if name != "workload"]
    return [
        ", ".join(
            [str(row["workload"])] + [_said(name, row[name]) for name in names if not pd.isna(row[name])]
        )
        for row in table.to_dict("records")
    ]


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


def _same(a: object, b: object) -> bool:
    # NaN is the value that is not itself
    return a == b or (a != a and b != b)
