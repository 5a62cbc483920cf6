"""What the data-centric paradigm keeps in memory: the ledger of its buffers, caches and sums."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from janus_sim.errors import InputError, Mistake
from janus_sim.policies import order
from janus_sim.workload.layer import MoELayer, RoutedLayer

if TYPE_CHECKING:
    from janus_sim.policies.data_centric import DataCentric


def on_gpu(
    policy: DataCentric, rank: int, machine: tuple[int, ...], layers: Sequence[RoutedLayer]
) -> Mapping[str, int]:
    """Return bytes on the GPU `rank` beyond weights and activations, by component.

    "gradients on their way" is room for those of all experts that `rank` pulled for its widest layer: the
    next layer's may be computed while they travel, an upper bound [R].

    Parameters
    ----------
    policy : DataCentric
    rank : int
    machine : tuple of int
        Ranks of its machine.
    layers : sequence of RoutedLayer
        One step's, forward.
    """
    if not layers:
        return {}
    needed = [(_needed(policy, layer, rank), layer) for layer in layers]
    landing = [(_landing(layer, rank, machine), layer) for layer in _once_each(layers)]
    parts = {"credits": order.room(policy.credits, layers) * max(layer.weight_bytes for layer in layers)}
    if policy.backward_from == "keep":
        parts["kept experts"] = _widest_micro_batch(needed)
    parts["gradients on their way"] = max(count * layer.gradient_bytes for count, layer in needed)
    if policy.hierarchical and policy.cache == "gpu":
        parts["expert cache"] = sum(count * layer.weight_bytes for count, layer in landing)
    if policy.hierarchical and policy.reduce == "nvlink":
        parts["gradient sums"] = max(count * layer.gradient_bytes for count, layer in landing)
    return parts


def on_host(
    policy: DataCentric, machine: tuple[int, ...], layers: Sequence[RoutedLayer]
) -> Mapping[str, int]:
    """Return bytes in the memory of the machine with those ranks, by component; parameters as of `on_gpu`."""
    if not policy.hierarchical or not layers:
        return {}
    outside = [(len(_external(layer, machine)), layer) for layer in _once_each(layers)]
    parts = {}
    if policy.cache == "host":
        parts["expert cache"] = sum(count * layer.weight_bytes for count, layer in outside)
    if policy.reduce == "host":
        parts["gradient sums"] = max(count * layer.gradient_bytes for count, layer in outside)
    return parts


def _once_each(layers: Iterable[RoutedLayer]) -> list[RoutedLayer]:
    """Return one of the visits to each layer: what is cached for the whole step is there once."""
    return list({layer.moe: layer for layer in layers}.values())


def _widest_micro_batch(needed: Iterable[tuple[int, RoutedLayer]]) -> int:
    """Return the bytes of the experts kept in one micro-batch, which its backward lets go of."""
    kept: dict[tuple[int, int], int] = {}
    for count, layer in needed:
        key = (layer.step, layer.micro_batch)
        kept[key] = kept.get(key, 0) + count * layer.weight_bytes
    return max(kept.values())


def _needed(policy: DataCentric, layer: RoutedLayer, rank: int) -> int:
    """Return how many experts come to `rank`: all others' with prefetch, else those that its gate chose."""
    others = layer.home != rank
    return int(
        np.count_nonzero(others if policy.prefetch else others & (layer.useful[layer.group.index(rank)] > 0))
    )


def _external(layer: MoELayer, machine: Sequence[int]) -> tuple[int, ...]:
    return tuple(np.flatnonzero(~np.isin(layer.home, machine)).tolist())


def _landing(layer: MoELayer, rank: int, machine: Sequence[int]) -> int:
    """Return how many external experts land on `rank`, or have their gradients summed there."""
    lands = order.holders(order.within(machine, layer.members), layer.places) == rank
    return int(np.count_nonzero(lands[list(_external(layer, machine))]))


def enough(**knobs: int) -> None:
    """Refuse knobs below 1, each by its name.

    Raises
    ------
    InputError
        With every mistake.
    """
    few = {knob: value for knob, value in knobs.items() if value < 1}
    if few:
        raise InputError(
            [
                Mistake(knob, f"{value} is wrong; write 1 or more, else nothing is ever pulled")
                for knob, value in few.items()
            ]
        )
