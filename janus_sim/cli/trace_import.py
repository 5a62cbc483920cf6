"""`janus-sim trace import`: files of any known format, brought into the neutral form."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from janus_sim.traces import Block, TraceInfo

EVERY = 1.0  #: seconds between two lines of progress

Files = Annotated[list[Path], typer.Argument(metavar="FILE|DIR...", help="What was recorded.")]
Out = Annotated[Path, typer.Option("--out", "-o", metavar="PARQUET", help="Where the trace goes.")]
Which = Annotated[str | None, typer.Option("--format", help="Instead of the one that is detected.")]
Model = Annotated[str, typer.Option("--model", help="Whose routing it is.")]
Origin = Annotated[str, typer.Option("--origin", help="Who recorded it, and how.")]
Licence = Annotated[str, typer.Option("--licence", help="SPDX identifier, or words.")]
TopK = Annotated[
    int, typer.Option("--top-k", min=0, help="Experts a token chooses, where files do not tell.")
]
Experts = Annotated[
    int, typer.Option("--experts", min=0, help="Experts of a layer, where the files hold choices alone.")
]
Tokens = Annotated[
    int, typer.Option("--tokens", min=0, help="Of a rank and micro-batch, to cut a stream of tokens by.")
]
Ranks = Annotated[int, typer.Option("--ranks", min=0, help="Source ranks, to cut a stream of tokens by.")]
Batches = Annotated[int, typer.Option("--micro-batches", min=0, help="At most so many of such a stream.")]
Select = Annotated[
    list[str] | None, typer.Option("--select", metavar="COLUMN=VALUE", help="Which trace of a table.")
]


def bring(
    files: Files, out: Out, which: Which = None, model: Model = "", origin: Origin = "",
    licence: Licence = "", top_k: TopK = 0, experts: Experts = 0, tokens: Tokens = 0, ranks: Ranks = 0,
    micro_batches: Batches = 0, select: Select = None,
) -> None:  # fmt: skip
    """Bring recorded routing into the neutral form; the format is detected, --format overrides it."""
    from janus_sim.traces import write_trace
    from janus_sim.traces.formats import Asked, opened

    asked = Asked(top_k, experts, tokens, ranks, micro_batches, _pairs(select or []))
    found = opened(files, which, asked)
    told = found.info
    info = replace(
        told, model=model or told.model, origin=origin or told.origin, licence=licence or told.licence
    )
    print(f"format {found.name}", file=sys.stderr)
    written = write_trace(out, info, _watched(found.read.blocks))
    print(_summary(written, out))


def _pairs(words: Sequence[str]) -> dict[str, str]:
    from janus_sim.errors import InputError, Mistake

    for word in words:
        if "=" not in word:
            raise InputError(Mistake("--select", f'"{word}" is no choice; write COLUMN=VALUE'))
    return {name: value for name, _, value in (word.partition("=") for word in words)}


def _summary(info: TraceInfo, out: Path) -> str:
    shape = f"{len(info.steps)} steps x {info.micro_batches} micro-batches x {info.layers} layers"
    extra = ", with the tokens' choices" if info.has_choices else ""
    return f"{out}: {shape} x {info.ranks} ranks{extra}"


def _watched(blocks: Iterable[Block]) -> Iterator[Block]:
    """Tell on standard error how many records (one layer of one rank) have passed, and how many a second."""
    begin = last = time.perf_counter()
    records = 0
    for block in blocks:
        records += len(block.counts)
        yield block
        now = time.perf_counter()
        if now - last >= EVERY:
            last = now
            _tell(records, now - begin, block.step)
    _tell(records, time.perf_counter() - begin, None)


def _tell(records: int, seconds: float, step: int | None) -> None:
    rate = f"{records:,} records in {seconds:.1f} s ({records / max(seconds, 1e-9):,.0f}/s)"
    print(rate if step is None else f"{rate}, step {step}", file=sys.stderr, flush=True)
