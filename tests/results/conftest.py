"""Records made by hand: a small world of machines and layers, without any engine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

import numpy as np
import pytest

from janus_sim.record import Facts, LayerRecord, LinkRecord, MemoryRecord, Record, SpanLog, StepRecord

MS = 1e-3


@dataclass
class Made:
    """A clock a rank, and words to let it pass."""

    machines: int
    per_machine: int
    log: SpanLog = field(default_factory=SpanLog)
    step: int = 0
    begin: float = 0.0

    def __post_init__(self) -> None:
        self.world = self.machines * self.per_machine
        self.why = [-1] * self.world
        self.now = [self.begin] * self.world

    def compute(self, rank: int, layer: int, phase: str, label: str, seconds: float) -> int:
        """Run a kernel of which half is useful and a tenth is launch."""
        end = self.now[rank] + seconds
        self.why[rank] = self.log.add(
            self.step, 0, layer, phase, rank, rank // self.per_machine, "compute", "compute", label, phase[:1],
            self.now[rank], self.now[rank], end, self.why[rank], "gpu", 0, seconds * 1e14, seconds * 1e14,
            seconds * 0.1, seconds * 0.5,
        )  # fmt: skip
        self.now[rank] = end
        return self.why[rank]

    def all_to_all(self, layer: int, phase: str, label: str, seconds: list[float], *, kind: str = "all_to_all") -> None:
        """Let all ranks join at their time; each leaves its own seconds after the last has joined."""
        last = max(range(self.world), key=lambda rank: self.now[rank])
        begin, why = self.now[last], self.why[last]
        for rank in range(self.world):
            machine, local = divmod(rank, self.per_machine)
            self.why[rank] = self.log.add(
                self.step, 0, layer, phase, rank, machine, "communication", kind, label, phase[:1], self.now[rank],
                begin, begin + seconds[rank], why, f"m{machine}.nic{local // 2}.out", 31_000_000, far_bytes=24_000_000,
            )  # fmt: skip
            self.now[rank] = begin + seconds[rank]

    def meet(self) -> StepRecord:
        """End the step when the last rank is done, and begin the next one there."""
        last = max(range(self.world), key=lambda rank: self.now[rank])
        record = StepRecord(self.step, self.begin, self.now[last], self.why[last])
        self.begin, self.step = self.now[last], self.step + 1
        self.__post_init__()
        return record

    def transfer(self, rank: int, machine: int, layer: int, label: str, joined: float, begin: float, end: float,
                 why: int, link: str, phase: str = "forward") -> int:  # fmt: skip
        """Move an expert."""
        return self.log.add(self.step, 0, layer, phase, rank, machine, "copy", "transfer", label, "beside", joined,
                            begin, end, why, link, 9_000_000)  # fmt: skip


def expert_centric(made: Made, layers: int, random: Random, skew: float) -> None:
    """Attention everywhere; experts between two All-to-Alls in every second layer, forward and backward."""
    visits = [("forward", layer) for layer in range(layers)]
    visits += [("backward", layer) for layer in reversed(range(layers))]
    for phase, layer in visits:
        scale = 1.0 if phase == "forward" else 2.0
        for rank in range(made.world):
            made.compute(rank, layer, phase, "attention", scale * MS)
        if layer % 2 == 0:
            continue
        load = [1.0 + skew * random.random() for _ in range(made.world)]
        made.all_to_all(layer, phase, "dispatch", [2.0 * MS * part for part in load])
        for rank in range(made.world):
            made.compute(rank, layer, phase, f"expert {rank}", scale * 0.8 * MS * load[rank])
        made.all_to_all(layer, phase, "combine", [2.0 * MS * part for part in load])


def data_centric(made: Made, layers: int, random: Random, skew: float) -> None:
    """Pull the experts of other machines into the host from the begin of the step, copy them down, run them."""
    fetched: dict[tuple[int, int, int], tuple[int, float]] = {}
    for machine in range(made.machines):
        now, why = made.begin, -1
        for layer in range(1, layers, 2):
            for expert in range(made.world):
                if expert // made.per_machine == machine:
                    continue
                end = now + 0.15 * MS
                link = f"m{machine}.nic{expert % made.per_machine // 2}.in"
                why = made.transfer(-1, machine, layer, f"pull expert {expert}", made.begin, now, end, why, link)
                now, fetched[machine, layer, expert] = end, (why, end)
    for layer in range(layers):
        for rank in range(made.world):
            made.compute(rank, layer, "forward", "attention", MS)
            if layer % 2 == 0:
                continue
            machine, local = divmod(rank, made.per_machine)
            for offset in range(made.world):
                expert = (rank + offset) % made.world
                if (machine, layer, expert) in fetched:
                    why, ready = fetched[machine, layer, expert]
                    link, asked = f"m{machine}.switch{local // 2}.uplink.down", made.begin
                    down = made.transfer(rank, machine, layer, f"copy expert {expert}", asked, ready,
                                         ready + 0.05 * MS, why, link)  # fmt: skip
                    if ready + 0.05 * MS > made.now[rank]:
                        made.now[rank], made.why[rank] = ready + 0.05 * MS, down
                made.compute(rank, layer, "forward", f"expert {expert}", 0.03 * MS)
    for layer in reversed(range(layers)):
        for rank in range(made.world):
            made.compute(rank, layer, "backward", "attention", 2 * MS)
            if layer % 2:
                for expert in range(0, made.world, 4):
                    made.compute(rank, layer, "backward", f"expert {expert}", 0.24 * MS)
                    link, now = f"m{rank // made.per_machine}.gpu{rank % made.per_machine}.nvlink.out", made.now[rank]
                    made.transfer(rank, rank // made.per_machine, layer, f"gradient of expert {expert}", now, now,
                                  now + 0.1 * MS, made.why[rank], link, "backward")  # fmt: skip


POLICIES = {"expert_centric": expert_centric, "data_centric": data_centric}


def links_of(made: Made, seconds: float, random: Random) -> tuple[LinkRecord, ...]:
    """Give every link of every machine a series of its own bytes, taken from the spans that name it."""
    names = [(f"m{m}.gpu{g}.nvlink.{way}", "nvlink", m, 200e9, False)
             for m in range(made.machines) for g in range(made.per_machine) for way in ("in", "out")]  # fmt: skip
    names += [(f"m{m}.switch{s}.uplink.{way}", "uplink", m, 25e9, False)
              for m in range(made.machines) for s in range(made.per_machine // 2) for way in ("up", "down")]  # fmt: skip
    names += [(f"m{m}.nic{s}.{way}", "nic", m, 22e9, way == "out")
              for m in range(made.machines) for s in range(made.per_machine // 2) for way in ("in", "out")]  # fmt: skip
    bins, moved = 400, {name: np.zeros(400) for name, *_ in names}
    for row in made.log.rows:
        if row[14] in moved and row[15]:
            lo, hi = int(row[11] / seconds * bins), max(int(row[12] / seconds * bins), int(row[11] / seconds * bins) + 1)
            moved[row[14]][lo:hi] += row[15] / (hi - lo)
    room = seconds / bins
    return tuple(
        LinkRecord(name, kind, machine, capacity, crosses, int(np.minimum(moved[name], capacity * room).sum()), 0,
                   float((moved[name] > 0).sum() * room), np.minimum(moved[name], capacity * room), room)
        for name, kind, machine, capacity, crosses in names
    )  # fmt: skip


def make_record(policy: str = "expert_centric", *, machines: int = 2, per_machine: int = 4, layers: int = 4,
                steps: int = 1, skew: float = 0.5, seed: int = 1) -> Record:  # fmt: skip
    """Make the record of a few steps under a policy."""
    random, made = Random(seed), Made(machines, per_machine)
    ends = []
    for _ in range(steps):
        POLICIES[policy](made, layers, random, skew)
        ends.append(made.meet())
    world = made.world
    memory = [MemoryRecord(rank=r, machine=r // per_machine, component=c, bytes=b)
              for r in range(world) for c, b in (("weights", 10 * 2**30), ("activations", (20 + r) * 2**30))]  # fmt: skip
    memory += [MemoryRecord(rank=-1, machine=m, component="host cache", bytes=5 * 2**30) for m in range(machines)]
    rows = [LayerRecord(step=s, layer=layer, paradigm=policy, r=5.0 + layer, expert_imbalance=1.5, rank_imbalance=1.25,
                        rows=1000, dropped_rows=10, expert_cross_machine_bytes=77)
            for s in range(steps) for layer in range(1, layers, 2)]  # fmt: skip
    facts = Facts(world=world, machine_of=[r // per_machine for r in range(world)], tokens_per_rank=1000,
                  model_flops=1e12, peak_flops=1e14 * world, hbm_size=[80 * 10**9] * world,
                  host_memory=[10**12] * machines)  # fmt: skip
    return Record(made.log.columns(), tuple(ends), links_of(made, ends[-1].end, random), tuple(rows), tuple(memory), facts)


@pytest.fixture
def made() -> Callable[..., Record]:
    """Return the maker of records."""
    return make_record


@pytest.fixture
def scenario() -> dict[str, object]:
    """Return a scenario as a plain mapping."""
    return {"name": "made/expert_centric", "topology": "two_machines", "workload": "moe_gpt", "precision": "tf32",
            "micro_batch_size": 8, "policy": "expert_centric", "schedule": "sequential", "seed": 1}  # fmt: skip
