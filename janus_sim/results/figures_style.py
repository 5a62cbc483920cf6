"""Colours and type of all figures."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any, Literal

from janus_sim.errors import InputError, Mistake

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Okabe and Ito's palette (2008), told apart by colour-blind readers too.
BLUE, SKY, GREEN, YELLOW, ORANGE, VERMILLION, PURPLE = (
    "#0072B2", "#56B4E9", "#009E73", "#F0E442", "#E69F00", "#D55E00", "#CC79A7",
)  # fmt: skip
GREY, DARK, OVER, TEXT = "#BFBFBF", "#777777", "#F2F2F2", "#222222"

#: Where a step went.
PART_COLOURS = {"compute": BLUE, "exposed communication": VERMILLION, "waiting": GREY}

#: What a GPU or link does, in the order of the legend.
DEED_COLOURS = {
    "dense compute": BLUE,
    "expert compute": SKY,
    "All-to-All": VERMILLION,
    "pull of an expert": GREEN,
    "gradient of an expert": PURPLE,
    "dense all-reduce": ORANGE,
}

STYLE: Any = {
    "backend": "agg",
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "text.color": TEXT,
    "axes.labelcolor": TEXT,
    "axes.edgecolor": "#888888",
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": "#E5E5E5",
    "grid.linewidth": 0.6,
    "xtick.color": TEXT,
    "ytick.color": TEXT,
    "figure.dpi": 100,
    "savefig.dpi": 160,
    "savefig.bbox": None,
    "svg.hashsalt": "janus-sim",
    "svg.fonttype": "path",  # glyphs are part of the file, as in the PDF
    "pdf.fonttype": 42,  # TrueType: publishers refuse Type 3
    "pdf.compression": 6,
}


#: How wide a figure for a paper is: one column of two, or the page; None: as wide as suits a screen.
Width = Literal["column", "page"]
INCHES: dict[Width, float] = {"column": 3.33, "page": 7.0}


def style(width: Width | None) -> Any:  # noqa: ANN401
    """Return the settings of matplotlib under which a figure is drawn; letters of a paper are smaller."""
    return STYLE if width is None else STYLE | {"font.size": 8, "xtick.labelsize": 7, "ytick.labelsize": 7}


def inches(width: Width | None, otherwise: float) -> float:
    """Return the width of a figure in inches.

    Raises
    ------
    InputError
        If there is no such width.

    Examples
    --------
    >>> inches("column", 7.2), inches(None, 7.2)
    (3.33, 7.2)
    """
    if width is None:
        return otherwise
    if width not in INCHES:
        raise InputError(Mistake("width", f'"{width}" is none; write column or page'))
    return INCHES[width]


def title(figure: Figure, words: str, width: int, below: str = "", *, paper: bool = False) -> None:
    """Write a title, broken into lines, at the left above all panels; `below` is a smaller line under it.

    A figure for a paper has none: its caption says it.
    """
    if paper:
        return
    lines = textwrap.wrap(words, width)
    figure.suptitle("\n".join(lines), x=0.01, ha="left", fontsize=11, fontweight="bold")
    if below:
        figure.axes[0].annotate(
            below,
            (0, 1),
            (0, 32),
            xycoords="axes fraction",
            textcoords="offset points",
            fontsize=8,
            annotation_clip=False,
        )


def one_step(steps: int) -> str:
    """Say which step a figure shows.

    Examples
    --------
    >>> one_step(1), one_step(12)
    ('One training step', 'The first of 12 training steps')
    """
    return "One training step" if steps == 1 else f"The first of {steps} training steps"
