"""Bad input: exit 2, every mistake with its path and the right word, no traceback, nothing written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Run

Edit = Callable[[str], str]


def replace(old: str, new: str) -> Edit:
    def edit(text: str) -> str:
        assert old in text
        return text.replace(old, new)

    return edit


def nic(change: str) -> Edit:
    return replace(
        "topology: two_gpus", f"topology: {{base: a100, machines: 1, machine: {{nics: {change}}}}}"
    )


CASES: dict[str, tuple[Edit, list[str]]] = {
    "unknown key": (replace("baseline:", "basline:"), ["basline", 'did you mean "baseline"?']),
    "unknown knob": (
        replace("janus: {}", "janus: {treshold: 1.0}"),
        ["policies.janus.treshold", '"threshold"'],
    ),
    "unknown policy": (replace("  janus: {}", "  jnus: {}"), ["policies.jnus", 'did you mean "janus"?']),
    "unknown field of the model": (replace("hidden: 64", "hiden: 64"), ["workload.model.hiden", '"hidden"']),
    "wrong unit": (nic("{bandwidth: 200 Gbps/s}"), ["nics.bandwidth", 'write "200 Gbit/s"']),
    "bare number": (nic("{bandwidth: 200}"), ["nics.bandwidth", "has no unit"]),
    "bandwidth of zero": (nic("{bandwidth: 0 Gbit/s}"), ["nics.bandwidth", "not above zero"]),
    "negative bandwidth": (nic("{bandwidth: -1 Gbit/s}"), ["nics.bandwidth", "not above zero"]),
    "bandwidth not a number": (nic("{bandwidth: .nan}"), ["nics.bandwidth"]),
    "efficiency not a number": (nic("{efficiency: .nan}"), ["nics.efficiency"]),
    "missing file": (replace("topology: two_gpus", "topology: ./nowhere.yaml"), ["topology", "no such file"]),
    "missing preset": (replace("two_gpus", "two_gpu"), ["topology", 'did you mean "two_gpus"?']),
    "missing trace": (
        replace("seq_length: 16", "seq_length: 16\n  routing: {kind: trace, trace: nowhere.npz}"),
        ["workload.routing.trace", "no such file"],
    ),
    "top-k above the experts": (replace("top_k: 1", "top_k: 5"), ["workload.model.top_k", "5"]),
    "experts not divisible": (replace("experts_per_rank: 2", "experts: 3"), ["workload.model.experts", "3"]),
    "no match of ranks": (
        replace("precision: fp16", "precision: fp16\n  parallel: {ep: 3}"),
        ["workload.parallel.ep", "3"],
    ),
    "heads not divisible": (replace("heads: 4", "heads: 7"), ["workload.model"]),
    "a cycle": (replace("topology: two_gpus", "topology: &a {base: *a}"), ["cycle"]),
    "many aliases": (
        lambda text: (
            "a0: &a0 [x, x, x, x, x, x, x, x, x]\n"
            + "".join(f"a{i + 1}: &a{i + 1} [{', '.join([f'*a{i}'] * 9)}]\n" for i in range(9))
            + text
        ),
        ["unfolds to more than"],
    ),
    "garbage": (lambda _: "\x00\x01\x02" * 1000, ["is not YAML"]),
    "ten megabytes": (lambda _: "garbage\n" * 1_250_000, ["is larger than"]),
    "a tag": (replace("two_gpus", "!!python/name:os.system"), ["tag"]),
    "a key twice": (lambda text: text + "name: again\n", ["stands twice"]),
    "a tp that does not work yet": (
        replace("precision: fp16", "precision: fp16\n  parallel: {tp: 2}"),
        ["workload.parallel.tp"],
    ),
    "an override that matches nothing": (
        replace("topology: two_gpus", "topology: {base: two_gpus, overrides: [{links: 'm9.*', scale: 0.5}]}"),
        ["topology.overrides", "m9"],
    ),
    "a grid of 10^9 runs": (
        lambda text: text + "vary: {workload.micro_batch_size: [1, 2, 3]}\nseeds: 1000000000\n",
        ["vary", "makes 9,000,000,000 runs"],
    ),
    "an empty list": (
        lambda text: text + "vary: {workload.micro_batch_size: []}\n",
        ["vary.workload.micro_batch_size", "is an empty list: 0 runs"],
    ),
    "an unknown path": (
        lambda text: text + "vary: {workload.model.hiden: [64, 128]}\n",
        ["workload.model.hiden", 'did you mean "hidden"?'],
    ),
    "an unknown root": (
        lambda text: text + "vary: {work.model.hidden: [64, 128]}\n",
        ["vary.work.model.hidden", "leads nowhere"],
    ),
    "a huge grid": (
        lambda text: text + f"vary: {{seed: {list(range(101))}, steps: {list(range(1, 102))}}}\n",
        ["vary", "10,000"],
    ),
    "a module that is not there": (
        replace("janus: {}", "janus: {type: 'nowhere:Lazy'}"),
        ["policies.janus", "cannot import nowhere"],
    ),
    "several at once": (
        lambda text: (
            text.replace("two_gpus", "two_gpu")
            .replace("janus: {}", "janus: {by: chance}")
            .replace("hidden: 64", "hidden: big")
        ),
        ["topology", "policies.janus.by", "workload.model.hidden"],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_bad_input_is_told_and_nothing_is_written(case: str, janus_sim: Run, tiny: Path) -> None:
    edit, words = CASES[case]
    tiny.write_text(edit(tiny.read_text()))
    done = janus_sim("run", tiny)
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    missing = [word for word in words if word not in done.stderr]
    assert not missing, done.stderr
    assert [path.name for path in tiny.parent.iterdir()] == ["tiny.yaml"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run"], ["EXPERIMENT"]),
        (["run", "nowhere.yaml"], ["nowhere.yaml", "no such file"]),
        (["run", "."], ['"." is a folder']),
        (["run", "quickstart", "policies="], ["policies", "a name is empty"]),
        (["advise", "-t", "two_gpus", "-w", "moe_bert", "policies.x=1"], ["policies.x", "1 is wrong"]),
        (["report", "nowhere"], ["nowhere", "there is no such folder"]),
        (["report", "nowhere", "--html", "/dev/null/x"], ["/dev/null/x", "--html"]),
        (["run", "quickstrt"], ['did you mean "quickstart"?']),
        (["run", "quickstart", "sed=1"], ['did you mean "seed"?']),
        (["run", "quickstart", "--format", "xml"], ["--format", "xml"]),
        (["demoo"], ["demoo"]),
        (["run", "quickstart", "--out", "/dev/null"], ["/dev/null", "is not a folder"]),
        (["run", "quickstart", "--out", "/dev/null/x"], ["/dev/null/x", "cannot be made"]),
    ],
)
def test_wrong_use_is_told(arguments: list[str], words: list[str], janus_sim: Run) -> None:
    done = janus_sim(*arguments)
    assert done.returncode == 2
    assert all(word in done.stderr for word in words), done.stderr
    assert "Traceback" not in done.stderr
