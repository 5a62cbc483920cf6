"""The table of a sweep as LaTeX, for a paper: booktabs, numbers to the right, what people wrote escaped."""

from __future__ import annotations

import pandas as pd

from janus_sim.record import legend
from janus_sim.results import tables

SPECIAL = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"} | {
    letter: f"\\{letter}" for letter in "&%$#_{}"
}


def write(table: pd.DataFrame, caption: str = "", label: str = "") -> str:
    r"""Return the summary in words as a `tabular` of the package booktabs; with a caption, inside a `table`.

    Examples
    --------
    >>> rows = {"policy": ["expert_centric", "janus"], "step_time_s": [0.2, 0.1], "mfu": [0.2, 0.4]}
    >>> print(write(pd.DataFrame(rows)))
    \begin{tabular}{lrr}
    \toprule
    policy & ms & MFU \\
    \midrule
    expert\_centric & 200.00 & 20.0 \% \\
    janus & 100.00 & 40.0 \% \\
    \bottomrule
    \end{tabular}
    <BLANKLINE>
    """
    words = tables.text(table)
    sides = "".join("r" if _numbers(words[name].tolist()) else "l" for name in words)
    marks = legend(words["policy"]) if "policy" in words else ""
    below = (
        [f"\\multicolumn{{{len(words.columns)}}}{{l}}{{\\footnotesize {escaped(marks)}}}"] if marks else []
    )
    lines = [
        f"\\begin{{tabular}}{{{sides}}}", r"\toprule", _row(words.columns), r"\midrule",
        *(_row(row) for row in words.itertuples(index=False, name=None)), r"\bottomrule",
        *below, r"\end{tabular}",
    ]  # fmt: skip
    if caption or label:
        told = [f"\\caption{{{escaped(caption)}}}"] if caption else []
        told += [f"\\label{{{label}}}"] if label else []
        lines = [r"\begin{table}", r"\centering", *told, *lines, r"\end{table}"]
    return "\n".join(lines) + "\n"


def escaped(words: object) -> str:
    r"""Return words as LaTeX shows them.

    Examples
    --------
    >>> print(escaped("moe_gpt: 50 % & more"))
    moe\_gpt: 50 \% \& more
    """
    return "".join(SPECIAL.get(letter, letter) for letter in str(words))


def _row(cells: object) -> str:
    return " & ".join(map(escaped, cells)) + r" \\"  # type: ignore[call-overload]


def _numbers(column: list[str]) -> bool:
    """Say whether a column is of numbers: digits first, or nothing known."""
    known = [word for word in column if word != "-"]
    return bool(known) and all(word[:1].isdigit() for word in known)
