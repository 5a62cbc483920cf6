"""One HTML page that tells of a folder of results: it holds all it needs, and asks nothing of any network."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from string import Template

import pandas as pd
from plotly.offline import get_plotlyjs

from janus_sim.files import write_whole
from janus_sim.results import (
    report_charts,
    report_shown,
    report_sources,
    report_spread,
    report_table,
    report_time,
    seeds,
    wording,
)
from janus_sim.results.report_charts import Chart, Charts
from janus_sim.results.report_shown import Shown
from janus_sim.results.result import Result
from janus_sim.results.store import open_results


@dataclass(frozen=True)
class Report:
    """A page, and what it had to leave out, a line each."""

    text: str
    left_out: tuple[str, ...]


def write(folder: Path | str, target: Path | str | None = None, names: Sequence[str] = ()) -> Path:
    """Write the report of a folder of results, whole or not at all; return its path.

    Parameters
    ----------
    folder
        What `janus-sim run` or `janus-sim uncertainty` wrote.
    target
        By default `report.html` in the folder.
    names
        Scenarios or policies whose links, timelines and waterfalls are shown; by default the policies at the
        first point of the grid.

    Raises
    ------
    InputError
        If there are no results, or none of a name, or a table is torn.
    """
    path = Path(target) if target is not None else Path(folder) / "report.html"
    write_whole(path, compose(folder, names).text.encode())
    return path


def compose(folder: Path | str, names: Sequence[str] = ()) -> Report:
    """Return the report of a folder of results, see `write`."""
    folder = Path(folder)
    results, title = open_results(folder), folder.resolve().name
    run = report_sources.read(folder)
    if report_spread.is_there(folder):
        told = report_spread.tell(folder, results, names)
        text = render(told.finding, told.table, told.charts, run.texts, title, run.left_out)
        return Report(text, run.left_out)
    shown = report_shown.chosen(results, names, str(folder))
    table = results.table()
    rows = seeds.means(table, results.baseline) if run.seeded and "step_time_s" in table else table
    text = page(rows, shown, run.texts, title, run.left_out)
    return Report(text, (*shown.left_out, *run.left_out))


def page(
    table: pd.DataFrame, shown: Shown, sources: Mapping[str, str], title: str, notes: Sequence[str] = ()
) -> str:
    """Return the page: the table, its charts, those of the results shown, and what was run."""
    table = table.assign(**{name: math.nan for name in ("step_time_s", "speedup") if name not in table})
    done = report_charts.finished(table)
    finding = wording.finding(done) if len(done) else "No results"
    rows = report_table.write(table)
    if "seeds" in table:
        rows += "<p>Means over the seeds; each run is a row of summary.csv.</p>"
    charts = _of_table(table, done) if len(done) else {}
    return render(finding, rows, charts | _of_results(shown), sources, title, notes)


def render(
    finding: str, table: str, charts: Charts, sources: Mapping[str, str], title: str,
    notes: Sequence[str] = (),
) -> str:  # fmt: skip
    """Put the pieces of a page together: HTML, data, and the scripts that may run, known by their hashes.

    `notes` say what is wrong with the sources.
    """
    data = json.dumps(
        {name: chart for name, (chart, _) in charts.items() if chart},
        separators=(",", ":"),
        allow_nan=False,
    )
    script, library = _text("page.js"), get_plotlyjs()
    if "</script" in library:  # pragma: no cover
        library = library.replace("</script", "<\\/script")
    return Template(_text("page.html")).substitute(
        title=html.escape(title),
        finding=html.escape(finding),
        policy=" ".join(_hash(code) for code in (library, script)),
        style=_text("page.css"),
        table=table,
        sections="\n".join(_section(name, words, chart) for name, (chart, words) in charts.items()),
        notes="\n".join(f"<p>{html.escape(words)}</p>" for words in notes),
        sources="\n".join(_source(name, text) for name, text in sources.items()),
        data=data.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029"),
        library=library,
        script=script,
    )


def _of_table(table: pd.DataFrame, done: pd.DataFrame) -> Charts:
    """Return the charts of all rows by the id of their place, with a heading and a line of text."""
    most = report_charts.MOST_BARS
    many = len(done) > most
    few = f" The first {most} of {len(done)} rows." if many else ""
    dots = f"A dot for each of {len(done)} rows; point at one to see which." if many else ""
    speedup = report_charts.dots(table) if many else report_charts.speedups(table)
    ranks, path = report_charts.where(table)
    exposed = "Communication is exposed where a GPU computes nothing beside it."
    chain = "The chain of causes that the step hung on; it adds up to the step."
    return _there([
        ("speedup", speedup, f"Speedup\n{dots}"),
        ("where", ranks, f"Where the time went\n{exposed}{few}"),
        ("path", path, f"The critical path\n{chain}{few}"),
    ])  # fmt: skip


def _of_results(shown: Shown) -> Charts:
    """Return the charts of results, one by one: the ways between them, links and timelines.

    A chart that cannot be drawn leaves its heading, and why.
    """
    results, left = shown.results, "".join(f" Not shown: {words}" for words in shown.left_out)
    at = report_shown.told(results) + left
    found: Charts = {}
    for place, (words, way) in enumerate(report_shown.ways(results)):
        heading, where = ("Why\n", at) if place == 0 else ("\n", "")
        found[f"waterfall{place}"] = report_charts.waterfall(way), heading + words + where
    if not found:
        found["waterfall0"] = (
            None,
            f"Why\nA waterfall leads from one result to another; {_has(results)}.{left}",
        )
    heat, line = report_time.heat(results), report_time.timeline(results)
    links = "The share of each link's capacity in use; white is idle, grey after the end."
    found["links"] = heat, f"Links\n{links + at if heat else f'No use of links: {_has(results)}.' + left}"
    words = ("Machine 0: a GPU computes in the upper half of its row, communicates in the lower. "
             "Drag to zoom all panels, double-click to see the whole step.")  # fmt: skip
    found["timeline"] = line, f"Timeline\n{words + at if line else f'No timeline: {_has(results)}.' + left}"
    return found


def _has(results: Mapping[str, Result]) -> str:
    """Say how much there is to draw."""
    return (
        f"here {'is' if len(results) == 1 else 'are'} {len(results) or 'no'} result{'s'[: len(results) != 1]}"
    )


def _there(found: Sequence[tuple[str, Chart | None, str]]) -> Charts:
    return {name: (chart, words) for name, chart, words in found if chart is not None}


def _section(name: str, words: str, chart: Chart | None) -> str:
    heading, line = words.split("\n", 1)
    title = f"<h2>{html.escape(heading)}</h2>" if heading else ""
    place = f'<div class="chart" id="{name}"></div>' if chart else ""
    return f"<section>{title}<p>{html.escape(line.strip())}</p>{place}</section>"


def _source(name: str, text: str) -> str:
    return f"<details><summary>{html.escape(name)}</summary><pre>{html.escape(text)}</pre></details>"


def _hash(code: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()}'"


def _text(name: str) -> str:
    return (files("janus_sim.results") / "page" / name).read_text(encoding="utf-8")
