"""The figures of a run, each a pure function of its record; every formula stands in `docs/metrics.md`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from janus_sim.record import Columns, LinkRecord, Record, rows_of, words_of

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]

#: A difference of sums below this share of them is rounding.
DUST = 1e-12

COMMUNICATION = ("all_to_all", "all_reduce", "all_gather", "reduce_scatter", "broadcast", "transfer")


def covered(group: Ints, begin: Floats, end: Floats, groups: int) -> Floats:
    """Return how long each group has at least one interval open: the length of the union of its intervals.

    Parameters
    ----------
    group : (n,)
        To which of the `groups` an interval belongs.
    begin, end : (n,) seconds, begin <= end

    Returns
    -------
    (groups,) seconds

    Examples
    --------
    >>> covered(np.array([0, 0, 1]), np.array([0.0, 1.0, 5.0]), np.array([2.0, 4.0, 6.0]), 3).tolist()
    [4.0, 1.0, 0.0]
    """
    count = len(group)
    if count == 0:
        return np.zeros(groups)
    order = np.lexsort((begin, group))
    group, begin, end = group[order], begin[order], end[order]
    by_end = np.argsort(end, kind="stable")
    place = np.empty(count, dtype=np.int64)
    place[by_end] = np.arange(count)
    # The running maximum of the ends inside a group: groups ascend, so one accumulate serves them all,
    # exactly.
    reach = np.maximum.accumulate(group * count + place)
    before = end[by_end][reach[:-1] % count]
    before[reach[:-1] // count != group[1:]] = -np.inf
    begin[1:] = np.maximum(begin[1:], before)
    return np.bincount(group, np.maximum(end - begin, 0.0), minlength=groups).astype(np.float64)


class Occupancy:
    """How long each rank computes and has communication open, in each step.

    Attributes
    ----------
    busy, exposed_comm, exposed_all_to_all, exposed_moving : (steps, world) seconds
        Compute kernels run; no kernel runs and any communication, an All-to-All, or a communication whose
        last partner has joined, is open.

    Examples
    --------
    One rank computes for 3 s, beside an All-to-All from 2 s to 5 s: 2 s of it are exposed.

    >>> from janus_sim.record import SpanLog, StepRecord
    >>> log = SpanLog()
    >>> _ = log.add(0, 0, 0, "forward", 0, 0, "compute", "compute", "k", "F0", 0.0, 0.0, 3.0)
    >>> last = log.add(
    ...     0, 0, 0, "forward", 0, 0, "communication", "all_to_all", "dispatch", "F0", 2.0, 3.0, 5.0, 0
    ... )
    >>> occupancy = Occupancy(Record(log.columns(), (StepRecord(0, 0.0, 5.0, last),), facts={"world": 1}))
    >>> float(occupancy.busy[0, 0]), float(occupancy.exposed_all_to_all[0, 0])
    (3.0, 2.0)
    """

    def __init__(self, record: Record) -> None:
        self.world = ranks_of(record)
        self.shape = (len(record.steps), self.world)
        self.busy, self.exposed_comm, self.exposed_all_to_all, self.exposed_moving = (
            np.zeros(self.shape) for _ in range(4)
        )
        for rows in _by_machine(record.spans["machine"]):
            self._add(record, rows_of(record.spans, rows))

    def _add(self, record: Record, spans: Columns) -> None:
        """Add what the ranks of one machine do: one after another, since many have few gigabytes of spans."""
        first = record.steps[0].step if record.steps else 0
        self._group = (spans["step"] - first) * self.world + spans["rank"]
        self._end, kind = spans["end"], words_of(spans, "kind")
        kernels = np.flatnonzero(kind.among("compute") & (spans["rank"] >= 0))
        self._kernels = (self._group[kernels], spans["begin"][kernels], self._end[kernels])
        busy = self._covered(*self._kernels)
        everything = self._shared(record, spans, kind.among(*COMMUNICATION))
        all_to_all = self._shared(record, spans, kind.among("all_to_all"))
        self.busy += busy
        self.exposed_comm += self._exposed(*everything, spans["joined"], busy)
        self.exposed_moving += self._exposed(*everything, spans["begin"], busy)
        self.exposed_all_to_all += self._exposed(*all_to_all, spans["joined"], busy)

    def _covered(self, group: Ints, begin: Floats, end: Floats) -> Floats:
        return covered(group, begin, end, self.shape[0] * self.shape[1]).reshape(self.shape)

    def _exposed(self, group: Ints, rows: Ints, opened: Floats, busy: Floats) -> Floats:
        """|communication or kernels| - |kernels|, by rank."""
        if not len(rows):
            return np.zeros(self.shape)
        kernels = self._kernels
        either = self._covered(
            np.concatenate([group, kernels[0]]),
            np.concatenate([opened[rows], kernels[1]]),
            np.concatenate([self._end[rows], kernels[2]]),
        )
        gap = either - busy
        return np.where(gap > DUST * either, gap, 0.0)

    def _shared(self, record: Record, spans: Columns, mask: Mask) -> tuple[Ints, Ints]:
        """Return (group, row) of the masked spans; what a machine does is open on each of its ranks."""
        rank = spans["rank"]
        own = np.flatnonzero(mask & (rank >= 0))
        group, rows = [self._group[own]], [own]
        shared = np.flatnonzero(mask & (rank < 0))
        if len(shared):
            machine, first = spans["machine"][shared], self._group[shared] + 1
            for member, place in enumerate(record.facts["machine_of"][: self.world]):
                mine = machine == place
                group.append(first[mine] + member)
                rows.append(shared[mine])
        return np.concatenate(group), np.concatenate(rows)


def _by_machine(machine: Ints) -> Iterator[Ints]:
    """Yield the rows of each machine that did anything."""
    order = np.argsort(
        machine.astype(np.int16) if len(machine) and machine.max() < 2**15 else machine, kind="stable"
    )
    yield from np.split(order, np.cumsum(np.bincount(machine))[:-1]) if len(machine) else ()


def world_of(record: Record) -> int:
    """Return the number of ranks, from the facts or, without them, from the spans."""
    rank = record.spans["rank"]
    return int(record.facts.get("world", int(rank.max()) + 1 if len(rank) else 1))


def images_of(record: Record) -> int:
    """Return for how many machines each simulated one stands: 1, unless the run was `alike: machines`."""
    return int(record.facts.get("images", 1))


def ranks_of(record: Record) -> int:
    """Return the number of ranks that were simulated."""
    return world_of(record) // images_of(record)


def step_seconds(record: Record) -> Floats:
    """Return (steps,) seconds."""
    return np.array([step.seconds for step in record.steps], dtype=np.float64)


def span_of_time(record: Record) -> float:
    """Return the seconds from the begin of the first step to the end of the last one."""
    return record.steps[-1].end - record.steps[0].begin if record.steps else 0.0


def utilization(link: LinkRecord, seconds: float) -> tuple[float, float]:
    """Return the mean share of a link's capacity that was used, and that of its fullest bin.

    Examples
    --------
    >>> utilization(LinkRecord("a", "nic", 0, 10.0, True, 20, 0, 2.0, np.array([10.0, 10.0, 0.0]), 1.0), 4.0)
    (0.5, 1.0)
    """
    mean = (link.expert_bytes + link.dense_bytes) / (link.capacity * seconds) if seconds > 0 else 0.0
    fullest = (
        float(link.series.max()) / (link.capacity * link.bin_width) if link.series.size else float("nan")
    )
    return mean, fullest


def utilization_of_kind(links: Sequence[LinkRecord], kind: str, seconds: float) -> tuple[float, float]:
    """Return the mean of the means of the links of a kind, and their largest peak; NaN if there are none."""
    both = [utilization(link, seconds) for link in links if link.kind == kind]
    if not both:
        return float("nan"), float("nan")
    return float(np.mean([mean for mean, _ in both])), float(np.max([peak for _, peak in both]))


def carried(
    links: Sequence[LinkRecord], *, kind: str | None = None, crosses: bool = False
) -> tuple[int, int]:
    """Return (expert, dense) bytes summed over the links of a kind, or over those that leave a machine."""
    chosen = [link for link in links if (kind is None or link.kind == kind) and (link.crosses or not crosses)]
    return sum(link.expert_bytes for link in chosen), sum(link.dense_bytes for link in chosen)


def forward_machine_bytes(record: Record) -> float:
    """Return the bytes of tokens and experts that leave a machine forward, a MoE layer and step (means)."""
    spans, layers = record.spans, len(record.layers)
    machines = len(set(record.facts.get("machine_of", (0,))))
    forward = words_of(spans, "phase").among("forward") & (spans["layer"] >= 0)
    forward &= ~words_of(spans, "lane").among("dense")
    sent = int(spans["far_bytes"][forward].sum()) * images_of(record)
    return sent / (machines * layers) if layers else float("nan")


def peak_memory(record: Record) -> tuple[dict[int, int], dict[int, int]]:
    """Return peak bytes by rank, and of host memory by machine: the sums over their components."""
    gpus: dict[int, int] = {}
    hosts: dict[int, int] = {}
    for part in record.memory:
        where, key = (gpus, part["rank"]) if part["rank"] >= 0 else (hosts, part["machine"])
        where[key] = where.get(key, 0) + int(part["bytes"])
    return gpus, hosts


def fits(record: Record) -> bool | None:
    """Return whether every GPU and every host holds what it must; None if no ledger was kept."""
    if not record.memory:
        return None
    gpus, hosts = peak_memory(record)
    hbm, host = record.facts.get("hbm_size"), record.facts.get("host_memory")
    return (hbm is None or all(need <= hbm[rank] for rank, need in gpus.items())) and (
        host is None or all(need <= host[machine] for machine, need in hosts.items())
    )


def goodput(record: Record) -> tuple[float, float]:
    """Return bytes per second that leave a GPU in All-to-Alls: for any other GPU, and for other machines.

    Bytes over the time from a rank's join to its end, both summed over ranks and All-to-Alls; NaN without
    any.
    """
    spans = rows_of(record.spans, np.flatnonzero(words_of(record.spans, "kind").among("all_to_all")))
    seconds = float((spans["end"] - spans["joined"]).sum())
    if seconds == 0.0:
        return float("nan"), float("nan")
    return float(spans["bytes"].sum()) / seconds, float(spans["far_bytes"].sum()) / seconds


def dropped_share(layers: Sequence[Any]) -> float:
    """Return dropped rows over all rows that the gates chose, over layers and steps; 0 if none was told."""
    rows = sum(layer.get("rows", 0) for layer in layers)
    return sum(layer.get("dropped_rows", 0) for layer in layers) / rows if rows else 0.0
