"""The result of one run: its record as tidy DataFrames, and one row of figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from janus_sim.record import SPAN_COLUMNS, Record
from janus_sim.results import metrics
from janus_sim.results.critical_path import PARTS, Attribution, attribute

#: The columns of `Result.summary` that name the row; those of a grid (with a dot in their name) come last.
IDENTITY = ("scenario", "topology", "workload", "precision", "micro_batch_size", "policy", "schedule", "seed")

#: Kinds of link that the summary tells of, one by one.
LINK_KINDS = ("nvlink", "pcie", "uplink", "memory", "socket", "nic", "fabric")

_LINK_TYPES = {"link": "str", "kind": "str", "machine": "int64", "capacity_bytes_per_s": "float64", "crosses": "bool",
               "expert_bytes": "int64", "dense_bytes": "int64", "busy_s": "float64", "utilization_mean": "float64",
               "utilization_peak": "float64"}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Result:
    """What one scenario came to.

    Attributes
    ----------
    record : Record
        The facts.
    scenario : mapping
        What was run, as plain values: name, topology, workload, precision, micro_batch_size, policy, schedule, seed,
        and `point`, a mapping from the dotted keys of the grid to their values.

    Examples
    --------
    >>> from janus_sim.record import SpanLog, StepRecord
    >>> log = SpanLog()
    >>> last = log.add(0, 0, -1, "", 0, 0, "compute", "compute", "optimizer", "F0", 0.0, 0.0, 1.5)
    >>> result = Result(Record(log.columns(), (StepRecord(0, 0.0, 1.5, last),)), {"name": "one", "policy": "janus"})
    >>> result.summary()[["scenario", "policy", "step_time_s", "gpu_busy_share"]].iloc[0].tolist()
    ['one', 'janus', 1.5, 1.0]
    """

    record: Record
    scenario: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def spans(self) -> pd.DataFrame:
        """One row a span, named by its id; words are categories."""
        return pd.DataFrame({
            name: pd.Categorical(self.record.spans[name].tolist()) if kind is object else self.record.spans[name]
            for name, kind in SPAN_COLUMNS.items()
        })  # fmt: skip

    @cached_property
    def steps(self) -> pd.DataFrame:
        """One row a training step."""
        steps = self.record.steps
        return pd.DataFrame({
            "step": np.array([step.step for step in steps], dtype=np.int64),
            "begin_s": np.array([step.begin for step in steps], dtype=np.float64),
            "end_s": np.array([step.end for step in steps], dtype=np.float64),
            "step_time_s": metrics.step_seconds(self.record),
        })  # fmt: skip

    @cached_property
    def links(self) -> pd.DataFrame:
        """One row a link: bytes and busy seconds over the whole run, mean and peak utilization."""
        seconds = metrics.span_of_time(self.record)
        rows = [
            (link.name, link.kind, link.machine, link.capacity, link.crosses, link.expert_bytes, link.dense_bytes,
             link.busy, *metrics.utilization(link, seconds))
            for link in self.record.links
        ]  # fmt: skip
        return pd.DataFrame(rows, columns=list(_LINK_TYPES)).astype(_LINK_TYPES)

    @cached_property
    def link_series(self) -> pd.DataFrame:
        """One row a link and bin in which it carried anything: link, begin_s, seconds, bytes, utilization."""
        rows = [(link, np.flatnonzero(link.series)) for link in self.record.links]
        many = [len(bins) for _, bins in rows]

        def column(values: Sequence[Any], kind: type) -> Any:
            return np.concatenate([np.zeros(0, kind), *values])

        moved = column([link.series[bins] for link, bins in rows], float)
        width = np.repeat(np.array([link.bin_width for link, _ in rows], dtype=float), many)
        room = width * np.repeat(np.array([link.capacity for link, _ in rows], dtype=float), many)
        return pd.DataFrame({
            "link": np.repeat(np.array([link.name for link, _ in rows], dtype=object), many),
            "begin_s": column([bins for _, bins in rows], int) * width,
            "seconds": width,
            "bytes": moved,
            "utilization": moved / room,
        })  # fmt: skip

    @cached_property
    def layers(self) -> pd.DataFrame:
        """One row an MoE layer and step: paradigm, R, imbalance, rows, bytes."""
        return pd.DataFrame(list(self.record.layers), columns=None if self.record.layers else ["step", "layer"])

    @cached_property
    def memory(self) -> pd.DataFrame:
        """One row a component of the memory of a GPU, or of a host (rank -1)."""
        return pd.DataFrame(list(self.record.memory), columns=["rank", "machine", "component", "bytes"])

    @cached_property
    def occupancy(self) -> metrics.Occupancy:
        """How long each rank computes and has communication open, in each step."""
        return metrics.Occupancy(self.record)

    @cached_property
    def paths(self) -> tuple[Attribution, ...]:
        """The critical path of each step, and what each part of it was."""
        return tuple(attribute(self.record, step) for step in self.record.steps)

    def summary(self) -> pd.DataFrame:
        """Return the figures of the run, one row; each column is defined in `docs/metrics.md`.

        `speedup` is NaN until a table has a baseline (`tables.add_speedup`).
        """
        row: dict[str, Any] = {name: self.scenario.get("name" if name == "scenario" else name, "") for name in IDENTITY}
        for part in (_times(self), _bytes(self.record), _shares(self.record), _work(self.record), _choices(self.record)):
            row |= part
        row |= dict(self.scenario.get("point", {}))
        return pd.DataFrame([row])

    def save(self, folder: Path | str) -> None:
        """Write the result as CSV, Parquet and JSON files; `open_results` reads them."""
        from janus_sim.results.store import save

        save([self], folder)

    @classmethod
    def load(cls, folder: Path | str) -> Result:
        """Read the result that `save` wrote.

        Raises
        ------
        InputError
            If the folder holds no result, or more than one.
        """
        from janus_sim.results.store import open_one

        return open_one(folder)


def _times(result: Result) -> dict[str, float]:
    """Step time, what of it is exposed, and its critical path; seconds, mean over steps (and ranks)."""
    seconds, occupancy = metrics.step_seconds(result.record), result.occupancy
    step = _mean(seconds)
    busy, exposed = _mean(occupancy.busy), _mean(occupancy.exposed_comm)
    waiting = exposed - _mean(occupancy.exposed_moving)
    all_to_all = _mean(occupancy.exposed_all_to_all)
    totals = [path.totals() for path in result.paths]
    path = {part: _mean(np.array([total[part] for total in totals])) for part in PARTS}
    return {
        "step_time_s": step,
        "step_time_p50_s": float(np.percentile(seconds, 50)) if len(seconds) else step,
        "step_time_p99_s": float(np.percentile(seconds, 99)) if len(seconds) else step,
        "speedup": float("nan"),
        "gpu_busy_s": busy,
        "gpu_busy_share": _ratio(busy, step),
        "exposed_comm_s": exposed,
        "exposed_comm_waiting_s": waiting,
        "exposed_all_to_all_s": all_to_all,
        "exposed_all_to_all_share": _ratio(all_to_all, step),
        "idle_s": max(step - busy - exposed, 0.0),
        "straggler_s": path["straggler"],
        **{f"path_{part}_s": path[part] for part in PARTS if part != "straggler"},
    }


def _bytes(record: Record) -> dict[str, Any]:
    """Bytes of one step (mean over steps): across machines, and by kind of link; and the goodput of All-to-Alls."""
    steps = max(len(record.steps), 1)
    expert, dense = metrics.carried(record.links, crosses=True)
    inside, across = metrics.goodput(record)
    row = {"expert_cross_machine_bytes": _per(expert, steps), "dense_cross_machine_bytes": _per(dense, steps)}
    for kind in LINK_KINDS:
        row[f"{kind}_bytes"] = _per(sum(metrics.carried(record.links, kind=kind)), steps)
    return row | {"all_to_all_goodput_bytes_per_s": inside, "all_to_all_cross_machine_goodput_bytes_per_s": across}


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
    steps = max(len(record.steps), 1)
    return {
        "fits": metrics.fits(record),
        "peak_gpu_memory_bytes": max(gpus.values(), default=0),
        "peak_host_memory_bytes": max(hosts.values(), default=0),
        "tokens_per_s": tokens * world,
        "tokens_per_s_per_gpu": tokens,
        "model_flops_per_s_per_gpu": flops / world,
        "mfu": flops / float(facts.get("peak_flops", float("nan"))),
        "useful_flops": float(record.spans["flops"].sum()) / steps,
        "padded_flops": float(record.spans["padded_flops"].sum()) / steps,
    }


def _choices(record: Record) -> dict[str, Any]:
    """Gain, paradigm and imbalance of the MoE layers; words are of the first step, from shallow to deep."""
    first = [layer for layer in record.layers if layer["step"] == record.steps[0].step] if record.steps else []
    first.sort(key=lambda layer: layer["layer"])
    gains = [layer["r"] for layer in first if "r" in layer]
    return {
        "r": float(np.mean(gains)) if gains else float("nan"),
        "r_per_layer": " ".join(f"{gain:.4g}" for gain in gains),
        "paradigms": " ".join(layer["paradigm"][:1].upper() for layer in first),
        "expert_imbalance": _layer_mean(record, "expert_imbalance"),
        "rank_imbalance": _layer_mean(record, "rank_imbalance"),
        "dropped_rows_share": metrics.dropped_share(record.layers),
    }


def _layer_mean(record: Record, key: str) -> float:
    values: list[float] = [layer[key] for layer in record.layers if key in layer]  # type: ignore[literal-required]
    return float(np.mean(values)) if values else float("nan")


def _mean(values: metrics.Floats) -> float:
    return float(values.mean()) if values.size else 0.0


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole > 0 else float("nan")


def _per(total: int, steps: int) -> int | float:
    """Return bytes a step: whole where they divide."""
    return total // steps if total % steps == 0 else total / steps
