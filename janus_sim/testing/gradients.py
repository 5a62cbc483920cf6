"""Where experts travel: they are there before they are used, and each gradient comes home once."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable

import numpy as np

from janus_sim.engine.fabric import Device
from janus_sim.testing.gathered import gathered, summed_and_scattered
from janus_sim.testing.rehearsal import Rehearsal, Sent
from janus_sim.workload.kernel import total_flops
from janus_sim.workload.layer import RoutedLayer

Key = tuple[int, int, int, int, int]  # step, micro-batch, layer, first rank of the group, expert
Done = dict[int, tuple[float, float]]  # by rank: useful FLOPs of a weight gradient, and when they were over

_KERNEL = re.compile(r"expert (\d+)\b")
_WEIGHTS = re.compile(r"expert (\d+) weights$")
_FETCH = re.compile(r"\bexpert (\d+)\b")
_GRADIENT = re.compile(r"gradient (\d+)\b")


def every_gradient_home_once(run: Rehearsal) -> None:
    """The weight gradient of each kept row is computed once, and sums of all come home once a micro-batch.

    Every device that computed a part for an expert that lives elsewhere, or was sent one, sends its sum on,
    once, after it had all parts. So no way can lead in a circle, and the only place where it ends is home.
    Replicas add theirs up once a step. A reduce-scatter of all counts as well (`summed_and_scattered`).
    """
    done, sent, scattered = _computed(run), _carried(run), summed_and_scattered(run)
    for visit in run.visits("backward"):
        for expert in range(visit.experts):
            key = (visit.step, visit.micro_batch, visit.layer, visit.group[0], expert)
            name = f"{run.name}: gradient of expert {expert}, visit {visit.key}"
            _all_computed(visit, expert, done[key], name)
            if visit.key not in scattered:
                _home_once(run, visit, expert, done[key], sent[key], name)
    _replicas_add_up(run)


def _computed(run: Rehearsal) -> dict[Key, Done]:
    """Return where the weight gradients of each expert were computed."""
    spans, layout = run.spans, run.workload.layout
    found: dict[Key, Done] = defaultdict(dict)
    for index in np.flatnonzero(spans["kind"] == "compute").tolist():
        if match := _WEIGHTS.match(spans["label"][index]):
            rank = int(spans["rank"][index])
            place = tuple(int(spans[name][index]) for name in ("step", "micro_batch", "layer"))
            part = found[*place, layout.groups[layout.group_of(rank)][0], int(match[1])]  # type: ignore[index]
            flops, end = part.get(rank, (0.0, 0.0))
            part[rank] = flops + spans["flops"][index], max(end, spans["end"][index])
    return found


def _carried(run: Rehearsal) -> dict[Key, list[Sent]]:
    """Return the transfers that carried the gradient of each expert; a GPU at either end tells the group."""
    layout, found = run.workload.layout, defaultdict(list)
    for sent in run.sent:
        if match := _GRADIENT.match(sent.label):
            rank = next(end for end in (sent.source, sent.target) if isinstance(end, int))
            place, group = sent.place, layout.groups[layout.group_of(rank)]
            found[place.step, place.micro_batch, place.layer, group[0], int(match[1])].append(sent)
    return found


def _all_computed(visit: RoutedLayer, expert: int, done: Done, name: str) -> None:
    rows = visit.kept(expert)
    wanted = float(total_flops(visit.weight_gradient(expert, rows))) if rows else 0.0
    found = sum(flops for flops, _ in done.values())
    assert abs(found - wanted) <= 1e-9 * wanted, (
        f'{name}: kernels called "expert {expert} weights" did {found:.6g} useful FLOPs, not {wanted:.6g}'
    )


def _home_once(
    run: Rehearsal, visit: RoutedLayer, expert: int, done: Done, sent: Iterable[Sent], name: str
) -> None:
    home, size = visit.home_of(expert), visit.gradient_bytes
    bytes_out: Counter[Device] = Counter()
    had: dict[Device, float] = {rank: end for rank, (_, end) in done.items()}
    for one in sent:
        bytes_out[one.source] += one.size
        had[one.target] = max(had.get(one.target, 0.0), one.end(run.cluster))
    for device in {**had, **bytes_out}:
        wanted = 0 if device == home or device not in had else size
        assert bytes_out[device] == wanted, f"{name}: {device} sent {bytes_out[device]} bytes, not {wanted}"
    for one in sent:
        assert one.begin >= had[one.source], f"{name}: {one.source} sent it before it had all parts"


def _replicas_add_up(run: Rehearsal) -> None:
    """Experts that live in several groups have their gradients summed over these once a step."""
    spans, layout = run.spans, run.workload.layout
    if len(layout.groups) > 1:
        mine = (spans["kind"] == "all_reduce") & (spans["label"] == "expert gradients")
        rows = zip(*(spans[name][mine].tolist() for name in ("step", "layer", "rank")), strict=True)
        found, steps = Counter(rows), range(len(run.steps))
        wanted = [
            (step, layer, rank)
            for step in steps
            for layer in run.workload.moe_layers
            for rank in range(layout.world)
        ]
        for key in wanted:
            assert found[key] == 1, (
                f"{run.name}: gradients of experts summed {found[key]} times at (step, layer, rank) {key}"
            )


def no_expert_runs_before_it_came(run: Rehearsal) -> None:
    """An expert runs on another GPU than its home only after its weights came there."""
    spans, layout = run.spans, run.workload.layout
    came: dict[tuple[int, int, int, Device], float] = {}
    for whole, end in gathered(run):
        came[whole] = min(came.get(whole, np.inf), end)
    for sent in run.sent:
        if match := _FETCH.search(sent.label):
            key = (sent.place.step, sent.place.layer, int(match[1]), sent.target)
            came[key] = min(came.get(key, np.inf), sent.end(run.cluster))
    homes = {(visit.step, visit.layer, visit.group[0]): visit for visit in run.visits("forward")}
    for index in np.flatnonzero((spans["kind"] == "compute") & (spans["layer"] >= 0)).tolist():
        match = _KERNEL.match(spans["label"][index])
        if match:
            step, layer, rank = (int(spans[name][index]) for name in ("step", "layer", "rank"))
            visit = homes[step, layer, layout.groups[layout.group_of(rank)][0]]
            key = (step, layer, int(match[1]), rank)
            here = visit.home_of(key[2]) == rank or came.get(key, np.inf) <= spans["begin"][index]
            assert here, (
                f"{run.name}: expert {key[2]} of layer {layer} ran on rank {rank} before it came there"
            )
