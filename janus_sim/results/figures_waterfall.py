"""The waterfall: from the step time of one run, part by part, to that of another."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from janus_sim.results.explain import Part, Waterfall, why
from janus_sim.results.figures_style import BLUE, DARK, GREY, TEXT, VERMILLION, Width, inches, title

#: NICs with less than this share of the larger step time are drawn as one.
SMALL = 0.01


def draw(waterfall: Waterfall, width: Width | None = None) -> Figure:
    """Draw both step times as bars from 0, and between them what each part adds or takes away."""
    shown = parts(waterfall)
    names = [waterfall.a, *(part.name for part in shown), waterfall.b]
    high = 0.7 + 0.2 * len(names) if width else 1.6 + 0.3 * len(names)
    figure = Figure(figsize=(inches(width, 7.2), high), layout="constrained")
    axes = figure.add_subplot()
    last = len(names) - 1
    for place, seconds in ((0, waterfall.before), (last, waterfall.after)):
        axes.barh(place, seconds * 1e3, height=0.72, color=DARK)
        _word(axes, seconds * 1e3, place, f"{seconds * 1e3:.1f} ms", waterfall)
    reach = _steps(axes, shown, waterfall)
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(last + 0.6, -0.6)
    axes.set_xlim(0, reach * (1.34 if width == "column" else 1.14))
    axes.set_xlabel("ms" if width == "column" else "ms on the critical path; blue: less, hatched: more")
    axes.tick_params(axis="y", length=0)
    axes.xaxis.grid(visible=True)
    title(figure, why(waterfall), 68, paper=bool(width))
    return figure


def _steps(axes: Axes, shown: Sequence[Part], waterfall: Waterfall) -> float:
    """Draw what each part adds or takes away, a line from one to the next; return how far it goes, in ms."""
    at = waterfall.before * 1e3
    reach = max(waterfall.before, waterfall.after) * 1e3
    for place, part in enumerate(shown, start=1):
        change = part.change * 1e3
        colour, hatch = (VERMILLION, "///") if change > 0 else (BLUE, "")
        axes.barh(
            place, abs(change), left=min(at, at + change), height=0.72, color=colour, hatch=hatch,
            edgecolor="white", linewidth=0,
        )  # fmt: skip
        axes.plot([at, at], [place - 1.36, place + 0.36], color=GREY, linewidth=0.7, zorder=0)
        _word(axes, max(at, at + change), place, f"{change:+.1f}", waterfall)
        reach = max(reach, at, at + change)
        at += change
    last = len(shown) + 1
    axes.plot([at, at], [last - 0.64, last + 0.36], color=GREY, linewidth=0.7, zorder=0)
    return reach


def parts(waterfall: Waterfall) -> tuple[Part, ...]:
    """Return the parts to draw: NICs of small change together."""
    from janus_sim.results.explain import NIC

    bound = SMALL * max(waterfall.before, waterfall.after)
    nics = [part for part in waterfall.parts if part.name.startswith(NIC)]
    small = [part for part in nics if abs(part.change) < bound]
    if len(small) < 2:
        return waterfall.parts
    rest = Part(
        f"{len(small)} {'other ' if len(small) < len(nics) else ''}NICs",
        sum(part.before for part in small),
        sum(part.after for part in small),
    )
    shown: list[Part] = []
    for part in waterfall.parts:
        if part not in small:
            shown.append(part)
        elif part is small[-1]:
            shown.append(rest)
    return tuple(shown)


def _word(axes: Axes, x: float, place: float, words: str, waterfall: Waterfall) -> None:
    longest = max(waterfall.before, waterfall.after) * 1e3
    axes.text(x + longest * 0.008, place, words, va="center", fontsize=8, color=TEXT)
