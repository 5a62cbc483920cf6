"""Learns from a trace how its load is shared out and moves, and makes more of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from janus_sim.errors import InputError, Mistake
from janus_sim.traces.counts import Ints, filled_up
from janus_sim.traces.form import Block, TraceInfo
from janus_sim.traces.recorded import Recorded
from janus_sim.traces.store import write_trace

Floats = npt.NDArray[np.float64]

FLOOR = 1e-5  #: the share of an expert that nobody chose, so that it has a logarithm
NEAR = 0.05  #: of the trace: how far around a moment its course is a mean, and its chances are drawn from
RUN = 8  #: moments that the sources' part is taken from the trace at a stretch


@dataclass(frozen=True, eq=False)
class Learned:
    """What a trace teaches; `blocks` makes more of it.

    The shares of a layer's experts over all ranks are taken as logarithms:

    - the *course* is their mean around each moment (`NEAR` of the trace before and after): the *popularity
      curve*, and how it changes in the training. It comes again from its beginning to its end, stretched to
      the steps asked for, so that a start-up comes back as a start-up, in all layers together;
    - the *drift* of what is left, z, is an autoregression of first order, z' = r z + u, r by least squares
      over all experts of a layer, and u is drawn from the moments seen nearby, all layers and experts of one
      together: that, with the course, keeps the *correlation between layers*;
    - what a rank's shares are over those of all ranks, as a ratio, is taken from the trace a stretch of `RUN`
      moments at a time from nearby, all ranks and layers together: the *correlation between ranks*.

    Time goes over micro-batches and steps. Assumed: one drift for all experts of a layer, always the same.

    Parameters
    ----------
    info : TraceInfo
        Of the trace.
    course : tuple of (moments, experts) float64, one for each layer
        Logarithm of the popularity.
    drift : tuple of float
        r of each layer, -1 to 1.
    moved : tuple of (moments, experts) float64
        z of each layer.
    ratio : tuple of (moments, ranks, experts) float64
        Shares of each rank over those of all.
    """

    info: TraceInfo
    course: tuple[Floats, ...]
    drift: tuple[float, ...]
    moved: tuple[Floats, ...]
    ratio: tuple[Floats, ...]

    @classmethod
    def of(cls, trace: Recorded) -> Learned:
        """Learn from a trace, which is read once.

        Raises
        ------
        InputError
            If it has fewer than 3 moments, of which nothing about time can be learnt.
        """
        if trace.steps * trace.micro_batches < 3:
            found = (
                f"{trace.steps} steps of {trace.micro_batches} micro-batches; at least 3 moments are needed"
            )
            raise InputError(Mistake("steps", found))
        layers = [_layer(trace, moe) for moe in range(len(trace.experts))]
        course, moved, ratio = zip(*layers, strict=True)
        return cls(trace.info, course, tuple(map(_drift, moved)), moved, ratio)

    @cached_property
    def _fresh(self) -> tuple[Floats, ...]:
        """The changes u that drift does not explain, (moments - 1, experts) of each layer."""
        return tuple(z[1:] - r * z[:-1] for z, r in zip(self.moved, self.drift, strict=True))

    def told(self, steps: int, ranks: int, tokens: int, seed: int) -> TraceInfo:
        """Return what is told of the trace that `blocks` makes."""
        note = f"synthesized from {len(self.info.steps)} steps and {self.info.ranks} ranks, seed {seed}"
        made = replace(
            self.info,
            tokens=tokens,
            ranks=ranks,
            steps=tuple(range(steps)),
            has_choices=False,
            rows=(0, 0),
            largest=0,
        )
        return made.noted(note)

    def blocks(self, steps: int, ranks: int, rows: int, limit: int, seed: int) -> Iterator[Block]:
        """Make a trace of counts, moment by moment.

        Parameters
        ----------
        steps : int
            As many micro-batches each as the trace has.
        ranks : int
            Each takes the part of a recorded one; of more, they come again.
        rows : int
            (token, expert) pairs of a rank in a micro-batch.
        limit : int
            Most rows of a rank for one expert: its tokens.
        seed : int
        """
        rng = np.random.default_rng(seed)
        batches, many = self.info.micro_batches, len(self.moved[0])
        every, wide = steps * batches, _wide(many)

        def near(centre: int, end: int) -> int:
            """Draw a moment around another one."""
            return int(np.clip(centre + rng.integers(-wide, wide + 1), 0, end - 1))

        first = near(0, many)
        z = [one[first] for one in self.moved]
        moment, source = 0, np.arange(ranks) % self.info.ranks
        for place in range(every):
            now = place * many // every
            moment = near(now, many) if place % RUN == 0 else min(moment + 1, many - 1)
            fresh = near(now, many - 1)
            for layer in range(len(z)):
                z[layer] = self.drift[layer] * z[layer] + self._fresh[layer][fresh]
                popularity = np.exp(self.course[layer][now] + z[layer])
                shares = popularity * self.ratio[layer][moment][source]
                yield Block(place // batches, place % batches, layer, whole(shares, rows, limit))


def synthesized(
    trace: Recorded, path: str | Path, *, steps: int = 0, ranks: int = 0, tokens: int = 0, seed: int = 0
) -> TraceInfo:
    """Learn from a trace and write one like it; 0 stands for as many as the trace has.

    Raises
    ------
    InputError
        If the trace is too short, or does not tell the top_k that other tokens need.
    """
    told = trace.info
    if tokens and not told.top_k:
        raise InputError(Mistake("tokens", "the trace does not tell its top_k; leave tokens out"))
    tokens = tokens or told.most_tokens
    rows = tokens * told.top_k if tokens and told.top_k else told.rows[1]
    learned = Learned.of(trace)
    size = (steps or trace.steps, ranks or trace.ranks)
    return write_trace(
        path, learned.told(*size, tokens, seed), learned.blocks(*size, rows, tokens or rows, seed)
    )


def whole(weights: Floats, rows: int, limit: int) -> Ints:
    """Return whole counts in proportion to weights, largest remainders first, none above `limit`.

    Parameters
    ----------
    weights : (ranks, experts) float64
    rows : int
        That each rank's counts add up to; at most experts x limit.

    Examples
    --------
    >>> whole(np.array([[9.0, 1.0, 1.0, 1.0]]), rows=8, limit=4).tolist()
    [[4, 2, 1, 1]]
    """
    shares = weights / weights.sum(axis=1, keepdims=True) * rows
    full = np.zeros(shares.shape, dtype=bool)
    while (over := (shares > limit) & ~full).any():
        full |= over
        free = np.where(full, 0.0, np.maximum(shares, 1e-12))
        room = rows - limit * full.sum(axis=1, keepdims=True)
        shares = np.where(full, limit, free * room / np.maximum(free.sum(axis=1, keepdims=True), 1e-300))
    counts = np.floor(shares).astype(np.int64)
    order = np.argsort(counts - shares + 2.0 * (counts >= limit), axis=1, kind="stable")
    return filled_up(counts, order, rows)


def _layer(trace: Recorded, moe: int) -> tuple[Floats, Floats, Floats]:
    """Return the course of the logarithms, what moves around it, and the ratios of the ranks."""
    places = [(step, batch) for step in range(trace.steps) for batch in range(trace.micro_batches)]
    counts = np.array([trace.at(step, batch, moe) for step, batch in places], dtype=np.float64)
    every = _shares(counts.sum(axis=1))
    logs = np.log(np.maximum(every, FLOOR))
    logs -= logs.mean(axis=1, keepdims=True)
    course = _course(logs)
    ratio = np.divide(_shares(counts), every[:, None], out=np.ones_like(counts), where=every[:, None] > 0)
    return course, logs - course, ratio


def _wide(moments: int) -> int:
    return max(1, round(NEAR * moments))


def _course(logs: Floats) -> Floats:
    """Return the mean around each moment; at both ends, of those that there are."""
    many = len(logs)
    sums = np.concatenate([np.zeros((1, logs.shape[1])), np.cumsum(logs, axis=0)])
    begin = np.maximum(0, np.arange(many) - _wide(many))
    end = np.minimum(many, np.arange(many) + _wide(many) + 1)
    result: Floats = (sums[end] - sums[begin]) / (end - begin)[:, None]
    return result


def _shares(counts: Floats) -> Floats:
    """Return counts over their sum along the last axis; equal shares where there is none."""
    sums = counts.sum(axis=-1, keepdims=True)
    result: Floats = np.divide(counts, sums, out=np.full_like(counts, 1 / counts.shape[-1]), where=sums > 0)
    return result


def _drift(moved: Floats) -> float:
    """Return r of z' = r z + u by least squares, -1 to 1."""
    past = float((moved[:-1] ** 2).sum())
    return float(np.clip((moved[1:] * moved[:-1]).sum() / past, -1.0, 1.0)) if past > 0 else 0.0
