"""`janus-sim bench`: one collective alone, in nccl-tests' own columns."""

from __future__ import annotations

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


What = Annotated[Collective, typer.Argument(metavar="COLLECTIVE", help=f"{', '.join(Collective)}.")]
Where = Annotated[str, typer.Option("--topology", metavar="T", help="A preset or a file.")]
Least = Annotated[
    str | None,
    typer.Option(
        "-b", "--minbytes", metavar="SIZE", help="As 8, 1M, 4G (binary, as nccl-tests); default 1M."
    ),
]
Most = Annotated[
    str | None, typer.Option("-e", "--maxbytes", metavar="SIZE", help="The largest size; default 4G.")
]
Factor = Annotated[
    int | None, typer.Option("-f", "--stepfactor", min=2, help="From one size to the next; default 2.")
]
Type = Annotated[
    str | None,
    typer.Option("-d", "--datatype", metavar="TYPE", help="Of the elements: half, ...; default float."),
]
Algorithm = Annotated[
    str | None,
    typer.Option(
        "--algorithm",
        metavar="NAME",
        help="Of all_reduce: hierarchical, ring, tree, in_switch; of broadcast: ring, tree.",
    ),
]
Path_ = Annotated[Way | None, typer.Option("--path", help="How an All-to-All goes; default flat.")]
Against = Annotated[
    Path | None,
    typer.Option("--against", metavar="LOG", help="A log of nccl-tests to compare with, size by size."),
]


def bench(
    collective: What,
    topology: Where = "a100_4x8",
    minbytes: Least = None,
    maxbytes: Most = None,
    stepfactor: Factor = None,
    datatype: Type = None,
    algorithm: Algorithm = None,
    path: Path_ = None,
    against: Against = None,
) -> None:
    """Simulate one collective of all GPUs and print nccl-tests' columns (GB = 1e9, out of place)."""
    from janus_sim.bench import HEAD, KINDS, foot, line, measure, read_log

    _fitting(collective, algorithm, path, against, stepfactor, datatype)
    least, most = _bytes("-b", minbytes), _bytes("-e", maxbytes)
    cluster = _load(topology, collective, algorithm)
    log = read_log(against, collective.value, cluster.world) if against else None
    asked = _sizes(log, least, most, stepfactor or 2, datatype or "float")
    print(f"# {collective.value} among {cluster.world} GPUs, simulated on {cluster.name}\n#")
    print(HEAD + ("  measured   error" if log else ""))
    rows, errors = [], []
    for size, element in asked:
        row = measure(cluster, collective.value, size, element, (path or Way.flat).value)
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


def _sizes(
    log: Log | None, least: int | None, most: int | None, factor: int, element: str
) -> list[tuple[int, str]]:
    """Return the sizes to simulate, with the type of their elements: those of the log, if there is one."""
    from janus_sim.bench import sizes
    from janus_sim.errors import InputError, Mistake

    if log is None:
        low, high = least or 1 << 20, most or 1 << 32
        found = [(size, element) for size in sizes(low, high, factor)]
        hint = f"they run from {low} bytes up to {high}; write -b SIZE -e SIZE, the smaller first"
    else:
        types = {row.size: row.type for row in log.rows}
        every = log.sizes()
        found = [(size, types[size]) for size in every if (least or 0) <= size <= (most or every[-1])]
        hint = f"the log has {every[0]} to {every[-1]} bytes"
    if not found:
        raise InputError(Mistake("-b, -e", f"leave no size; {hint}"))
    return found


def _fitting(
    collective: Collective, algorithm: str | None, path: Way | None, against: Path | None,
    factor: int | None, element: str | None,
) -> None:  # fmt: skip
    """Refuse options that would say nothing here."""
    from janus_sim.errors import InputError, Mistake

    wrong = []
    if algorithm is not None and collective not in (Collective.all_reduce, Collective.broadcast):
        wrong.append(Mistake("--algorithm", f"{collective.value} has one algorithm; leave it out"))
    if path is not None and collective is not Collective.all_to_all:
        wrong.append(Mistake("--path", f"is how an All-to-All goes, not {collective.value}; leave it out"))
    told = {"-f": factor, "-d": element} if against is not None else {}
    wrong += [
        Mistake(option, "is what the log of --against says; leave it out")
        for option, value in told.items()
        if value is not None
    ]
    if wrong:
        raise InputError(wrong)
    if element is not None:
        _known("-d", element)


def _load(name: str, collective: Collective, algorithm: str | None) -> Topology:
    """Load the topology, with another algorithm for the collective if one is named."""
    from janus_sim.topology import Topology

    if algorithm is None:
        return Topology.load(name)
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
