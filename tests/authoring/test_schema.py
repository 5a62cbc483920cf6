"""Every YAML file that is shipped is valid by its schema, and mistakes are not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from janus_sim.authoring.schema import KINDS, first_line, schema_of, text_of
from janus_sim.errors import InputError

ROOT = Path(__file__).parent.parent.parent
ROOMS = {
    "experiment": "experiments",
    "topology": "topologies",
    "workload": "workloads",
    "gpu": "topologies/gpus",
    "baseline": "tests/regression/baselines",
}
FILES = [(kind, path) for kind, room in ROOMS.items() for path in sorted((ROOT / room).glob("*.yaml"))]
FILES += [("experiment", path) for path in sorted((ROOT / "docs" / "examples").glob("*.yaml"))]
SCHEMAS = ROOT / "schemas"


class Yaml12(yaml.SafeLoader):
    """YAML 1.2's numbers, as janus-sim reads them: 1e-3 is one, 0.1e1 too."""


def _number(loader: Any, node: Any) -> Any:
    text = loader.construct_scalar(node)
    try:
        return float(text)
    except ValueError:
        return text


Yaml12.add_constructor("tag:yaml.org,2002:str", _number)


def read(path: Path) -> Any:
    return yaml.load(path.read_text(encoding="utf-8"), Yaml12)  # noqa: S506


def mistakes(kind: str, data: object) -> list[str]:
    validator = jsonschema.Draft202012Validator(schema_of(kind))
    return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(data)]


@pytest.mark.parametrize(("kind", "path"), FILES, ids=lambda part: getattr(part, "stem", part))
def test_what_is_shipped_is_valid(kind: str, path: Path) -> None:
    assert mistakes(kind, read(path)) == []


@pytest.mark.parametrize(("kind", "path"), FILES, ids=lambda part: getattr(part, "stem", part))
def test_what_is_shipped_names_its_schema_on_the_first_line(kind: str, path: Path) -> None:
    assert path.read_text(encoding="utf-8").splitlines()[0] == first_line(kind, path, SCHEMAS)


@pytest.mark.parametrize("kind", KINDS)
def test_the_schemas_that_are_shipped_are_fresh(kind: str) -> None:
    found = (SCHEMAS / f"{kind}.json").read_text(encoding="utf-8")
    assert found == text_of(kind), "a field has changed; run: make schemas"


@pytest.mark.parametrize("kind", KINDS)
def test_a_schema_is_one(kind: str) -> None:
    jsonschema.Draft202012Validator.check_schema(schema_of(kind))


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("experiment", {"topology": "two_gpus", "workload": "moe_bert"}),
        (
            "experiment",
            {"topology": "two_gpus", "workload": "moe_bert", "policies": {}, "vary": {"seed": []}},
        ),
        ("experiment", {"topology": {"bass": "a100"}, "workload": "moe_bert", "policies": {}}),
        ("topology", {"base": "a100", "machine": {"nics": {"bandwidth": 200}}}),
        ("workload", {"base": "moe_bert", "kernels": "fast"}),
    ],
)
def test_mistakes_are_seen(kind: str, data: object) -> None:
    assert mistakes(kind, data)


def test_an_unknown_kind_is_told() -> None:
    with pytest.raises(InputError, match="did you mean"):
        schema_of("topolgy")
