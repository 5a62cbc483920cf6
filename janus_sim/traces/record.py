"""Records the routing of a PyTorch model while it trains or generates."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt

from janus_sim.errors import InputError, Mistake
from janus_sim.traces.form import NO_CHOICE, Block, TraceInfo, counts_of
from janus_sim.traces.routers import Reader, readers
from janus_sim.traces.store import write_trace

if TYPE_CHECKING:
    from torch import Tensor, nn

Table = npt.NDArray[np.int32]


class Recorder:
    """A context in which every pass through the routers of a model is recorded, and written at its end.

    A pass is one call of each router. It is recorded while the model trains (`info.phase` "training") or is
    in evaluation mode ("inference"); what is computed anew in the backward is not counted again. Where
    `torch.distributed` runs, each process adds its ranks to every pass, and the first one writes.

    Parameters
    ----------
    model : torch.nn.Module
    path : path
        Written when the context ends, also by an error: all steps that were complete.
    info : TraceInfo, optional
        What is told of the trace; top_k and the shape are filled in.
    routers : str or sequence of str, optional
        Paths of the routers: see `find_routers`.
    ranks : int
        Into how many ranks the tokens of a pass are cut, one after another, as data parallelism would.
    micro_batches : int
        Passes of a step.
    tokens : int, optional
        Of a rank in a micro-batch: passes are gathered until there are as many, as in generation, where each
        pass brings one token a sequence. By default each pass is one, filled up to the first.
    choices : bool
        Whether to write the choices of each token, and not their counts alone.

    Attributes
    ----------
    step : int
        Number of the step that the next pass belongs to; goes up by itself, and can be set, ever upward.
    """

    def __init__(
        self,
        model: nn.Module,
        path: str | Path,
        info: TraceInfo | None = None,
        *,
        routers: str | Sequence[str] | None = None,
        ranks: int = 1,
        micro_batches: int = 1,
        tokens: int | None = None,
        choices: bool = True,
    ) -> None:
        self.model, self.path = model, Path(path)
        self.info = info or TraceInfo(model=type(model).__name__, top_k=0)
        self.ranks, self.micro_batches, self.tokens = ranks, micro_batches, tokens
        self.gathers, self.choices = tokens is not None, choices
        self.step = 0
        self._readers = readers(model, routers)
        self._pass: dict[int, Tensor] = {}
        self._waiting: list[Table] = []  # (layers' ranks, tokens, top_k) that do not make a micro-batch yet
        self._spool: IO[bytes] | None = None
        self._written: list[int] = []  # the step of each micro-batch in the spool
        self._hooks: list[Any] = []
        self._off = False

    def __enter__(self) -> Self:
        self._spool = tempfile.TemporaryFile()
        for layer, reader in enumerate(self._readers):
            self._hooks.append(reader.router.register_forward_hook(self._hook(layer, reader)))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for hook in self._hooks:
            hook.remove()
        try:
            if _process() == 0 and (self._complete() or kind is None):
                self._write()
        finally:
            if self._spool:
                self._spool.close()

    @contextmanager
    def off(self, yes: bool = True) -> Iterator[None]:
        """Record nothing in this context: an evaluation, or all steps but each tenth."""
        before, self._off = self._off, yes or self._off
        try:
            yield
        finally:
            self._off = before

    def _hook(self, layer: int, reader: Reader) -> Any:  # noqa: ANN401
        def hook(module: nn.Module, _given: object, output: object) -> None:
            """Keep what a router chose; the last router ends the pass."""
            if self._off or module.training != (self.info.phase == "training") or _in_backward():
                return
            if layer == 0:
                self._pass.clear()
            if layer in self._pass or (layer and layer - 1 not in self._pass):
                raise InputError(
                    Mistake(reader.name, "is not called once a pass, in order; name the routers that are")
                )
            self._pass[layer] = reader.choices(output)
            if layer == len(self._readers) - 1:
                self._end_of_pass()

        return hook

    def _end_of_pass(self) -> None:
        """Cut the choices of all layers into ranks, and keep the micro-batches that are full."""
        parts = [self._cut(layer, table) for layer, table in sorted(self._pass.items())]
        self._pass.clear()
        table = _everywhere(_stacked(parts))
        self._waiting.append(table)
        self.tokens = self.tokens or table.shape[2]
        if not self.gathers and table.shape[2] > self.tokens:
            found = f"a pass has {table.shape[2]} tokens a rank, the first had {self.tokens}"
            raise InputError(Mistake("tokens", f"{found}; write tokens: how many make a micro-batch"))
        if sum(one.shape[2] for one in self._waiting) < self.tokens and self.gathers:
            return
        joined = np.concatenate(self._waiting, axis=2)
        while joined.shape[2] >= (self.tokens if self.gathers else 1):
            self._keep(joined[:, :, : self.tokens])
            joined = joined[:, :, self.tokens :]
        self._waiting = [joined] if joined.shape[2] else []

    def _cut(self, layer: int, table: Tensor) -> Tensor:
        if len(table) % self.ranks:
            found = f"{len(table)} tokens of a pass cannot be cut into {self.ranks} equal ranks"
            raise InputError(Mistake(self._readers[layer].name, f"{found}; write ranks: a divisor of them"))
        return table.reshape(self.ranks, -1, table.shape[-1])

    def _keep(self, table: Table) -> None:
        """Put one micro-batch (layers, ranks, tokens, top_k) into the spool, filled up with padding."""
        short = self.tokens - table.shape[2] if self.tokens else 0
        full = np.pad(table, ((0, 0), (0, 0), (0, short), (0, 0)), constant_values=NO_CHOICE)
        if self._spool and _process() == 0:
            np.save(self._spool, full, allow_pickle=False)
        self._written.append(self.step)
        if len(self._written) % self.micro_batches == 0:
            self.step += 1

    def _complete(self) -> int:
        return len(self._written) // self.micro_batches

    def _write(self) -> None:
        """Write what is in the spool; a step that lacks micro-batches is left out."""
        info = replace(self.info, top_k=self._readers[0].top_k)
        last = len(self._written) - self._complete() * self.micro_batches
        if last:
            info = info.noted(
                f"the last step had {last} of {self.micro_batches} micro-batches and is left out"
            )
        write_trace(self.path, info, self._blocks())

    def _blocks(self) -> Iterator[Block]:
        if self._spool is None:
            return
        self._spool.seek(0)
        for number in range(self._complete() * self.micro_batches):
            step = self._written[number - number % self.micro_batches]
            for layer, table in enumerate(np.load(self._spool, allow_pickle=False)):
                counts = counts_of(table, self._readers[layer].experts)
                yield Block(step, number % self.micro_batches, layer, counts, table if self.choices else None)


def _stacked(parts: Sequence[Tensor]) -> Tensor:
    """Return (layers, ranks, tokens, top_k) of the layers' choices."""
    import torch

    shapes = {tuple(one.shape) for one in parts}
    if len(shapes) > 1:
        found = " and ".join(map(str, sorted(shapes)))
        raise InputError(
            Mistake("routers", f"choose for (ranks, tokens, top_k) {found}; name those that are alike")
        )
    return torch.stack(list(parts)).to(torch.int32)


def _everywhere(table: Tensor) -> Table:
    """Return the choices of all processes, rank after rank; this one's alone where it is the only one."""
    import torch

    if _processes() > 1:
        parts = [torch.empty_like(table) for _ in range(_processes())]
        torch.distributed.all_gather(parts, table.contiguous())
        table = torch.cat(parts, dim=1)
    result: Table = table.cpu().numpy()
    return result


def _processes() -> int:
    distributed = sys.modules["torch"].distributed
    return (
        int(distributed.get_world_size())
        if distributed.is_available() and distributed.is_initialized()
        else 1
    )


def _process() -> int:
    return int(sys.modules["torch"].distributed.get_rank()) if _processes() > 1 else 0


def _in_backward() -> bool:
    """Whether the forward is computed anew, in a backward (activation checkpointing)."""
    return bool(sys.modules["torch"]._C._current_graph_task_id() != -1)


#: `with record(model, "mine.parquet"):` reads as what it does.
record = Recorder
