"""Where each step went, as bars of characters."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text

from janus_sim.cli import show

if TYPE_CHECKING:
    import pandas as pd

BAR = 60  #: characters of the longest bar
MARGIN = 48  #: characters of a scenario's name, at the most
#: How each part of a step is drawn.
PARTS = {"compute": ("#", "green"), "exposed communication": ("=", "red"), "waiting": (".", "yellow")}


def draw(table: pd.DataFrame) -> None:
    """Draw where each step went: one bar a row, as long as its step."""
    from janus_sim.results import tables

    table = table[table["error"].isna()] if "error" in table else table
    if not len(table):
        return
    screen = show.console()
    parts = tables.breakdown(table)
    labels = [str(name) for name in table["scenario"]]
    margin = min(max(map(len, labels)), MARGIN, screen.width // 2)
    seconds = parts["seconds"].to_numpy(float).reshape(len(labels), -1)
    names = [str(part) for part in parts["part"][: seconds.shape[1]]]
    scale = min(BAR, screen.width - margin - 3) / max(float(table["step_time_s"].max()), 1e-12)
    screen.print("\n" + "  ".join(f"{PARTS[name][0] * 3} {name}" for name in names), highlight=False)
    for label, row in zip(labels, seconds, strict=True):
        line = Text(f"{shortened(label, margin):<{margin}}  ")
        at = 0.0
        for name, part in zip(names, row, strict=True):
            start, at = at, at + max(float(part), 0.0) * scale
            line.append(PARTS[name][0] * (round(at) - round(start)), style=PARTS[name][1])
        screen.print(line, soft_wrap=True)


def shortened(label: str, width: int) -> str:
    """Leave out the middle of a label: its end tells the points of a grid apart.

    Examples
    --------
    >>> shortened("janus workload=moe_bert micro_batch_size=512", 30)
    'janus work..cro_batch_size=512'
    """
    head = width // 3
    return label if len(label) <= width else f"{label[:head]}..{label[head + 2 - width :]}"
