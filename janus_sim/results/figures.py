"""Figures of a table and of its results: where steps went, how links were used, what one machine did when.

Each is a figure of matplotlib, to be changed or saved. Colours are those of Okabe and Ito (2008), told apart
by colour-blind readers too. The bytes of a file hang on its numbers alone: no date, no name of a machine.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure

from janus_sim.results import figures_links, figures_steps, figures_timeline, figures_waterfall, tables
from janus_sim.results.explain import Waterfall
from janus_sim.results.figures_style import STYLE, Width, style
from janus_sim.results.result import Result
from janus_sim.results.store import write_csv

#: The files of a figure, and what is kept out of each, so that its bytes hang on the numbers alone.
FORMS: dict[str, dict[str, Any]] = {
    ".png": {"Software": None},
    ".pdf": {"CreationDate": None, "Creator": None, "Producer": None},
    ".svg": {"Date": None, "Creator": None},
}
#: So many policies are compared at most.
MOST_POLICIES = 4


def draw(
    results: Sequence[Result], summary: pd.DataFrame, folder: Path | str, baseline: str = "",
    means: pd.DataFrame | None = None, width: Width | None = None,
) -> list[Path]:  # fmt: skip
    """Write all figures as PNG, PDF and SVG into a folder, their numbers beside them; return the paths.

    `step_time` shows every row of the summary; `links` and `timeline` compare the policies at the first point
    of the grid, in its first step.

    Parameters
    ----------
    results
        In the order of the rows of the summary; those of the last rows may be missing.
    means
        One row for all seeds of a scenario, in place of the summary for `step_time`; see `results.seeds`.
    width
        "column" or "page" of a paper, see `step_time`.
    """
    chosen = first_point(results, summary)
    rows = summary if means is None else means
    figures = {"step_time": (step_time(rows, baseline, width), figures_steps.numbers(rows))}
    if any(link.series.any() for result in chosen.values() for link in result.record.links):
        figures["links"] = (links(chosen, width), figures_links.numbers(chosen))
    if any(len(result.record.spans["rank"]) for result in chosen.values()):
        figures["timeline"] = (timeline(chosen, width=width), figures_timeline.numbers(chosen))
    return [
        path
        for name, (figure, numbers) in figures.items()
        for path in write(figure, Path(folder) / name, numbers)
    ]


def write(
    figure: Figure, path: Path, numbers: pd.DataFrame | None = None, forms: Collection[str] = tuple(FORMS)
) -> list[Path]:
    """Write a figure as path.png, .pdf and .svg, its numbers as path.figure.csv; return the paths.

    Fonts are embedded (as TrueType in PDF, as outlines in SVG); there is no date and no program in the files.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    files = {path.with_name(f"{path.name}{form}"): FORMS[form] for form in forms}
    with mpl.rc_context(STYLE):
        _settle(figure)
        for file, metadata in files.items():
            figure.savefig(file, metadata=metadata)
    if numbers is None:
        return list(files)
    beside = path.with_name(f"{path.name}.figure.csv")
    write_csv(numbers, beside)
    return [*files, beside]


def stem(path: Path) -> Path:
    """Return the path of a figure without the ending of one of its files.

    Examples
    --------
    >>> stem(Path("why.png")).name, stem(Path("v1.5")).name
    ('why', 'v1.5')
    """
    return path.with_suffix("") if path.suffix.lower() in FORMS else path


def _settle(figure: Figure) -> None:
    """Lay the figure out once, to a millionth of its size: the solver's last bits differ from run to run."""
    figure.set_dpi(STYLE["savefig.dpi"])  # letters are wider or narrower by a dot
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    for axes in figure.axes:
        left, bottom, width, height = (round(float(side), 6) for side in axes.get_position().bounds)
        axes.set_position((left, bottom, width, height))


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


def _same(a: object, b: object) -> bool:
    # NaN is the value that is not itself
    return a == b or (a != a and b != b)


def step_time(summary: pd.DataFrame, baseline: str = "", width: Width | None = None) -> Figure:
    """Draw a bar a row of the table: compute, exposed communication and waiting, together the step time.

    Parameters
    ----------
    width
        "column" (3.33 inches) or "page" (7 inches) of a paper; such a figure has no title, its caption says
        it. None: as wide as suits a screen, with the finding as its title.

    Raises
    ------
    InputError
        If there is no such width.
    """
    with mpl.rc_context(style(width)):
        return figures_steps.draw(summary, baseline, width)


def links(results: Mapping[str, Result], width: Width | None = None) -> Figure:
    """Draw the utilization of links over the first step, a panel a policy: idle slots are white."""
    with mpl.rc_context(style(width)):
        return figures_links.draw(results, width)


def timeline(results: Mapping[str, Result], machine: int = 0, width: Width | None = None) -> Figure:
    """Draw what the GPUs and links of one machine did in the first step, a panel a policy."""
    with mpl.rc_context(style(width)):
        return figures_timeline.draw(results, machine, width)


def waterfall(way: Waterfall, width: Width | None = None) -> Figure:
    """Draw the way from one step time to another (`explain`), part by part."""
    with mpl.rc_context(style(width)):
        return figures_waterfall.draw(way, width)
