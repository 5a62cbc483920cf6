"""What a result and the table of a sweep look like in a notebook: plain HTML, no script."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import pandas as pd

from janus_sim.record import legend
from janus_sim.results import tables, wording
from janus_sim.results.figures_style import PART_COLOURS

if TYPE_CHECKING:
    from janus_sim.results.result import Result

MOST_ROWS = 60  #: of a table
BAR = "display:inline-block;height:14px"


def table(rows: pd.DataFrame, note: str = "") -> str:
    """Show the rows of a sweep in words, under what they found."""
    words = tables.text(rows.head(MOST_ROWS))
    done = rows[rows["step_time_s"].notna()] if "step_time_s" in rows else rows.head(0)
    finding = wording.finding(done) if len(done) and "speedup" in done else ""
    more = f"{len(rows)} rows" if len(rows) <= MOST_ROWS else f"The first {MOST_ROWS} of {len(rows)} rows"
    marks = f"<p>{html.escape(legend(rows['policy']))}</p>" if legend(rows["policy"]) else ""
    said = f"<p>{html.escape(note)}</p>" if note else ""
    return (
        f"<p><strong>{html.escape(finding)}</strong></p>{_table(words.columns, words.to_numpy().tolist())}"
        f"<p>{more}; the DataFrame has {len(rows.columns)} columns (docs/metrics.md).</p>{said}{marks}"
    )


def result(one: Result) -> str:
    """Show how long a step takes and where it goes: the mean over ranks, and the critical path."""
    row = one.summary()
    told = [
        str(one.scenario[name])
        for name in ("policy", "workload", "topology", "precision")
        if one.scenario.get(name)
    ]
    seconds = float(row["step_time_s"].iloc[0])
    parts = [(str(part["part"]), float(part["share"])) for part in tables.breakdown(row).to_dict("records")]
    path = tables.path(row)
    shown = path[path["seconds"] > 0].sort_values("seconds", ascending=False, kind="stable")
    cells = [
        [part.replace("_", " "), f"{took * 1e3:.2f}", f"{share:.1%}"]
        for part, took, share in zip(shown["part"], shown["seconds"], shown["share"], strict=True)
    ]
    return (
        f"<p><strong>{html.escape(', '.join(told))}: {seconds * 1e3:.2f} ms a step</strong></p>{_bar(parts)}"
        f"{_table(['critical path', 'ms', 'share'], cells)}"
        "<p>DataFrames: spans, steps, links, link_series, layers, memory; summary().</p>"
    )


def _bar(parts: Sequence[tuple[str, float]]) -> str:
    """Draw shares of one as a bar of colours, and name them."""
    bars = "".join(
        f'<span style="{BAR};width:{share:.2%};background:{PART_COLOURS[part]}"></span>'
        for part, share in parts
    )
    names = ", ".join(
        f'<span style="color:{PART_COLOURS[part]}">&#9632;</span> {part} {share:.1%}' for part, share in parts
    )
    return f'<div style="max-width:40em;line-height:0;white-space:nowrap">{bars}</div><p>{names}</p>'


def _table(heads: Iterable[object], rows: Iterable[Sequence[object]]) -> str:
    head = "".join(f"<th>{html.escape(str(name))}</th>" for name in heads)
    body = "".join(
        f"<tr>{''.join(f'<td>{html.escape(str(cell))}</td>' for cell in row)}</tr>" for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
