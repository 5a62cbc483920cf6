"""The report of a folder of `janus-sim uncertainty`: an interval a speedup, and what it hangs on."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from janus_sim.errors import InputError, Mistake
from janus_sim.results import reading, report_table
from janus_sim.results.figures_style import BLUE, ORANGE, VERMILLION
from janus_sim.results.report_charts import GRID, LAYOUT, MOST_BARS, Chart, Charts, escaped, height
from janus_sim.results.spread import MOST_PANELS, Spread, finding, headline, labels, strongest
from janus_sim.results.store import Results

RANGES, TABLES = "ranges.json", ("intervals", "beats", "tornado")
MEASURES = ("nominal", "p5", "median", "p95")
#: The columns of the page, as the command line calls them.
COLUMNS = {"nominal": "as_written", "p5": "5_%", "p95": "95_%", "beats_baseline": "beats_the_baseline"}
FORMS = {"width": "{:.2f}", "beats_the_baseline": "{:.0%}"}
EDGE = {"width": 1.2, "color": "#222222"}
WITHOUT = (
    "Links, timelines and waterfalls are not here: of each draw the step time was kept alone. "
    "janus-sim run of the same experiment has them."
)


@dataclass(frozen=True)
class Told:
    """What the page says: its title, its table as HTML, its charts."""

    finding: str
    table: str
    charts: Charts


def is_there(folder: Path) -> bool:
    """Say whether a folder is one of `janus-sim uncertainty`: one of its files is enough."""
    return any((folder / name).is_file() for name in (RANGES, *(f"{table}.csv" for table in TABLES)))


def tell(folder: Path, results: Results, names: Sequence[str] = ()) -> Told:
    """Read the tables of a folder and draw them.

    Raises
    ------
    InputError
        If a table is torn, or results of single scenarios are asked for: there are none.
    """
    if names:
        words = (
            "cannot be shown one by one: of each draw the step time was kept alone; report a folder of run"
        )
        raise InputError(Mistake(f"{folder}: {', '.join(names)}", words))
    found = read(folder, results)
    charts: Charts = {"intervals": (bars(found), f"Speedup\n{_few(found)}")}
    for place, (words, chart) in enumerate(tornados(found)):
        heading = "What it hangs on\n" if place == 0 else "\n"
        charts[f"tornado{place}"] = (chart, heading + words)
    named = found.intervals.rename(columns=COLUMNS)
    rows = report_table.plain(named, dict.fromkeys(map(str, named), "{:.2f}x") | FORMS)
    table = f"{rows}<p>{html.escape(WITHOUT)}</p>"
    return Told(finding(found), table, charts)


def read(folder: Path, results: Results) -> Spread:
    """Read what the draws came to, but for who beats whom: the page does not tell it.

    Raises
    ------
    InputError
        If a table is torn.
    """
    intervals = reading.rows(folder / "intervals.csv", (*MEASURES, "beats_baseline"))
    tornado = reading.rows(folder / "tornado.csv", ("correlation", "swing"))
    ranges = _ranges(folder / RANGES)
    if len(tornado) != len(intervals) * ranges:
        words = f"has {len(tornado)} rows for {ranges} ranges and the {len(intervals)} rows of intervals.csv"
        raise reading.broken(folder / "tornado.csv", words)
    failed = {_draw(one) for one, _ in results.failures}
    drawn = {_draw(one) for one in results.scenarios} - failed - {None, -1}
    return Spread(len(drawn), intervals, pd.DataFrame(), tornado)


def _draw(scenario: Mapping[str, Any]) -> Any:  # noqa: ANN401
    return scenario.get("point", {}).get("uncertainty.draw")


def _ranges(path: Path) -> int:
    """Return how many constants were drawn."""
    told = reading.json_of(path)
    if not (isinstance(told, dict) and isinstance(told.get("ranges"), list)):
        raise reading.broken(path, 'has no list "ranges"')
    return len(told["ranges"])


def _few(found: Spread) -> str:
    few = (
        f" The first {MOST_BARS} of {len(found.intervals)} rows." if len(found.intervals) > MOST_BARS else ""
    )
    return f"5 to 95 % of {found.draws} draws; dot: median, diamond: the constants as written.{few}"


def bars(found: Spread) -> Chart:
    """Draw the interval of each row, its median, and the constants as written."""
    rows = found.intervals.head(MOST_BARS)
    best = set(headline(found).index) if len(headline(found)) < len(found.intervals) else set()
    places = list(range(len(rows)))
    colour = [VERMILLION if index in best else BLUE for index in rows.index]
    words = [
        f"{row['p5']:.2f} to {row['p95']:.2f}, faster in {row['beats_baseline']:.0%}"
        for row in rows.to_dict("records")
    ]
    interval = {
        "type": "bar", "orientation": "h", "y": places, "base": rows["p5"].tolist(),
        "x": (rows["p95"] - rows["p5"]).tolist(), "width": 0.3, "marker": {"color": colour}, "text": words,
        "textposition": "none", "hovertemplate": "%{text}<extra></extra>",
    }  # fmt: skip
    beside = [
        {"xref": "paper", "x": 1.01, "xanchor": "left", "y": place, "text": word, "showarrow": False}
        for place, word in zip(places, words, strict=True)
    ]
    dots = [
        {"type": "scatter", "mode": "markers", "y": places, "x": rows[name].tolist(), "marker": marker,
         "hovertemplate": f"{name}: %{{x:.3f}}x<extra></extra>"}
        for name, marker in (
            ("median", {"color": colour, "size": 9}),
            ("nominal", {"color": "white", "size": 9, "symbol": "diamond", "line": EDGE}),
        )
    ]  # fmt: skip
    axis = _axis(labels(found.intervals)[: len(rows)])
    across = GRID | {"title": {"text": "speedup over the baseline", "standoff": 6}}
    layout = LAYOUT | {
        "height": height(len(rows)), "yaxis": axis, "xaxis": across, "showlegend": False,
        "margin": LAYOUT["margin"] | {"r": 190}, "annotations": beside,
    }  # fmt: skip
    return {"data": [interval, *dots], "layout": layout}


def tornados(found: Spread) -> list[tuple[str, Chart]]:
    """Draw for a few rows the rank correlations of speedup and constants, the strongest on top."""
    rows = headline(found).head(MOST_PANELS)
    drawn = []
    for index, name in zip(rows.index.tolist(), labels(rows), strict=True):
        part = strongest(found, index)
        values = part["correlation"].tolist()
        trace = {
            "type": "bar", "orientation": "h", "y": list(range(len(part))), "x": values, "width": 0.74,
            "marker": {"color": [BLUE if value >= 0 else ORANGE for value in values]},
            "text": [f"{value:+.2f}" for value in values], "textposition": "outside", "cliponaxis": False,
            "customdata": part["swing"].round(3).tolist(),
            "hovertemplate": "%{text}; upper third less lower third: %{customdata:+.3f}<extra></extra>",
        }  # fmt: skip
        across = GRID | {"title": {"text": "rank correlation", "standoff": 6}, "range": [-1.1, 1.1]}
        layout = LAYOUT | {
            "height": height(len(part)),
            "yaxis": _axis(part["range"]),
            "xaxis": across,
            "showlegend": False,
        }
        drawn.append((name, {"data": [trace], "layout": layout}))
    return drawn


def _axis(names: Sequence[str] | pd.Series[str]) -> Chart:
    words = [escaped(name) for name in names]
    return GRID | {
        "autorange": "reversed", "showgrid": False, "zeroline": False,
        "tickvals": list(range(len(words))), "ticktext": words,
    }  # fmt: skip
