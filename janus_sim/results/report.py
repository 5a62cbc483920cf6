"""One HTML page that tells of a folder of results: it holds all it needs, and asks nothing of any network."""

from __future__ import annotations

import base64
import hashlib
import html
import json
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any

import pandas as pd
from plotly.offline import get_plotlyjs

from janus_sim.errors import InputError
from janus_sim.files import write_whole
from janus_sim.results import explain, figures, report_charts, report_table, report_time, wording
from janus_sim.results.report_charts import Chart
from janus_sim.results.result import Result
from janus_sim.results.store import Results, open_results

MOST_TEXT = 200_000  #: characters of a file that is shown
MOST_WAYS = 3  #: waterfalls


def write(folder: Path | str, target: Path | str | None = None, names: Sequence[str] = ()) -> Path:
    """Write the report of a folder of results, whole or not at all; return its path.

    Parameters
    ----------
    folder
        What `janus-sim run` wrote.
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
    results = open_results(folder)
    shown = chosen(results, names, str(folder))
    path = Path(target) if target is not None else folder / "report.html"
    write_whole(path, page(results.table(), shown, texts(folder), folder.resolve().name).encode())
    return path


def chosen(results: Results, names: Sequence[str], where: str) -> dict[str, Result]:
    """Return the results to show one by one, by name; those of which only a row was kept are left out."""
    if names:
        named = [explain.choose(results, name, where) for name in names]
        return {explain.called(result): result for result in named}
    first: dict[str, Result] = {}
    points = [_point(scenario) for scenario in results.scenarios]
    for place, (point, scenario) in enumerate(zip(points, results.scenarios, strict=True)):
        name = str(scenario.get("policy", ""))
        if point == points[0] and name not in first and len(first) < figures.MOST_POLICIES:
            try:
                first[name] = results[place]
            except InputError:
                continue
    return first


def _point(scenario: Any) -> str:  # noqa: ANN401
    names = ("topology", "workload", "precision", "micro_batch_size", "schedule", "seed")
    axes = {k: v for k, v in scenario.get("point", {}).items() if not k.startswith("policies.")}
    return json.dumps([*(scenario.get(name) for name in names), axes], sort_keys=True, default=str)


def _at(shown: dict[str, Result]) -> str:
    """Say which point of the grid is shown, if it is one."""
    told = [one.scenario for one in shown.values()]
    if not told or len({_point(scenario) for scenario in told}) > 1:
        return ""
    words = [str(told[0][name]) for name in ("workload", "topology", "precision") if told[0].get(name)]
    if told[0].get("micro_batch_size"):
        words.append(f"micro-batches of {told[0]['micro_batch_size']}")
    for path, value in told[0].get("point", {}).items():
        column = path.rpartition(".")[2] in {"workload", "topology", "precision", "micro_batch_size"}
        words += [] if column or path.startswith("policies.") else [f"{path} {value}"]
    return f" Shown: {', '.join(words)}."


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
    charts = _charts(table, shown)
    data = json.dumps(
        {name: chart for name, (chart, _) in charts.items()}, separators=(",", ":"), allow_nan=False
    )
    script, library = _text("page.js"), get_plotlyjs()
    if "</script" in library:  # pragma: no cover
        library = library.replace("</script", "<\\/script")
    return Template(_text("page.html")).substitute(
        title=html.escape(title),
        finding=html.escape(_finding(table)),
        policy=" ".join(_hash(code) for code in (library, script)),
        style=_text("page.css"),
        table=report_table.write(table),
        sections="\n".join(_section(name, words) for name, (_, words) in charts.items()),
        sources="\n".join(_source(name, text) for name, text in sources.items()),
        data=data.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029"),
        library=library,
        script=script,
    )


def _finding(table: pd.DataFrame) -> str:
    return wording.finding(report_charts.finished(table)) if len(table) else "No results"


def _charts(table: pd.DataFrame, shown: dict[str, Result]) -> dict[str, tuple[Chart, str]]:
    """Return each chart by the id of its place, and the words beside it: a heading, and a line of text."""
    done, at = report_charts.finished(table), _at(shown)
    few = (
        ""
        if len(done) <= report_charts.MOST_BARS
        else f" The first {report_charts.MOST_BARS} of {len(done)} rows."
    )
    ranks, path = report_charts.where(table)
    found: list[tuple[str, Chart | None, str]] = [
        ("speedup", report_charts.speedups(table), f"Speedup\n{few}"),
        (
            "where",
            ranks,
            "Where the time went\nCommunication is exposed where a GPU computes nothing beside it." + few,
        ),
        (
            "path",
            path,
            f"The critical path\nThe chain of causes that the step hung on; it adds up to the step.{few}",
        ),
    ]
    for place, (words, way) in enumerate(_ways(shown)):
        heading = "Why\n" if place == 0 else "\n"
        found.append((f"waterfall{place}", report_charts.waterfall(way), heading + words + at))
    found.append(
        (
            "links",
            report_time.heat(shown),
            "Links\nThe share of each link's capacity in use; white is idle." + at,
        )
    )
    words = ("Timeline\nMachine 0: a GPU computes in the upper half of its row, communicates in the lower. "
             "Drag to zoom all panels, double-click to see the whole step." + at)  # fmt: skip
    found.append(("timeline", report_time.timeline(shown), words))
    return {name: (chart, words) for name, chart, words in found if chart is not None}


def _ways(shown: dict[str, Result]) -> list[tuple[str, explain.Waterfall]]:
    """Return the ways from the baseline (or the first shown) to the others, and why, the fastest first."""
    base = next((name for name, one in shown.items() if one.scenario.get("baseline")), next(iter(shown), ""))
    others = sorted(
        (name for name in shown if name != base), key=lambda name: explain.step_seconds(shown[name])
    )
    ways = [explain.explain(shown[base], shown[name], (base, name)) for name in others[:MOST_WAYS]]
    return [(explain.why(way), way) for way in ways]


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
