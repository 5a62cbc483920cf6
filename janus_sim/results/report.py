"""One HTML page that tells of a folder of results: it holds all it needs, and asks nothing of any network."""

from __future__ import annotations

import base64
import hashlib
import html
import json
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from string import Template

import pandas as pd
from plotly.offline import get_plotlyjs

from janus_sim.files import write_whole
from janus_sim.results import (
    report_charts,
    report_shown,
    report_spread,
    report_table,
    report_time,
    wording,
)
from janus_sim.results.report_charts import Chart, Charts
from janus_sim.results.result import Result
from janus_sim.results.store import Results, open_results

MOST_TEXT = 200_000  #: characters of a file that is shown


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
        If there are no results, or none of a name.
    """
    folder = Path(folder)
    path = Path(target) if target is not None else folder / "report.html"
    title = folder.resolve().name
    if report_spread.is_there(folder):
        told = report_spread.tell(folder, names)
        text = render(told.finding, told.table, told.charts, texts(folder), title)
    else:
        results = open_results(folder)
        shown = report_shown.chosen(results, names, str(folder))
        text = page(_rows(folder, results), shown, texts(folder), title)
    write_whole(path, text.encode())
    return path


def _rows(folder: Path, results: Results) -> pd.DataFrame:
    """Return the rows to show: with seeds their means."""
    means = folder / "seeds.csv"
    return pd.read_csv(means) if means.is_file() else results.table()


def texts(folder: Path) -> dict[str, str]:
    """Return what was run and what it came from: the files of the experiment, scenarios, provenance."""
    kept = sorted(path for path in (folder / "inputs").rglob("*") if path.suffix in {".yaml", ".py"})
    found = {str(path.relative_to(folder / "inputs")): path for path in kept}
    found |= {
        "scenarios, as they were run": folder / "scenarios.json",
        "provenance": folder / "provenance.json",
    }
    read = {
        name: path.read_text(encoding="utf-8", errors="replace")
        for name, path in found.items()
        if path.is_file()
    }
    return {
        name: text
        if len(text) <= MOST_TEXT
        else f"{text[:MOST_TEXT]}\n... {len(text) - MOST_TEXT} characters more"
        for name, text in read.items()
    }


def page(table: pd.DataFrame, shown: dict[str, Result], sources: dict[str, str], title: str) -> str:
    """Return the page: the table, its charts, those of the results shown, and what was run."""
    table = table if "speedup" in table else table.assign(speedup=float("nan"))
    done = report_charts.finished(table)
    finding = wording.finding(done) if len(table) else "No results"
    rows = report_table.write(table)
    if "seeds" in table:
        rows += "<p>Means over the seeds; each run is a row of summary.csv.</p>"
    return render(finding, rows, _of_table(table, done) | _of_results(shown), sources, title)


def render(finding: str, table: str, charts: Charts, sources: Mapping[str, str], title: str) -> str:
    """Put the pieces of a page together: HTML, data, and the scripts that may run, known by their hashes."""
    data = json.dumps(
        {name: chart for name, (chart, _) in charts.items()}, separators=(",", ":"), allow_nan=False
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
        sections="\n".join(_section(name, words) for name, (_, words) in charts.items()),
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


def _of_results(shown: dict[str, Result]) -> Charts:
    """Return the charts of results, one by one: the ways between them, links and timelines."""
    at = report_shown.told(shown)
    found: list[tuple[str, Chart | None, str]] = []
    for place, (words, way) in enumerate(report_shown.ways(shown)):
        heading, where = ("Why\n", at) if place == 0 else ("\n", "")
        found.append((f"waterfall{place}", report_charts.waterfall(way), heading + words + where))
    links = "Links\nThe share of each link's capacity in use; white is idle, grey after the end."
    found.append(("links", report_time.heat(shown), links + at))
    words = ("Timeline\nMachine 0: a GPU computes in the upper half of its row, communicates in the lower. "
             "Drag to zoom all panels, double-click to see the whole step." + at)  # fmt: skip
    found.append(("timeline", report_time.timeline(shown), words))
    return _there(found)


def _there(found: Sequence[tuple[str, Chart | None, str]]) -> Charts:
    return {name: (chart, words) for name, chart, words in found if chart is not None}


def _section(name: str, words: str) -> str:
    heading, line = words.split("\n", 1)
    title = f"<h2>{html.escape(heading)}</h2>" if heading else ""
    return (
        f'<section>{title}<p>{html.escape(line.strip())}</p><div class="chart" id="{name}"></div></section>'
    )


def _source(name: str, text: str) -> str:
    return f"<details><summary>{html.escape(name)}</summary><pre>{html.escape(text)}</pre></details>"


def _hash(code: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()}'"


def _text(name: str) -> str:
    return (files("janus_sim.results") / "page" / name).read_text(encoding="utf-8")
