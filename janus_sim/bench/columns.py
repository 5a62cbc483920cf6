"""The columns of nccl-tests, at the places where it prints them (its out-of-place half).

Source of the layout: NVIDIA/nccl-tests, `src/util.cu`. What a simulation cannot have, the number of wrong
elements, stands as N/A, as it does there without a check of the data.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from janus_sim.bench.measuring import Kind, Row

_NAMES: Final = "# {:>10}  {:>12}  {:>8}  {:>6}  {:>6}  {:>7}  {:>6}  {:>6}  {:>6}"
#: Above the columns.
HEAD: Final = "\n".join(
    (
        "# {:>10}  {:>12}  {:>8}  {:>6}  {:>6}           out-of-place          ".format(*[""] * 5).rstrip(),
        _NAMES.format("size", "count", "type", "redop", "root", "time", "algbw", "busbw", "#wrong"),
        _NAMES.format("(B)", "(elements)", "", "", "", "(us)", "(GB/s)", "(GB/s)", "").rstrip(),
    )
)


def number(value: float, width: int) -> str:
    """Write a number with as many decimals, two at most, as fit into `width` characters.

    Examples
    --------
    >>> [number(value, 7) for value in (0.5, 1234.567, 12345.67, 123456.7, 12345678.9)]
    ['   0.50', '1234.57', '12345.7', ' 123457', '1.2e+07']
    """
    digits = len(str(int(value))) if value >= 1 else 0
    if digits > width:
        return f"{value:{width}.1e}" if width >= 7 else f"{value:{width}.0e}"
    return f"{value:{width}.{2 if digits < width - 2 else 1 if digits < width - 1 else 0}f}"


def line(row: Row, kind: Kind) -> str:
    """Return the line of one size.

    Examples
    --------
    >>> from janus_sim.bench.measuring import KINDS
    >>> row = Row(1 << 20, 1 << 18, "float", 93.25e-6, 11.24e9, 21.08e9)
    >>> line(row, KINDS["all_reduce"])
    '     1048576        262144     float     sum      -1    93.25   11.24   21.08     N/A'
    """
    head = f"{row.size:>12}  {row.count:>12}  {row.type:>8}  {kind.redop:>6}  {kind.root:>6}"
    rates = "  ".join(number(rate / 1e9, 6) for rate in (row.algorithm, row.bus))
    return f"{head}  {number(row.time * 1e6, 7)}  {rates}     N/A"


def foot(rows: Sequence[Row]) -> str:
    """Return what stands below: the mean of all bus bandwidths.

    Examples
    --------
    >>> foot([Row(4, 1, "float", 1.0, 1e9, 2e9), Row(8, 2, "float", 1.0, 1e9, 4e9)])
    '# Avg bus bandwidth    : 3'
    """
    mean = sum(row.bus for row in rows) / len(rows) / 1e9 if rows else 0.0
    return f"# {'Avg bus bandwidth':<20} : {mean:g}"
