"""Records made by hand: a small world of machines and layers, without any engine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pytest

from janus_sim.record import Facts, LayerRecord, LinkRecord, MemoryRecord, Record, SpanLog, StepRecord
from janus_sim.results.result import Result

MS = 1e-3


@dataclass
class Made:
    """A clock a rank, and words to let it pass."""

    machines: int
    per_machine: int
    layers: int
    skew: float
    chance: np.random.Generator
    log: SpanLog = field(default_factory=SpanLog)
    step: int = 0
    begin: float = 0.0

    def __post_init__(self) -> None:
        self.world = self.machines * self.per_machine
        self.start()

    def start(self) -> None:
        self.why = [-1] * self.world
        self.now = [self.begin] * self.world

    def compute(self, rank: int, layer: int, phase: str, label: str, seconds: float) -> int:
        """Run a kernel of which half is useful and a tenth is launch."""
        begin, machine, flops = self.now[rank], rank // self.per_machine, seconds * 1e14
        self.now[rank] = begin + seconds
        self.why[rank] = self.log.add(
            self.step, 0, layer, phase, rank, machine, "compute", "compute", label, phase[:1], begin, begin,
            self.now[rank], self.why[rank], "gpu", 0, flops, flops, seconds * 0.1, seconds * 0.5,
        )  # fmt: skip
        return self.why[rank]

    def all_to_all(self, layer: int, phase: str, label: str, seconds: list[float]) -> None:
        """Let all ranks join at their time; each leaves its own seconds after the last has joined."""
        last = max(range(self.world), key=lambda rank: self.now[rank])
        begin, why = self.now[last], self.why[last]
        for rank in range(self.world):
            machine, local = divmod(rank, self.per_machine)
            link, end = f"m{machine}.nic{local // 2}.out", begin + seconds[rank]
            self.why[rank] = self.log.add(
                self.step, 0, layer, phase, rank, machine, "communication", "all_to_all", label, phase[:1],
                self.now[rank], begin, end, why, link, 31_000_000, far_bytes=24_000_000,
            )  # fmt: skip
            self.now[rank] = end

    def transfer(
        self, rank: int, machine: int, layer: int, label: str, joined: float, begin: float,
        end: float, why: int, link: str, phase: str = "forward",
    ) -> int:  # fmt: skip
        """Move an expert."""
        return self.log.add(
            self.step, 0, layer, phase, rank, machine, "copy", "transfer", label, "beside", joined, begin,
            end, why, link, 9_000_000,
        )  # fmt: skip

    def meet(self) -> StepRecord:
        """End the step when the last rank is done, and begin the next one there."""
        last = max(range(self.world), key=lambda rank: self.now[rank])
        record = StepRecord(self.step, self.begin, self.now[last], self.why[last])
        self.begin, self.step = self.now[last], self.step + 1
        self.start()
        return record


def expert_centric(made: Made) -> None:
    """Attention everywhere; experts between two All-to-Alls in every second layer, forward and backward."""
    visits = [("forward", layer) for layer in range(made.layers)]
    visits += [("backward", layer) for layer in reversed(range(made.layers))]
    for phase, layer in visits:
        scale = 1.0 if phase == "forward" else 2.0
        for rank in range(made.world):
            made.compute(rank, layer, phase, "attention", scale * MS)
        if layer % 2 == 0:
            continue
        load = [1.0 + made.skew * made.chance.random() for _ in range(made.world)]
        made.all_to_all(layer, phase, "dispatch", [2.0 * MS * part for part in load])
        for rank in range(made.world):
            made.compute(rank, layer, phase, f"expert {rank}", scale * 0.8 * MS * load[rank])
        made.all_to_all(layer, phase, "combine", [2.0 * MS * part for part in load])


def data_centric(made: Made) -> None:
    """Pull the experts of other machines to the host from the begin of the step, copy them down, run them."""
    fetched: dict[tuple[int, int, int], int] = {}
    for machine in range(made.machines):
        now, why = made.begin, -1
        for layer in range(1, made.layers, 2):
            for expert in range(made.world):
                if expert // made.per_machine != machine:
                    end, link = now + 0.15 * MS, f"m{machine}.nic{expert % made.per_machine // 2}.in"
                    why = made.transfer(
                        -1, machine, layer, f"pull expert {expert}", made.begin, now, end, why, link
                    )
                    now, fetched[machine, layer, expert] = end, why
    for layer in range(made.layers):
        for rank in range(made.world):
            made.compute(rank, layer, "forward", "attention", MS)
            for offset in range(made.world if layer % 2 else 0):
                expert = (rank + offset) % made.world
                take(made, rank, layer, expert, fetched.get((rank // made.per_machine, layer, expert)))
                made.compute(rank, layer, "forward", f"expert {expert}", 0.03 * MS)
    for layer in reversed(range(made.layers)):
        for rank in range(made.world):
            made.compute(rank, layer, "backward", "attention", 2 * MS)
            for expert in range(0, made.world if layer % 2 else 0, 4):
                made.compute(rank, layer, "backward", f"expert {expert}", 0.24 * MS)
                machine, local = divmod(rank, made.per_machine)
                link, now = f"m{machine}.gpu{local}.nvlink.out", made.now[rank]
                made.transfer(rank, machine, layer, f"gradient of expert {expert}", now, now, now + 0.1 * MS,
                              made.why[rank], link, "backward")  # fmt: skip


def take(made: Made, rank: int, layer: int, expert: int, pull: int | None) -> None:
    """Copy an expert from the host, where it is external, and wait for it."""
    if pull is None:
        return
    machine, local = divmod(rank, made.per_machine)
    ready, link = made.log.end(pull), f"m{machine}.switch{local // 2}.uplink.down"
    end = ready + 0.05 * MS
    down = made.transfer(rank, machine, layer, f"copy expert {expert}", made.begin, ready, end, pull, link)
    if end > made.now[rank]:
        made.now[rank], made.why[rank] = end, down


POLICIES = {"expert_centric": expert_centric, "data_centric": data_centric}


def links_of(made: Made, seconds: float) -> tuple[LinkRecord, ...]:
    """Give every link of every machine a series of its own bytes, taken from the spans that name it."""
    parts = [
        (m, f"m{m}.{name}{i}.{way}", kind, capacity)
        for m in range(made.machines)
        for name, tail, kind, ways, many, capacity in (
            ("gpu", "nvlink.", "nvlink", ("in", "out"), made.per_machine, 200e9),
            ("switch", "uplink.", "uplink", ("up", "down"), made.per_machine // 2, 25e9),
            ("nic", "", "nic", ("in", "out"), made.per_machine // 2, 22e9),
        )
        for i in range(many)
        for way in (tail + way for way in ways)
    ]
    bins = 400
    moved = {name: np.zeros(bins) for _, name, _, _ in parts}
    for row in made.log.rows:
        if row[14] in moved and row[15]:
            low = int(row[11] / seconds * bins)
            high = max(int(row[12] / seconds * bins), low + 1)
            moved[row[14]][low:high] += row[15] / (high - low)
    width = seconds / bins
    links = []
    for machine, name, kind, capacity in parts:
        series = np.minimum(moved[name], capacity * width)
        leaves = kind == "nic" and name.endswith("out")
        busy = float((series > 0).sum() * width)
        links.append(
            LinkRecord(name, kind, machine, capacity, leaves, int(series.sum()), 1, busy, series, width)
        )
    return tuple(links)


def make_record(
    policy: str = "expert_centric",
    *,
    machines: int = 2,
    per_machine: int = 4,
    layers: int = 4,
    steps: int = 1,
    skew: float = 0.5,
) -> Record:
    """Make the record of a few steps under a policy."""
    made, ends = Made(machines, per_machine, layers, skew, np.random.default_rng(1)), []
    for _ in range(steps):
        POLICIES[policy](made)
        ends.append(made.meet())
    world = made.world
    memory = [
        MemoryRecord(rank=rank, machine=rank // per_machine, component=component, bytes=many * 2**30)
        for rank in range(world)
        for component, many in (("weights", 10), ("activations", 20 + rank))
    ]
    memory += [
        MemoryRecord(rank=-1, machine=machine, component="host cache", bytes=5 * 2**30)
        for machine in range(machines)
    ]
    rows = [
        LayerRecord(
            step=step, layer=layer, paradigm=policy, r=5.0 + layer, expert_imbalance=1.5, rank_imbalance=1.25,
            rows=1000, dropped_rows=10, expert_cross_machine_bytes=77,
        )
        for step in range(steps)
        for layer in range(1, layers, 2)
    ]  # fmt: skip
    facts = Facts(
        world=world,
        machine_of=[rank // per_machine for rank in range(world)],
        tokens_per_rank=1000,
        model_flops=1e12,
        peak_flops=1e14 * world,
        hbm_size=[80 * 10**9] * world,
        host_memory=[10**12] * machines,
    )
    links = links_of(made, ends[-1].end)
    return Record(made.log.columns(), tuple(ends), links, tuple(rows), tuple(memory), facts)


@pytest.fixture
def made() -> Callable[..., Record]:
    """Return the maker of records."""
    return make_record


@pytest.fixture
def scenario() -> dict[str, object]:
    """Return a scenario as a plain mapping."""
    return {
        "name": "made/expert_centric",
        "topology": "two_machines",
        "workload": "moe_gpt",
        "precision": "tf32",
        "micro_batch_size": 8,
        "policy": "expert_centric",
        "schedule": "sequential",
        "seed": 1,
    }


@pytest.fixture
def results(made: Callable[..., Record], scenario: dict[str, object]) -> list[Result]:
    """Return a short result of either policy."""
    return [
        Result(made(policy, layers=2), scenario | {"name": policy, "policy": policy})
        for policy in ("expert_centric", "data_centric")
    ]
