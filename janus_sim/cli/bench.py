"""`janus-sim bench`: one collective alone, in nccl-tests' own columns."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

HEAD = (
    f"#{'':61}{'out-of-place':>12}\n"
    f"#{'size':>11}  {'count':>12}  {'type':>8}  {'redop':>6}  {'root':>6}"
    f"  {'time':>7}  {'algbw':>6}  {'busbw':>6}  #wrong\n"
    f"#{'(B)':>11}  {'(elements)':>12}  {'':>8}  {'':>6}  {'':>6}  {'(us)':>7}  {'(GB/s)':>6}  {'(GB/s)':>6}"
)


class Collective(StrEnum):
    """What can be measured."""

    all_to_all = "all_to_all"
    all_reduce = "all_reduce"
    sendrecv = "sendrecv"


What = Annotated[Collective, typer.Argument(help="Which collective.")]
Where = Annotated[str, typer.Option("--topology", metavar="T", help="A preset or a file.")]
Least = Annotated[
    str, typer.Option("-b", "--minbytes", metavar="SIZE", help="As 8, 1M, 4G (binary, as nccl-tests).")
]
Most = Annotated[str, typer.Option("-e", "--maxbytes", metavar="SIZE", help="The largest size.")]
Factor = Annotated[int, typer.Option("-f", "--stepfactor", min=2, help="From one size to the next.")]
Against = Annotated[
    Path | None, typer.Option("--against", metavar="LOG", help="A log of nccl-tests to compare with.")
]


def bench(
    collective: What,
    topology: Where = "a100_4x8",
    minbytes: Least = "1M",
    maxbytes: Most = "4G",
    stepfactor: Factor = 2,
    against: Against = None,
) -> None:
    """Simulate one collective of all GPUs and print nccl-tests' columns (GB = 1e9)."""
    from janus_sim.bench import error, measure, read_log, sizes
    from janus_sim.topology import Topology

    least, most = _bytes("-b", minbytes), _bytes("-e", maxbytes)
    measured = read_log(against) if against else None
    cluster = Topology.load(topology)
    print(f"# {collective.value}, {len(cluster.gpus)} GPUs, simulated on {cluster.name}")
    print(HEAD + ("   error" if measured else ""))
    reduces = "sum" if collective is Collective.all_reduce else "none"
    for size in [row.size for row in measured] if measured else sizes(least, most, stepfactor):
        row = measure(cluster, collective.value, size)
        line = f"{row.size:>12}  {row.count:>12}  {'float':>8}  {reduces:>6}  {-1:>6}  {row.time * 1e6:>7.5g}"
        line += f"  {row.algorithm / 1e9:>6.2f}  {row.bus / 1e9:>6.2f}  {0:>6}"
        off = error(row, measured) if measured else None
        print(line + (f"  {off:+6.1%}" if off is not None else ""))


def _bytes(option: str, text: str) -> int:
    """Read a size as nccl-tests does: a whole number and K, M or G for powers of 1,024."""
    from janus_sim.errors import InputError, Mistake

    powers = {"K": 1, "M": 2, "G": 3}
    number, power = (text[:-1], powers[text[-1].upper()]) if text[-1:].upper() in powers else (text, 0)
    if not number.isascii() or not number.isdigit() or not 0 < int(number) * 1024**power <= 1 << 40:
        raise InputError(Mistake(option, f'"{text}" is no size; write as 8, 64K, 1M or 4G'))
    size: int = int(number) * 1024**power
    return size
