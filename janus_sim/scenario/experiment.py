"""An experiment: a file with a grid, as a frozen value, and what the command line changes in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Self

from janus_sim.errors import InputError, Mistake
from janus_sim.files import (
    Field,
    NonNegative,
    Positive,
    Spec,
    find,
    join,
    nearest,
    read_yaml,
    show,
    validate,
)
from janus_sim.scenario.changes import AXES, changed
from janus_sim.scenario.otherwise import instead
from janus_sim.scenario.scenario import Scenario, Tolerance, Written

Columns = dict[str, Sequence[Any]]


class Figures(Spec):
    """How figures are drawn: as wide as a ``column`` or the ``page`` of a paper, or as suits a screen."""

    width: Literal["column", "page"] | None = None


class Experiment(Spec):
    """A grid of scenarios.

    Attributes
    ----------
    name, source : str
    topology, workload : str or mapping
    schedule : str or mapping
    baseline : str, optional
        The policy that the others are compared with, at the same point of the grid.
    policies : mapping
        From a name to the knobs of the policy; ``type`` where the name is not that of a policy.
    vary : mapping
        From a dotted path to its values; the grid is their product.
    zip : mapping, or a tuple of mappings
        Paths whose values move together: one more axis each.
    seed : int
    seeds : int, optional
        Run each scenario under so many seeds, from ``seed`` on, the same for all policies.
    steps : int, optional
    alike : "machines", optional
        See `Scenario`.
    tolerance : float
        See `Scenario`.
    uncertainty : mapping
        From a dotted path to the range that its value may have; see `janus_sim.uncertainty`.
    otherwise : str, optional
        The experiment that is run instead where a file of ``workload.routing.trace`` is absent.
    figures : Figures, optional
    instead : str
        Why this one is run, and not the one that was asked for; empty if it was.

    Examples
    --------
    >>> experiment = Experiment(
    ...     topology="two_gpus",
    ...     workload="moe_gpt",
    ...     policies={"expert_centric": {}, "janus": {}},
    ...     vary={"workload.micro_batch_size": [32, 64]},
    ... )
    >>> [scenario.name for scenario in experiment.scenarios()]  # doctest: +NORMALIZE_WHITESPACE
    ['expert_centric micro_batch_size=32', 'janus micro_batch_size=32',
     'expert_centric micro_batch_size=64', 'janus micro_batch_size=64']
    """

    name: str = "experiment"
    source: str = ""
    topology: Written
    workload: Written
    schedule: Written = "sequential"
    baseline: str | None = None
    policies: dict[str, dict[str, Any] | None]
    vary: dict[str, Any] = Field(default_factory=dict)
    zip: Any = ()
    seed: NonNegative = 0
    seeds: Positive | None = None
    steps: Positive | None = None
    alike: Literal["machines"] | None = None
    tolerance: Tolerance = 0.0
    uncertainty: dict[str, Any] = Field(default_factory=dict)
    otherwise: str | None = None
    figures: Figures | None = None
    instead: str = Field(default="", exclude=True, repr=False)
    folders: tuple[Path, ...] = Field(default=(), exclude=True, repr=False)
    file: str = Field(default="", exclude=True, repr=False)

    @classmethod
    def load(cls, source: str | Path, changes: Sequence[str] = ()) -> Self:
        """Read an experiment by the name of a preset or a path, and change it.

        Parameters
        ----------
        source : str or Path
        changes : sequence of str
            ``key=value`` sets a value, ``key=a,b,c`` makes it an axis; ``policies=a,b`` chooses policies.

        Raises
        ------
        InputError
            With every mistake.
        """
        path = find("experiments", source)
        data = {"name": path.stem, **read_yaml(path)}
        if other := instead(data, changes, path):
            path = find("experiments", other[0], path.parent, f"{path}: otherwise")
            data = {"name": path.stem, **read_yaml(path)}
        experiment = cls._of(data, changes, path)
        return experiment.change(instead=other[1]) if other else experiment

    @classmethod
    def _of(cls, data: dict[str, Any], changes: Sequence[str], path: Path) -> Self:
        """Read what a file says, with the changes of the command line."""
        data = changed(data, changes)
        file = str(path)
        ours = ("folders", "file", "instead")
        known = {*cls.model_fields} - {*ours}
        spare = [Mistake(f"{file}: {key}", "unknown" + nearest(key, known)) for key in ours if key in data]
        if spare:
            raise InputError(spare)
        folders = (path.parent.absolute(), Path.cwd())
        try:
            experiment = validate(cls, data, f"{file}:")
        except InputError as error:
            raise InputError([*error.mistakes, *cls._rest(data, error, file, folders)]) from error
        return experiment.change(file=file, folders=folders)

    @classmethod
    def _rest(
        cls, data: Mapping[str, Any], error: InputError, file: str, folders: tuple[Path, ...]
    ) -> list[Mistake]:
        """Find what else is wrong in a file, beside the keys that cannot be read."""
        wrong = {mistake.where.removeprefix(f"{file}: ").partition(".")[0] for mistake in error.mistakes}
        sound = {"topology": "two_gpus", "workload": "moe_gpt", "policies": {"expert_centric": {}}}
        kept = {key: value for key, value in data.items() if key not in wrong}
        rest = cls.model_validate({**sound, **kept}).change(file=file, folders=folders)
        return [mistake for mistake in mistakes_in(rest) if mistake not in error.mistakes]

    def axes(self) -> tuple[Columns, ...]:
        """Give the axes of the grid: each a table of paths and their values, of one length.

        Raises
        ------
        InputError
            For an axis that is no list, is empty, is given twice, or begins nowhere.
        """
        zips = self.zip if isinstance(self.zip, tuple) else (self.zip,)
        mistakes: list[Mistake] = []
        axes: list[Columns] = []
        groups = [("zip", group) for group in zips] + [
            ("vary", {path: values}) for path, values in self.vary.items()
        ]
        seen: dict[str, None] = {}
        for room, group in groups:
            if not isinstance(group, Mapping):
                mistakes.append(Mistake(self.where(room), f"{show(group)} is no mapping of paths to lists"))
                continue
            mistakes += [
                self._wrong(room, path, values, seen)
                for path, values in group.items()
                if self._bad(path, values, seen)
            ]
            lengths = {len(values) for values in group.values() if isinstance(values, tuple)}
            if len(lengths) > 1:
                mistakes.append(
                    Mistake(
                        self.where(room), f"its lists have {sorted(lengths)} values; write as many in each"
                    )
                )
            seen |= dict.fromkeys(group)
            axes.append(dict(group))
        if self.seeds is not None and "seed" in seen:
            mistakes.append(Mistake(self.where("seeds"), "stands beside an axis of seeds; write one of them"))
        elif self.seeds is not None:
            axes.append({"seed": range(self.seed, self.seed + self.seeds)})  # no list: it may be huge
        if mistakes:
            raise InputError(mistakes)
        return tuple(axes)

    def _bad(self, path: str, values: object, seen: Mapping[str, None]) -> bool:
        return (
            not isinstance(values, tuple) or not values or path in seen or path.partition(".")[0] not in AXES
        )

    def _wrong(self, room: str, path: str, values: object, seen: Mapping[str, None]) -> Mistake:
        where = self.where(f"{room}.{path}")
        if path.partition(".")[0] not in AXES:
            hint = nearest(path.partition(".")[0], AXES) or f"; a path begins with {', '.join(AXES)}"
            return Mistake(where, f"leads nowhere{hint}")
        if path in seen:
            return Mistake(where, "is an axis twice")
        if values == ():
            return Mistake(where, "is an empty list: 0 runs; write [a, b]")
        return Mistake(where, f"{show(values)} is no list of values; write [a, b]")

    @property
    def width(self) -> Literal["column", "page"] | None:
        """How wide figures are."""
        return None if self.figures is None else self.figures.width

    def where(self, part: str) -> str:
        """Say where a part was written."""
        return join(f"{self.file}:" if self.file else "", part)

    def scenarios(self) -> tuple[Scenario, ...]:
        """Give the runs of the grid, in the order of the file, policies innermost; equal runs stand once.

        Raises
        ------
        InputError
            For a grid that is wrong or beyond 10,000 runs.
        """
        from janus_sim.scenario.grid import scenarios

        return scenarios(self)


def mistakes_in(experiment: Experiment) -> list[Mistake]:
    """Find what is wrong in the parts of an experiment, each for itself: no mistake hides another."""
    found: list[Mistake] = []
    sound = experiment
    try:
        experiment.scenarios()
    except InputError as error:
        found += error.mistakes
        sound = experiment.change(baseline=None, vary={}, zip=())
    try:
        scenarios = sound.scenarios()
    except InputError as error:
        return list(dict.fromkeys([*found, *error.mistakes]))
    for scenario in scenarios:
        builds: tuple[Callable[[], object], ...] = (
            scenario.build_topology,
            scenario.workload_spec,
            scenario.build_policy,
            scenario.build_schedule,
        )
        for build in builds:
            try:
                build()
            except InputError as error:
                found += error.mistakes
    return list(dict.fromkeys(found))
