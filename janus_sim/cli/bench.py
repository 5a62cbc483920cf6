"""`janus-sim bench`: one collective alone, in nccl-tests' own columns."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from janus_sim.bench import Log
    from janus_sim.topology import Topology


class Collective(StrEnum):
    """What can be measured."""

    all_to_all = "all_to_all"
    all_reduce = "all_reduce"
    all_gather = "all_gather"
    reduce_scatter = "reduce_scatter"
    broadcast = "broadcast"
    sendrecv = "sendrecv"


class Way(StrEnum):
    """How an All-to-All goes."""

    flat = "flat"
    leader = "1dh"
    aligned = "2dh"
    pairwise = "pairwise"


What = Annotated[Collective, typer.Argument(help="Which collective.")]
Where = Annotated[str, typer.Option("--topology", metavar="T", help="A preset or a file.")]
Least = Annotated[
    str | None,
    typer.Option(
        "-b", "--minbytes", metavar="SIZE", help="As 8, 1M, 4G (binary, as nccl-tests).  [default: 1M]"
    ),
]
Most = Annotated[
    str | None, typer.Option("-e", "--maxbytes", metavar="SIZE", help="The largest size.  [default: 4G]")
]
Factor = Annotated[int, typer.Option("-f", "--stepfactor", min=2, help="From one size to the next.")]
Type = Annotated[
    str, typer.Option("-d", "--datatype", metavar="TYPE", help="Of the elements: half, float, ...")
]
Algorithm = Annotated[
    str | None,
    typer.Option(
        "--algorithm",
        metavar="NAME",
        help="Of all_reduce: hierarchical, ring, tree, in_switch; of broadcast: ring, tree.",
    ),
]
Path_ = Annotated[Way, typer.Option("--path", help="How an All-to-All goes.")]
Against = Annotated[
    Path | None,
    typer.Option("--against", metavar="LOG", help="A log of nccl-tests to compare with, size by size."),
]


def bench(
    collective: What,
    topology: Where = "a100_4x8",
    minbytes: Least = None,
    maxbytes: Most = None,
    stepfactor: Factor = 2,
    datatype: Type = "float",
    algorithm: Algorithm = None,
    path: Path_ = Way.flat,
    against: Against = None,
) -> None:
    """Simulate one collective of all GPUs and print nccl-tests' columns (GB = 1e9, out of place)."""
    from janus_sim.bench import HEAD, KINDS, foot, line, measure, read_log

    least, most = _bytes("-b", minbytes), _bytes("-e", maxbytes)
    _known("-d", datatype)
    cluster = _load(topology, collective, algorithm)
    log = read_log(against, collective.value, cluster.world) if against else None
    print(f"# {collective.value} among {cluster.world} GPUs, simulated on {cluster.name}\n#")
    print(HEAD + ("  measured   error" if log else ""))
    rows, errors = [], []
    for size, element in _sizes(log, least, most, stepfactor, datatype):
        row = measure(cluster, collective.value, size, element, path.value)
        rows.append(row)
        measured = log.time(size) if log else None
        beside = ""
        if measured:
            errors.append(row.time / measured - 1.0)
            beside = f"  {measured * 1e6:8.2f}  {errors[-1]:+6.1%}"
        print(line(row, KINDS[collective.value]) + beside, flush=True)
    print(foot(rows))
    if errors:
        mean = sum(map(abs, errors)) / len(errors)
        worst = max(errors, key=abs)
        print(f"# {'Error of the time':<20} : {mean:.1%} on average, {worst:+.1%} at worst")
    if log and not rows:
        print("no size of the log lies between -b and -e", file=sys.stderr)


def _sizes(
    log: Log | None, least: int | None, most: int | None, factor: int, element: str
) -> list[tuple[int, str]]:
    """Return the sizes to simulate, with the type of their elements: those of the log, if there is one."""
    from janus_sim.bench import sizes

    if log is None:
        return [(size, element) for size in sizes(least or 1 << 20, most or 1 << 32, factor)]
    types = {row.size: row.type for row in log.rows}
    return [(size, types[size]) for size in log.sizes() if (least or 0) <= size <= (most or log.sizes()[-1])]


def _load(name: str, collective: Collective, algorithm: str | None) -> Topology:
    """Load the topology, with another algorithm for the collective if one is named."""
    from janus_sim.errors import InputError, Mistake
    from janus_sim.topology import Topology

    if algorithm is None:
        return Topology.load(name)
    if collective not in (Collective.all_reduce, Collective.broadcast):
        raise InputError(Mistake("--algorithm", f"{collective.value} has one algorithm; leave it out"))
    chosen = {"communication": {"algorithms": {collective.value: algorithm}}}
    return Topology.load({"base": name, **chosen})


def _known(option: str, element: str) -> None:
    from janus_sim.bench import TYPES
    from janus_sim.errors import InputError, Mistake

    if element not in TYPES:
        raise InputError(
            Mistake(option, f'"{element}" is no type of nccl-tests; write one of {", ".join(TYPES)}')
        )


def _bytes(option: str, text: str | None) -> int | None:
    """Read a size as nccl-tests does: a whole number and K, M or G for powers of 1,024."""
    from janus_sim.errors import InputError, Mistake

    if text is None:
        return None
    powers = {"K": 1, "M": 2, "G": 3}
    number, power = (text[:-1], powers[text[-1].upper()]) if text[-1:].upper() in powers else (text, 0)
    if not number.isascii() or not number.isdigit() or len(number) > 15:
        size = 0
    else:
        size = int(number) * 1024**power
    if not 0 < size <= 1 << 40:
        raise InputError(Mistake(option, f'"{text}" is no size; write as 8, 64K, 1M or 4G'))
    return size
