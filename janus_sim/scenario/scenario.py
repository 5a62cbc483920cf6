"""One run as a frozen value: a topology, a workload, one policy, a schedule and a seed."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from janus_sim.errors import InputError, Mistake
from janus_sim.files import Field, NonNegative, Positive, Spec, digest, find, merge, model_validator
from janus_sim.record import BOUND, LOSSY
from janus_sim.scenario import builds
from janus_sim.scenario.modules import sources
from janus_sim.scenario.plug import policy_from, schedule_from

if TYPE_CHECKING:
    from janus_sim.policies.base import Policy
    from janus_sim.schedules.base import Schedule
    from janus_sim.topology import Topology
    from janus_sim.workload.spec import WorkloadSpec
    from janus_sim.workload.workload import Workload

Written = str | dict[str, Any]  #: a preset's name, a path, or a mapping as in a file
Tolerance = Annotated[float, Field(ge=0.0, le=0.1)]  #: of the network, see `Scenario`


class Scenario(Spec):
    """One run. Equal scenarios give equal results, to the last bit, in any process.

    Attributes
    ----------
    topology, workload : str or mapping
        A preset's name, a path, or a mapping as in a file, with ``base``.
    policy : str or mapping
        See `policy_from`.
    schedule : str or mapping
    seed : int
        Of routing and jitter.
    steps : int, optional
        Instead of the workload's.
    alike : "machines", optional
        Simulate one machine, the others are its images; refused where that is not exact.
    tolerance : float
        Of the network, 0 to 0.1; 0 is exact (`docs/model.md`).
    name, experiment, label, topology_name, workload_name : str
        What it is called in tables; ``label`` is the policy's name there.
    baseline : bool
        Whether the others at its point of the grid are compared with it.
    point : mapping
        From dotted paths to the values that this run has of an experiment's axes.

    Examples
    --------
    >>> Scenario(topology="two_gpus", workload="moe_bert", policy="janus").label
    'janus'
    """

    topology: Written
    workload: Written
    policy: dict[str, Any]
    schedule: Written = "sequential"
    seed: NonNegative = 0
    steps: Positive | None = None
    alike: Literal["machines"] | None = None
    tolerance: Tolerance = 0.0
    name: str = ""
    experiment: str = ""
    label: str = ""
    topology_name: str = ""
    workload_name: str = ""
    baseline: bool = False
    point: dict[str, Any] = Field(default_factory=dict)
    folders: tuple[Path, ...] = Field(
        default=(), exclude=True, repr=False
    )  #: where relative paths and modules are looked for
    file: str = Field(default="", exclude=True, repr=False)  #: for errors

    @model_validator(mode="before")
    @classmethod
    def _named(cls, data: Any) -> Any:  # noqa: ANN401
        if not isinstance(data, Mapping):
            return data
        data = dict(data)
        if isinstance(data.get("policy"), str):
            data["policy"] = {"type": data["policy"]}
        data["label"] = data.get("label") or str(dict(data.get("policy") or {}).get("type", ""))
        for room in ("topology", "workload"):
            data[f"{room}_name"] = data.get(f"{room}_name") or label(data.get(room))
        data["name"] = data.get("name") or data["label"]
        return data

    @property
    def beside(self) -> Path | None:
        """The folder of the file that this run was read from."""
        return self.folders[0] if self.folders else None

    def where(self, part: str) -> str:
        """Say where a part was written."""
        return f"{self.file}: {part}" if self.file else part

    def workload_spec(self) -> WorkloadSpec:
        """Read the workload."""
        where = self.where("workload")
        if isinstance(self.workload, str):  # mistakes inside a file are told with the path of that file
            where = f"{find('workloads', self.workload, self.beside, where)}:"
        return builds.workload_spec(self._workload(), self.beside, where)

    def build_topology(self) -> Topology:
        """Build the topology."""
        where = self.where("topology")
        if isinstance(self.topology, str):
            where = f"{find('topologies', self.topology, self.beside, where)}:"
        return builds.topology(self.topology, self.beside, where)

    def build_workload(self, topology: Topology) -> Workload:
        """Build the workload, laid out on the ranks and machines of a topology."""
        from janus_sim.workload.workload import Workload

        where, spec = self.where("workload"), self.workload_spec()
        folder = self._data_folder()
        return Workload.load(
            spec, topology.world, width=topology.width, seed=self.seed, where=where, beside=folder
        )

    def build_policy(self, topology: Topology | None = None) -> Policy:
        """Build the policy; one that GPUs of the topology cannot run is refused."""
        where = self.where(f"policies.{self.label}")
        policy = policy_from(self.policy, where, self.folders)
        misfits = policy.misfits([gpu.kind for gpu in topology.gpus]) if topology else ()
        if misfits:
            raise InputError([Mistake(f"{where}.{one.where}", one.message) for one in misfits])
        return policy

    def build_schedule(self) -> Schedule:
        """Build the schedule."""
        return schedule_from(self.schedule, self.where("schedule"), self.folders)

    def described(self) -> dict[str, Any]:
        """Say what is run as plain values, for a `Result`; ``point`` has the axes without a column.

        A policy that may see the future, or that is not accuracy-neutral, is marked wherever it is named.
        """
        spec = self.workload_spec()
        schedule = self.schedule if isinstance(self.schedule, str) else str(self.schedule.get("type", ""))
        policy = self.build_policy()
        mark = (BOUND if policy.bound else "") + (LOSSY if policy.lossy else "")
        return {
            "name": f"{self.label}{mark}".join(self.name.split(self.label, 1)),
            "experiment": self.experiment,
            "topology": self.topology_name,
            "workload": self.workload_name,
            "precision": spec.precision,
            "micro_batch_size": spec.micro_batch_size,
            "policy": f"{self.label}{mark}",
            "baseline": self.baseline,
            "schedule": schedule,
            "seed": self.seed,
            "point": {path: plain(value) for path, value in self.point.items()},
            "knobs": dict(self.policy),
        }

    def inputs(self) -> dict[str, str]:
        """Give the SHA-256 of every file behind this run, by a name that holds on any machine."""
        found = builds.inputs("topologies", self.topology, self.beside)
        found |= builds.inputs("workloads", self.workload, self.beside)
        found |= {f"traces/{path.name}": builds.digest_of(path) for path in self._traces()}
        for reference in _references([self.policy, self.schedule]):
            found |= {f"modules/{name}": sha for name, sha in sources(reference, self.folders).items()}
        return found

    def done_to_trace(self) -> tuple[str, ...]:
        """Say what was done to a recorded trace before it is replayed: its notes, where it is fitted."""
        spec = self.workload_spec()
        if spec.routing.fit is None:
            return ()
        info = getattr(self.build_workload(self.build_topology()).trace, "info", None)
        return () if info is None else tuple(info.notes)

    def key(self) -> str:
        """Give a SHA-256 of all that the result depends on, but for the version of janus-sim."""
        parts = ("topology", "workload", "policy", "schedule", "seed", "steps", "alike")
        content = {part: value for part, value in self.model_dump(mode="json").items() if part in parts}
        if self.tolerance:
            content["tolerance"] = self.tolerance
        text = json.dumps({**content, "inputs": self.inputs()}, sort_keys=True, separators=(",", ":"))
        return digest(text.encode())

    def _workload(self) -> Written:
        if self.steps is None:
            return self.workload
        base: dict[str, Any] = {"base": self.workload} if isinstance(self.workload, str) else self.workload
        return merge(base, {"steps": self.steps})

    def _data_folder(self) -> Path | None:
        """Give the folder that traces lie beside: the workload's, else the experiment's."""
        if isinstance(self.workload, str) and "/" in self.workload:
            return find("workloads", self.workload, self.beside).parent
        return self.beside

    def _traces(self) -> tuple[Path, ...]:
        from janus_sim.traces.reading import find_trace

        return tuple(find_trace(file, self._data_folder()) for file in self.workload_spec().routing.files)


def label(written: object, changes: bool = True) -> str:
    """Give the name of a topology or a workload as a table shows it, with what was changed in it or without.

    Examples
    --------
    >>> label("a100_4x8"), label("labs/mine.yaml"), label({"base": "a100", "machines": 4})
    ('a100_4x8', 'mine', 'a100 machines=4')
    """
    if not isinstance(written, Mapping):
        return Path(str(written)).stem
    if "name" in written:
        return str(written["name"])
    if "base" not in written:
        return "own"
    nested = {
        key: isinstance(value, Mapping | tuple | list) for key, value in written.items() if key != "base"
    }
    shown = [key if deep else f"{key}={written[key]}" for key, deep in nested.items() if changes]
    return " ".join([label(written["base"], changes), *shown])


def plain(value: object) -> Any:  # noqa: ANN401
    """Give a value as one cell of a table shows it.

    Examples
    --------
    >>> plain(4), plain((1, 2)), plain({"by": "traffic"})
    (4, '[1, 2]', '{by: traffic}')
    """
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {plain(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, tuple | list):
        return "[" + ", ".join(str(plain(inner)) for inner in value) + "]"
    return value


def _references(value: object) -> list[str]:
    """Find the ``module:Class`` words inside a policy or a schedule."""
    if isinstance(value, Mapping):
        return _references([*value, *value.values()])
    if isinstance(value, tuple | list):
        return [word for inner in value for word in _references(inner)]
    return [value] if isinstance(value, str) and re.fullmatch(r"[\w.]+:\w+", value) else []
