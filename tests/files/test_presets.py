"""Presets by bare name, files by path, and layers of both."""

from __future__ import annotations

from pathlib import Path

import pytest

from janus_sim.errors import InputError
from janus_sim.files import find, layered, merge, put, take


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "small.yaml").write_text("machines: 1\nnic: {count: 1, rate: 2}\n")
    (tmp_path / "large.yaml").write_text("base: small.yaml\nmachines: 64\n")
    (tmp_path / "loop.yaml").write_text("base: ./loop.yaml\n")
    return tmp_path


def test_a_path_is_looked_up_beside_the_file_that_names_it(folder: Path) -> None:
    assert find("topologies", "small.yaml", folder) == folder / "small.yaml"
    assert find("topologies", str(folder / "small.yaml")) == folder / "small.yaml"


def test_layers_lie_over_each_other(folder: Path) -> None:
    data, paths = layered("topologies", {"base": "large.yaml", "nic": {"count": 4}}, folder)
    assert data == {"name": "large", "machines": 64, "nic": {"count": 4, "rate": 2}}
    assert [path.name for path in paths] == ["large.yaml", "small.yaml"]


@pytest.mark.parametrize(
    "source", ["loop.yaml", {"base": "loop.yaml"}, {"base": 4}, "none.yaml", "no_such_preset", ""]
)
def test_what_cannot_be_found_or_never_ends_is_refused(folder: Path, source: object) -> None:
    with pytest.raises(InputError):
        layered("topologies", source, folder)  # type: ignore[arg-type]


def test_shapes_are_changed_in_copies() -> None:
    base = {"a": {"b": 1}, "topology": "a100", "list": (1, {"c": 2})}
    assert put(base, "a.b", 2)["a"] == {"b": 2}
    short = {"topology": "base", "list.*": "name"}
    assert put(base, "topology.machines", 4, short)["topology"] == {"base": "a100", "machines": 4}
    assert put({"list": ("x",)}, "list.0.c", 3, short)["list"] == ({"name": "x", "c": 3},)
    assert put(base, "list.1.c", 3)["list"] == (1, {"c": 3})
    assert put(base, "new.deep", 1)["new"] == {"deep": 1}
    assert merge(base, {"a": {"c": 1}})["a"] == {"b": 1, "c": 1}
    assert base == {"a": {"b": 1}, "topology": "a100", "list": (1, {"c": 2})}
    assert take(base, "a.b") == 1
    with pytest.raises(ValueError, match="no part"):
        put(base, "a.b.c", 1)
    with pytest.raises(ValueError, match="'a100' has no part 'machines'"):
        put(base, "topology.machines", 4)


def test_a_mapping_is_laid_over_a_short_form_and_a_short_form_replaces_a_mapping() -> None:
    short = {"routing": "kind"}
    assert merge({"routing": "W3"}, {"routing": {"hot": 4}}, short) == {"routing": {"kind": "W3", "hot": 4}}
    assert merge({"routing": {"kind": "W3", "hot": 4}}, {"routing": "W0"}, short) == {"routing": "W0"}
