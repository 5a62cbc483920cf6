"""The figures of one run, as one flat row; each column is defined in `docs/metrics.md`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from janus_sim.record import Record
from janus_sim.results import metrics
from janus_sim.results.critical_path import PARTS

if TYPE_CHECKING:
    from janus_sim.results.result import Result

#: Kinds of link that the summary tells of, one by one.
LINK_KINDS = ("nvlink", "pcie", "uplink", "memory", "socket", "nic", "fabric")


def figures_of(result: Result) -> dict[str, Any]:
    """Return the figures of a run by name, in the order of the columns of `Result.summary`."""
    record = result.record
    return _times(result) | _bytes(record) | _shares(record) | _work(record) | _choices(record)


def _times(result: Result) -> dict[str, float]:
    """Step time, what of it is exposed, and its critical path; seconds, mean over steps (and ranks)."""
    seconds, occupancy = metrics.step_seconds(result.record), result.occupancy
    step = _mean(seconds)
    busy, exposed = _mean(occupancy.busy), _mean(occupancy.exposed_comm)
    waiting = _left(exposed, _mean(occupancy.exposed_moving))
    all_to_all = _mean(occupancy.exposed_all_to_all)
    totals = [path.totals() for path in result.paths]
    path = {part: _mean(np.array([total[part] for total in totals])) for part in PARTS}
    return {
        "step_time_s": step,
        "step_time_p50_s": float(np.percentile(seconds, 50)) if len(seconds) > 1 else step,
        "step_time_p99_s": float(np.percentile(seconds, 99)) if len(seconds) > 1 else step,
        "speedup": float("nan"),
        "gpu_busy_s": busy,
        "gpu_busy_share": _ratio(busy, step),
        "exposed_comm_s": exposed,
        "exposed_comm_waiting_s": waiting,
        "exposed_all_to_all_s": all_to_all,
        "exposed_all_to_all_share": _ratio(all_to_all, step),
        "idle_s": _left(step, busy + exposed),
        "straggler_s": path["straggler"],
        **{f"path_{part}_s": path[part] for part in PARTS if part != "straggler"},
    }


def _bytes(record: Record) -> dict[str, Any]:
    """Bytes of a step (mean over steps): across machines and by kind of link; goodput of All-to-Alls."""
    steps = max(len(record.steps), 1)
    images = metrics.images_of(record)
    expert, dense = (images * size for size in metrics.carried(record.links, crosses=True))
    inside, across = metrics.goodput(record)
    row: dict[str, Any] = {
        "expert_cross_machine_bytes": _per(expert, steps),
        "dense_cross_machine_bytes": _per(dense, steps),
    }
    row["forward_machine_bytes_per_layer"] = metrics.forward_machine_bytes(record)
    for kind in LINK_KINDS:
        row[f"{kind}_bytes"] = _per(images * sum(metrics.carried(record.links, kind=kind)), steps)
    return row | {
        "all_to_all_goodput_bytes_per_s": inside,
        "all_to_all_cross_machine_goodput_bytes_per_s": across,
    }


def _shares(record: Record) -> dict[str, float]:
    """Mean and peak utilization of each kind of link."""
    seconds = metrics.span_of_time(record)
    row: dict[str, float] = {}
    for kind in ("nvlink", "uplink", "nic"):
        mean, peak = metrics.utilization_of_kind(record.links, kind, seconds)
        row |= {f"{kind}_utilization_mean": mean, f"{kind}_utilization_peak": peak}
    return row


def _work(record: Record) -> dict[str, Any]:
    """Memory and its verdict, tokens and FLOPs a second."""
    facts, step, world = record.facts, _mean(metrics.step_seconds(record)), metrics.world_of(record)
    gpus, hosts = metrics.peak_memory(record)
    tokens = _ratio(float(facts.get("tokens_per_rank", float("nan"))), step)
    flops = _ratio(float(facts.get("model_flops", float("nan"))), step)
    steps, images = max(len(record.steps), 1), metrics.images_of(record)
    near = {"tolerance": facts["tolerance"]} if "tolerance" in facts else {}
    return near | {
        "images": images,
        "fits": metrics.fits(record),
        "peak_gpu_memory_bytes": max(gpus.values(), default=0),
        "peak_host_memory_bytes": max(hosts.values(), default=0),
        "tokens_per_s": tokens * world,
        "tokens_per_s_per_gpu": tokens,
        "model_flops_per_s_per_gpu": flops / world,
        "mfu": flops / float(facts.get("peak_flops", float("nan"))),
        "useful_flops": float(record.spans["flops"].sum()) * images / steps,
        "padded_flops": float(record.spans["padded_flops"].sum()) * images / steps,
    }


def _choices(record: Record) -> dict[str, Any]:
    """Gain, paradigm and imbalance of the MoE layers; words are of the first step, from shallow to deep."""
    first = (
        [layer for layer in record.layers if layer["step"] == record.steps[0].step] if record.steps else []
    )
    first.sort(key=lambda layer: layer["layer"])
    gains = [layer["r"] for layer in first if "r" in layer]
    return {
        "r": float(np.mean(gains)) if gains else float("nan"),
        "r_per_layer": " ".join(f"{gain:.4g}" for gain in gains),
        "paradigms": " ".join(layer["paradigm"][:1].upper() for layer in first),
        "expert_imbalance": _layer_mean(record, "expert_imbalance"),
        "rank_imbalance": _layer_mean(record, "rank_imbalance"),
        "arriving_imbalance": _layer_mean(record, "arriving_imbalance"),
        "dropped_rows_share": metrics.dropped_share(record.layers),
    }


def _layer_mean(record: Record, key: str) -> float:
    values: list[float] = [layer[key] for layer in record.layers if key in layer]  # type: ignore[literal-required]
    return float(np.mean(values)) if values else float("nan")


def _mean(values: metrics.Floats) -> float:
    return float(values.mean()) if values.size else 0.0


def _left(whole: float, part: float) -> float:
    """Return what is left of a whole, 0 where that is mere rounding."""
    return whole - part if whole - part > metrics.DUST * whole else 0.0


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole > 0 else float("nan")


def _per(total: int, steps: int) -> int | float:
    """Return bytes a step: whole where they divide."""
    return total // steps if total % steps == 0 else total / steps
