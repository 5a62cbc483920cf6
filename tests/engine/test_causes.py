"""Why a thing began: from the last span back, each began exactly when its cause ended."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from janus_sim.engine.gpu import Gpu
from janus_sim.engine.time import Activity, Steps
from tests.engine.lab import BYTES, FLOPS, GB, Lab, everyone, topology

WORDS = st.sampled_from(["compute", "pull", "push", "far", "think", "exchange", "sum", "beside", "once"])
RANKS = (0, 1, 2, 3)


def word(gpu: Gpu, name: str, step: int, sizes: list[int]) -> Activity:
    size = sizes[step % len(sizes)] * GB // 7
    match name:
        case "compute":
            return gpu.compute(FLOPS + BYTES, "kernel", gap=0.1)
        case "pull":
            return gpu.pull((gpu.rank + 1) % 4, size, "pull", priority=step % 2)
        case "push":
            return gpu.push(gpu.machine.host, size, "push")
        case "far":
            return gpu.copy((gpu.rank + 2) % 4, gpu.rank, size, "far")
        case "think":
            return gpu.think(0.3 * (gpu.rank % 3))
        case "exchange":
            return gpu.all_to_all(everyone(RANKS, 0.3), "exchange")
        case "sum":
            return gpu.all_reduce(RANKS, size, "sum")
        case _:
            return gpu.machine.once(step, (one for one in [gpu.think(0.2), gpu.pull(gpu.rank, 0, "x")]))


def thread(gpu: Gpu, words: list[str], sizes: list[int]) -> Steps:
    before = gpu.all([])
    for step, name in enumerate(words):
        if name == "beside":
            before = gpu.start(thread(gpu.within(lane=f"beside {step}"), words[step + 1 :], sizes))
            continue
        now = word(gpu, name, step, sizes)
        yield (now & before) if step % 3 else (now | before)
        before = now
    yield before


@settings(max_examples=60)
@given(st.lists(WORDS, max_size=7), st.lists(st.integers(0, 9), min_size=1, max_size=4))
def test_every_span_of_any_story_begins_when_its_cause_ends(words: list[str], sizes: list[int]) -> None:
    lab = Lab(topology(2, 2, start="10 ms"))
    lab.run([lambda gpu: thread(gpu, words, sizes)] * 4)  # checks every cause
    assert lab.cluster.flows.in_flight == 0
    assert [stream.taken for stream in lab.cluster.computes] == [0] * 4


@settings(max_examples=20)
@given(st.lists(WORDS, max_size=6), st.lists(st.integers(0, 9), min_size=1, max_size=4))
def test_the_same_story_gives_the_same_spans(words: list[str], sizes: list[int]) -> None:
    runs = [Lab(topology(2, 2)).run([lambda gpu: thread(gpu, words, sizes)] * 4).spans for _ in range(2)]
    assert runs[0] == runs[1]


def test_the_path_of_a_small_story_is_told_whole() -> None:
    def first(gpu: Gpu) -> Steps:
        yield gpu.compute(FLOPS, "late")
        yield gpu.all_to_all(everyone((0, 1)), "exchange", sms=0)

    def second(gpu: Gpu) -> Steps:
        yield gpu.all_to_all(everyone((0, 1)), "exchange", sms=0)
        gpu.machine.slots("one", 1).take()
        yield gpu.pull(0, GB, "pull")
        yield gpu.compute(FLOPS, "last")

    lab = Lab(topology(1, 2)).run([first, second])
    spans, path, at = lab.spans, [], len(lab.spans) - 1
    while at >= 0:
        path.append(f"{spans[at]['label']} of {spans[at]['rank']}")
        at = spans[at]["why"]
    assert path == ["last of 1", "pull of 1", "exchange of 1", "late of 0"]
    assert spans[-1]["end"] == 4
