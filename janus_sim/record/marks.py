"""Marks at the end of the name of a policy and of its runs, and what they say, for a line under a table."""

from __future__ import annotations

from collections.abc import Iterable

BOUND, LOSSY = " (bound)", " (lossy)"
#: What each mark says of a policy.
MARKS = {BOUND: "may see the future", LOSSY: "not accuracy-neutral"}


def unmarked(name: str) -> str:
    """Return the name of a policy as its experiment has it.

    Examples
    --------
    >>> unmarked("deepep (bound) (lossy)")
    'deepep'
    """
    for mark in MARKS:
        name = name.replace(mark, "")
    return name


def legend(names: Iterable[object]) -> str:
    """Return a line that says what the marks in these names mean; "" if there are none.

    Examples
    --------
    >>> legend(["janus", "deepep (lossy)"])
    '(lossy): not accuracy-neutral'
    """
    words = "\n".join(map(str, names))
    return "; ".join(f"{mark.strip()}: {said}" for mark, said in MARKS.items() if mark in words)
