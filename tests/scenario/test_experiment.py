"""From a file to its scenarios: grids, overrides, and every mistake at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from janus_sim.errors import InputError
from janus_sim.scenario import Experiment
from janus_sim.scenario.changes import changed
from janus_sim.scenario.scenario import Scenario

TEXT = """
topology: two_gpus
workload: moe_gpt
baseline: expert_centric
policies:
  expert_centric: {}
  data_centric: {credits: layer}
  patient: {type: pipelined, chunks: 2, inner: {janus: {}}}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "x.yaml"
    path.write_text(TEXT)
    return path


def add(file: Path, text: str) -> Path:
    file.write_text(TEXT + text)
    return file


def refusal(file: Path, *changes: str) -> str:
    with pytest.raises(InputError) as caught:
        Experiment.load(file, changes).scenarios()
    return str(caught.value)


def names(file: Path, *changes: str) -> list[str]:
    return [scenario.name for scenario in Experiment.load(file, changes).scenarios()]


def test_without_axes_there_is_one_run_a_policy(file: Path) -> None:
    scenarios = Experiment.load(file).scenarios()
    assert [scenario.label for scenario in scenarios] == ["expert_centric", "data_centric", "patient"]
    assert scenarios[0].baseline
    assert scenarios[2].policy == {"type": "pipelined", "chunks": 2, "inner": {"janus": {}}}


def test_axes_multiply_and_zipped_ones_move_together(file: Path) -> None:
    add(
        file,
        "vary: {workload.micro_batch_size: [1, 2]}\nzip: {seed: [3, 4], workload.precision: [fp16, tf32]}\n",
    )
    scenarios = Experiment.load(file, ["policies=expert_centric"]).scenarios()
    points = [(s.seed, s.workload["precision"], s.workload["micro_batch_size"]) for s in scenarios]  # type: ignore[index]
    assert points == [(3, "fp16", 1), (3, "fp16", 2), (4, "tf32", 1), (4, "tf32", 2)]
    assert scenarios[0].name == "expert_centric seed=3 precision=fp16 micro_batch_size=1"
    assert scenarios[0].workload == {"base": "moe_gpt", "precision": "fp16", "micro_batch_size": 1}


def test_a_knob_of_one_policy_does_not_repeat_the_others(file: Path) -> None:
    assert names(file, "policies.data_centric.credits=4,8") == [
        "expert_centric",
        "data_centric credits=4",
        "patient",
        "data_centric credits=8",
    ]


def test_the_point_holds_the_axes_without_a_column(file: Path) -> None:
    scenario = Experiment.load(
        file, ["workload.micro_batch_size=1,2", "topology.machine.nics.count=1,2"]
    ).scenarios()[0]
    assert scenario.point == {"topology.machine.nics.count": 1}


def test_changes_set_values_axes_and_policies(file: Path) -> None:
    experiment = Experiment.load(
        file, ["seed=7", "policies=janus,patient", "topology={base: a100, machines: 4}"]
    )
    assert experiment.seed == 7
    assert experiment.topology == {"base": "a100", "machines": 4}
    assert experiment.policies["janus"] == {}
    assert experiment.policies["patient"] == {"type": "pipelined", "chunks": 2, "inner": {"janus": {}}}


def test_a_change_inside_what_an_axis_replaces_is_not_lost() -> None:
    """The workload is an axis; its batch, one value, holds for each of them."""
    data = {"vary": {"workload": ("moe_bert", "moe_gpt")}}
    assert changed(data, ["workload.micro_batch_size=4"])["vary"] == {
        "workload": ("moe_bert", "moe_gpt"), "workload.micro_batch_size": (4,),
    }  # fmt: skip


def test_a_change_inside_what_a_zipped_axis_replaces_is_not_lost() -> None:
    data = {"zip": {"workload": ("moe_bert", "moe_gpt"), "seed": (1, 2)}}
    assert changed(data, ["workload.micro_batch_size=4"])["vary"] == {"workload.micro_batch_size": (4,)}


def test_a_short_form_takes_parts_whichever_is_written_first(file: Path) -> None:
    for changes in (
        ["workload.routing=W3", "workload.routing.hot=4"],
        ["workload.routing.hot=4", "workload.routing=W3"],
    ):
        workload = Experiment.load(file, changes).workload
        assert workload == {"base": "moe_gpt", "routing": {"kind": "W3", "hot": 4}}


def test_short_forms_take_parts_in_an_axis_a_policy_and_a_schedule(file: Path) -> None:
    axis = Experiment.load(file, ["workload.routing=W3,W2", "workload.routing.hot=4"]).scenarios()
    assert [one.workload["routing"] for one in axis[::3]] == [  # type: ignore[index]
        {"kind": "W3", "hot": 4}, {"kind": "W2", "hot": 4},
    ]  # fmt: skip
    inner = Experiment.load(file, ["policies.patient.inner=janus", "policies.patient.inner.by=traffic"])
    assert inner.policies["patient"]["inner"] == {"type": "janus", "by": "traffic"}  # type: ignore[index]
    schedule = Experiment.load(file, ["schedule=sequential", "schedule.knob=1"]).schedule
    assert schedule == {"type": "sequential", "knob": 1}


def test_parts_are_laid_over_the_short_form_of_a_file(tmp_path: Path, file: Path) -> None:
    """The preset says `routing: W3`; who is based on it, or changes it, says how many are hot."""
    (tmp_path / "mine.yaml").write_text("base: moe_gpt\nrouting: W3\n")
    changes = ["workload=mine.yaml", "workload.routing.hot=4"]
    for scenario in Experiment.load(file, changes).scenarios():
        assert (scenario.workload_spec().routing.kind, scenario.workload_spec().routing.hot) == ("W3", 4)


def test_a_list_of_policies_takes_knobs(tmp_path: Path) -> None:
    path = tmp_path / "list.yaml"
    path.write_text("topology: two_gpus\nworkload: moe_gpt\npolicies: [expert_centric, janus]\n")
    assert Experiment.load(path, ["policies.janus.by=traffic"]).policies["janus"] == {"by": "traffic"}


def test_a_change_takes_the_place_of_an_axis() -> None:
    data = {"vary": {"seed": (1, 2)}, "zip": ({"steps": (1, 2), "workload": ("a", "b")},)}
    assert changed(data, ["seed=5", "steps=3"]) == {
        "vary": {}, "zip": ({"workload": ("a", "b")},), "seed": 5, "steps": 3,
    }  # fmt: skip


def test_commas_in_brackets_are_not_axes() -> None:
    assert changed({}, ["workload.model.experts=[1, 2]", "name='a,b'"]) == {
        "workload": {"model": {"experts": (1, 2)}},
        "name": "a,b",
    }


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("topolgy: x\n", 'topolgy  unknown; did you mean "topology"?'),
        ("seed: -1\n", "seed"),
        ("seed: 1.5\n", "1.5 is wrong"),
        ("steps: 0\n", "steps"),
        ("vary: {workload.micro_batch_size: 4}\n", "4 is no list of values"),
        ("vary: {workload.micro_batch_size: []}\n", "is an empty list"),
        ("vary: {wrkload.micro_batch_size: [4]}\n", 'leads nowhere; did you mean "workload"?'),
        ("vary: {seed: [1]}\nzip: {seed: [1]}\n", "is an axis twice"),
        ("zip: {seed: [1, 2], steps: [1]}\n", "write as many in each"),
        ("zip: 4\n", "no mapping"),
        ("vary: {seed: [1, x]}\n", "whole number"),
        ("vary: {topology: [4]}\n", "no name"),
        ("vary: {policies.jnus.by: [traffic]}\n", "no policy"),
        ("vary: {policies.data_centric: [{}]}\n", "whole policy"),
        ("vary: {topology.machine.0: [1]}\nname: {a: 1}\n", "name"),
        ("folders: [x]\n", "unknown"),
    ],
)
def test_what_is_wrong_in_the_file_is_told(file: Path, text: str, said: str) -> None:
    message = refusal(add(file, text))
    assert said in message
    assert message.startswith(f"{file}:")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("seed", "write key=value"),
        ("=3", "write key=value"),
        ("sede=3", "did you mean"),
        ("seed=[1", "is not YAML"),
        ("baseline=nobody", "no policy"),
    ],
)
def test_what_is_wrong_on_the_command_line_is_told(file: Path, change: str, said: str) -> None:
    assert said in refusal(file, change)


def test_a_huge_grid_is_refused_before_it_is_made(file: Path) -> None:
    numbers = ", ".join(map(str, range(200)))
    axes = ", ".join(f"workload.{axis}: [{numbers}]" for axis in "abcdef")
    assert "write a grid of 10,000 at most" in refusal(add(file, f"vary: {{{axes}}}\n"))


def test_equal_scenarios_have_equal_hashes_and_keys(file: Path) -> None:
    first, again = (Experiment.load(file).scenarios()[0] for _ in range(2))
    assert first == again
    assert hash(first) == hash(again)
    assert first.key() == again.key()
    assert first.key() != first.change(seed=1).key()


def test_a_preset_and_python_make_the_same_scenario() -> None:
    scenario = Scenario(topology="two_gpus", workload="moe_gpt", policy="janus")  # type: ignore[arg-type]
    assert (scenario.label, scenario.topology_name, scenario.policy) == (
        "janus",
        "two_gpus",
        {"type": "janus"},
    )


def test_a_missing_file_names_the_nearest_preset() -> None:
    with pytest.raises(InputError, match='no preset "quickstrt" in experiments; did you mean "quickstart"'):
        Experiment.load("quickstrt")
    with pytest.raises(InputError, match="no such file"):
        Experiment.load("nowhere/x.yaml")


def test_a_key_that_cannot_be_read_hides_no_other_mistake(file: Path) -> None:
    add(file, "seed: -1\nschedul: sequential\nvary: {workload.micro_batch_size: 3}\n")
    told = refusal(file, "topology=two_gpu", "policies.patient.chunk=3", "workload.precision=fp17")
    for part in (
        "seed  ",
        "schedul  ",
        "vary.workload.micro_batch_size  ",
        'no preset "two_gpu"',
        "policies.patient.chunk  ",
        '"fp17" is not known',
    ):
        assert part.split("  ")[0] in told, part


def test_an_empty_value_is_called_empty(file: Path) -> None:
    assert "seed  is empty; write a valid integer" in refusal(file, "seed=")


def test_alike_goes_to_every_scenario_and_is_no_other_word() -> None:
    about = {"topology": "a100_2x8", "workload": "moe_gpt", "policies": {"janus": {}}}
    (scenario,) = Experiment(**about, alike="machines").scenarios()
    assert scenario.alike == "machines"
    with pytest.raises(InputError, match="write machines, or leave it out"):
        Experiment(**about, vary={"alike": ["gpus"]}).scenarios()


def test_a_tolerance_goes_to_every_scenario_and_into_its_key_where_it_is_not_exact() -> None:
    about = {"topology": "a100_2x8", "workload": "moe_gpt", "policies": {"janus": {}}}
    (exact,) = Experiment(**about).scenarios()
    (zero,) = Experiment(**about, tolerance=0.0).scenarios()
    (near,) = Experiment(**about, tolerance=2e-3).scenarios()
    assert (exact.tolerance, near.tolerance) == (0.0, 2e-3)
    assert exact.key() == zero.key() != near.key()
    with pytest.raises(InputError, match="write a number from 0"):
        Experiment(**about, vary={"tolerance": [0.5]}).scenarios()
