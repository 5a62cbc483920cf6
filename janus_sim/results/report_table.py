"""The table of the report: a row a scenario in words, each cell with the value that it sorts by."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping

import pandas as pd

from janus_sim.record import legend
from janus_sim.results import tables

MOST_ROWS = 2000  #: that are shown


def write(table: pd.DataFrame) -> str:
    """Return the summary as HTML; failed scenarios are rows with their error.

    Examples
    --------
    >>> print(write(pd.DataFrame({"policy": ["a<b"], "step_time_s": [0.5]})))
    <table id="summary"><thead><tr><th scope="col"><button type="button">policy</button></th>...
    <tr><td>a&lt;b</td><td class="n" data-v="0.5">500.00</td></tr>
    </tbody></table>
    """
    shown = table.head(MOST_ROWS)
    if "paradigms" in shown:
        shown = shown.assign(paradigms=shown["paradigms"].fillna("-"))
    words = tables.text(shown)
    if "error" in shown and shown["error"].notna().any():
        words["error"] = ["" if pd.isna(error) else str(error) for error in shown["error"]]
    text = _html(words, shown)
    if len(table) > len(shown):
        text += f"<p>The first {len(shown)} of {len(table)} rows; all are in summary.csv.</p>"
    return text


def plain(table: pd.DataFrame, forms: Mapping[str, str] | None = None) -> str:
    """Return any table as HTML: numbers with four digits or as `forms` say, under the names of its columns.

    Examples
    --------
    >>> print(plain(pd.DataFrame({"policy": ["a"], "p5": [1.23456]})))
    <table id="summary"><thead><tr><th scope="col"><button type="button">policy</button></th>...
    <tr><td>a</td><td class="n" data-v="1.23456">1.235</td></tr>
    </tbody></table>
    """
    words = pd.DataFrame({
        name: [_form(forms, str(name)).format(value) if _is_number(value) else str(value)
               for value in table[name].tolist()]
        for name in table.columns
    })  # fmt: skip
    return _html(words.rename(columns=lambda name: str(name).replace("_", " ")), table.head(MOST_ROWS))


def _form(forms: Mapping[str, str] | None, name: str) -> str:
    return (forms or {}).get(name, "{:.4g}")


def _html(words: pd.DataFrame, shown: pd.DataFrame) -> str:
    heads = "".join(
        f'<th scope="col"><button type="button">{html.escape(str(name))}</button></th>' for name in words
    )
    columns = [_column(shown, str(name), words[name].tolist()[: len(shown)]) for name in words]
    body = "\n".join(f"<tr>{''.join(row)}</tr>" for row in zip(*columns, strict=True))
    marks = legend(words.get("policy", ()))
    below = f"<p>{html.escape(marks)}</p>" if marks else ""
    return f'<table id="summary"><thead><tr>{heads}</tr></thead><tbody>\n{body}\n</tbody></table>{below}'


def _column(shown: pd.DataFrame, heading: str, words: list[str]) -> list[str]:
    """Return the cells of a column; numbers stand to the right."""
    names = {told: name for name, (told, _, _) in tables.WORDS.items()}
    name = names.get(heading, heading.replace(" ", "_"))
    values: list[object] = shown[name].tolist() if name in shown else list(words)
    number = any(_is_number(value) for value in values)
    return [_cell(word, value, number) for word, value in zip(words, values, strict=True)]


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _cell(word: str, value: object, number: bool) -> str:
    kind = ' class="n"' if number else ""
    data = f' data-v="{value!r}"' if _is_number(value) else ""
    return f"<td{kind}{data}>{html.escape(word)}</td>"
