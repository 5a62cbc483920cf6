"""Policies from mappings: typed knobs, nested policies, and modules that are edited while we look."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import pytest

from janus_sim.errors import InputError
from janus_sim.policies import POLICIES
from janus_sim.scenario import outside
from janus_sim.scenario.modules import sources
from janus_sim.scenario.plug import policy_from, schedule_from

HEAD = """
from __future__ import annotations
from dataclasses import dataclass, field
from janus_sim import POLICIES
"""
LAZY = f"""{HEAD}

@dataclass(frozen=True)
class Lazy(POLICIES["expert_centric"]):
    patience: float = 0.0
    pause: float = field(default=0.0, metadata={{"unit": "seconds"}})
    rounds: int = 1
    generation = GENERATION
"""


def lazy(folder: Path, generation: int, name: str = "lazy_policy") -> None:
    (folder / f"{name}.py").write_text(LAZY.replace("GENERATION", str(generation)))


def refusal(spec: object, folder: Path = Path()) -> str:
    with pytest.raises(InputError) as caught:
        policy_from(spec, "x.yaml: policies.p", [folder])  # type: ignore[arg-type]
    return str(caught.value)


def test_a_name_a_type_and_a_nested_mapping_are_all_read() -> None:
    assert (
        policy_from("janus")
        == policy_from({"type": "janus"})
        == policy_from({"janus": {}})
        == POLICIES["janus"]()
    )
    pipelined = policy_from({"type": "pipelined", "chunks": 4, "inner": {"janus": {}}})
    assert pipelined == POLICIES["pipelined"](chunks=4, inner=POLICIES["janus"]())  # type: ignore[call-arg]
    assert policy_from({"type": "pipelined", "inner": "janus"}).inner == POLICIES["janus"]()  # type: ignore[attr-defined]
    refetch = policy_from({"type": "data_centric", "backward": "refetch", "credits": 4})
    assert refetch == POLICIES["data_centric"](backward_from="refetch", credits=4)  # type: ignore[call-arg]
    assert type(schedule_from("sequential")).__name__ == "Sequential"


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("janis", 'no policy "janis"; did you mean "janus"?'),
        ({"type": "janus", "treshold": 1.0}, 'treshold  unknown; did you mean "threshold"?'),
        ({"type": "janus", "by": "trafic"}, 'by  "trafic" is not known'),
        ({"type": "data_centric", "hierarchical": 1}, "hierarchical  1 is wrong; write a valid boolean"),
        ({"type": "data_centric", "credits": "many"}, "credits"),
        ({"type": "pipelined", "chunks": 2, "inner": {"type": "janus", "bye": 1}}, "inner.bye"),
        ({"type": "pipelined", "chunks": 2, "inner": {"jans": {}}}, "inner.jans"),
        ({"type": "pipelined", "chunks": 2, "inner": 4}, "4 is no policy"),
        ({"by": "traffic", "threshold": 1.0}, "the type is missing"),
        ({"type": 4}, "no name"),
        ({}, "no policy"),
        ({"type": "no_such_module:Lazy"}, "cannot import no_such_module"),
        ({"type": "../evil:Lazy"}, 'write "module:Class"'),
        ({"type": "pathlib:Path"}, "let it be a subclass of Policy"),
        ({"type": "pathlib:Pat"}, "has no class Pat"),
        ({"type": "janus_sim.policies.base:Policy"}, "is not finished; write backward, forward"),
    ],
)
def test_what_is_wrong_is_told_with_its_path(spec: object, said: str) -> None:
    assert said in refusal(spec)
    assert refusal(spec).startswith("x.yaml:\n  policies.p")


def test_all_mistakes_of_a_nested_policy_come_at_once() -> None:
    found = refusal({"type": "pipelined", "chunk": 2, "inner": {"type": "janus", "bye": 1}})
    assert "policies.p.chunk " in found
    assert "policies.p.inner.bye" in found


def test_floats_are_read_from_words(tmp_path: Path) -> None:
    lazy(tmp_path, 1)
    policy = policy_from(
        {"type": "lazy_policy:Lazy", "patience": "50 us", "pause": "1 ms"}, folders=[tmp_path]
    )
    assert (policy.patience, policy.pause) == (50e-6, 1e-3)  # type: ignore[attr-defined]
    assert policy_from({"type": "lazy_policy:Lazy", "patience": 2.5}, folders=[tmp_path]).patience == 2.5  # type: ignore[attr-defined]
    assert "has no unit" in refusal({"type": "lazy_policy:Lazy", "pause": 2.5}, tmp_path)
    assert "is no number" in refusal({"type": "lazy_policy:Lazy", "patience": "50 parsec"}, tmp_path)
    assert "rounds" in refusal({"type": "lazy_policy:Lazy", "rounds": 1.5}, tmp_path)


def test_an_edited_policy_is_never_taken_for_the_old_one(tmp_path: Path) -> None:
    for generation in range(5):  # within one tick of the file system's clock, and of one size
        lazy(tmp_path, generation)
        policy = policy_from("lazy_policy:Lazy", folders=[tmp_path])
        assert policy.generation == generation  # type: ignore[attr-defined]
    assert list(sources("lazy_policy:Lazy", [tmp_path])) == ["lazy_policy"]


def test_a_module_beside_it_is_fresh_too(tmp_path: Path) -> None:
    (tmp_path / "lab_a").mkdir()
    (tmp_path / "lab_a" / "two.py").write_text(
        LAZY.replace("GENERATION", "VALUE").replace(
            "import POLICIES", "import POLICIES\nfrom lab_a.value import VALUE"
        )
    )
    for generation in range(3):
        (tmp_path / "lab_a" / "value.py").write_text(f"VALUE = {generation}\n")
        assert policy_from("lab_a.two:Lazy", folders=[tmp_path]).generation == generation  # type: ignore[attr-defined]
    assert list(sources("lab_a.two:Lazy", [tmp_path])) == ["lab_a.two", "lab_a.value"]


def test_the_first_folder_wins_and_another_folder_is_another_module(tmp_path: Path) -> None:
    folders = [tmp_path / "a", tmp_path / "b"]
    for index, folder in enumerate(folders):
        folder.mkdir()
        lazy(folder, index)
    assert policy_from("lazy_policy:Lazy", folders=folders).generation == 0  # type: ignore[attr-defined]
    assert policy_from("lazy_policy:Lazy", folders=folders[::-1]).generation == 1  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("def broken(:", "SyntaxError"),
        ("raise RuntimeError('no luck')", "RuntimeError: no luck"),
        ("class Lazy: pass", "subclass of Policy"),
        ("class Lazy(POLICIES['janus']):\n    patience: float = 1.0", "@dataclass(frozen=True)"),
        ("@dataclass\nclass Lazy(POLICIES['janus']):\n    patience: float = 1.0", "TypeError"),
        (
            "@dataclass(frozen=True)\nclass Lazy(POLICIES['janus']):\n    wait: Nothing = 1.0",
            "cannot be read",
        ),
    ],
)
def test_a_broken_module_is_told_without_a_traceback(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "broken_policy.py").write_text(f"{HEAD}\n{text}\n")
    assert said in refusal("broken_policy:Lazy", tmp_path)


def test_a_module_that_is_taken_is_not_confused(tmp_path: Path) -> None:
    lazy(tmp_path, 1, "json")
    assert "rename json.py" in refusal("json:Lazy", tmp_path)


def test_knobs_that_a_policy_refuses_itself_are_told_each_with_its_path() -> None:
    with pytest.raises(InputError) as caught:
        policy_from({"type": "data_centric", "credits": 0, "in_flight": -1}, "x.yaml: policies.few")
    told = str(caught.value)
    assert "policies.few.credits    0 is wrong; write 1 or more" in told
    assert "policies.few.in_flight  -1 is wrong; write 1 or more" in told


def test_a_class_of_a_notebook_is_known_by_the_cells_that_ran(monkeypatch: pytest.MonkeyPatch) -> None:
    """An edited cell is another key; where no source is left, nothing is stored under a key that lies."""
    session = ModuleType("__main__")
    session.Mine = POLICIES["expert_centric"]  # type: ignore[attr-defined]
    session.In = ["", "patience = 1", "class Mine(ExpertCentric): ..."]  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "__main__", session)
    first = sources("__main__:Mine", [])
    assert first == sources("__main__:Mine", [])
    session.In.append("patience = 2")
    assert sources("__main__:Mine", []) != first
    del session.In
    with pytest.raises(InputError, match="no source of it is left; write it into a file"):
        sources("__main__:Mine", [])


def test_what_a_policy_imports_from_elsewhere_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package along the path by its files, one that is installed by its version; also inside a function."""
    lab = tmp_path / "elsewhere" / "lab_of_mine"
    lab.mkdir(parents=True)
    (lab / "__init__.py").write_text("")
    (lab / "deep.py").write_text("SECONDS = 1e-3\n")
    monkeypatch.syspath_prepend(str(lab.parent))
    text = (
        LAZY.replace("GENERATION", "1")
        + "\nimport numpy\ndef late():\n    from lab_of_mine import deep\n    return deep\n"
    )
    (tmp_path / "imports_much.py").write_text(text)
    outside.package.cache_clear()
    first = sources("imports_much:Lazy", [tmp_path])
    assert list(first)[:3] == ["imports_much", "lab_of_mine.__init__", "lab_of_mine.deep"]
    assert [name.partition(" ")[0] for name in list(first)[3:]] == ["numpy"]
    (lab / "deep.py").write_text("SECONDS = 2e-3\n")
    assert sources("imports_much:Lazy", [tmp_path]) == first  # Python has the old one still
    outside.package.cache_clear()  # as in a new process
    second = sources("imports_much:Lazy", [tmp_path])
    assert [name for name in first if first[name] != second[name]] == ["lab_of_mine.deep"]
