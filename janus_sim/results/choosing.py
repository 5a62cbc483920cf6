"""Which results of a folder somebody means by a name, or by none; only those are read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from janus_sim.errors import InputError, Mistake
from janus_sim.record import unmarked
from janus_sim.results.result import Result
from janus_sim.results.store import Results


def choose(results: Sequence[Result], name: str, where: str) -> Result:
    """Return the result of a folder that is called so: by scenario, or by policy where that is one.

    Only this one is read.

    Raises
    ------
    InputError
        If there is none, or several, or it failed or is torn.
    """
    told = scenarios_of(results)
    exact = [place for place, one in enumerate(told) if _called(one, "name", name)]
    found = exact or [place for place, one in enumerate(told) if _called(one, "policy", name)]
    if len(found) == 1:
        return results[found[0]]
    if not found and (error := _error(results, name)):
        raise InputError(Mistake(f"{where}: {name}", f"failed, and has no record: {error}"))
    names = [str(told[place].get("name", "")) for place in found or range(len(told))]
    said = f"{len(found)} scenarios have the policy" if found else "no scenario and no policy is called"
    write = f"write one of {_listed(names)}" if names else "every scenario failed"
    raise InputError(Mistake(where, f'{said} "{name}"; {write}'))


def scenarios_of(results: Sequence[Result]) -> Sequence[Mapping[str, Any]]:
    """Return what was run, of each result; those of a folder are not read for it."""
    return results.scenarios if isinstance(results, Results) else [result.scenario for result in results]


def _error(results: Sequence[Result], name: str) -> str:
    """Return the error of a scenario of a folder, or nothing."""
    failures = results.failures if isinstance(results, Results) else ()
    found = [error for one, error in failures if _called(one, "name", name) or _called(one, "policy", name)]
    return found[0].splitlines()[0] if found and found[0] else ""


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f'"{word}"' for word in names[:8]) + (
        f" and {len(names) - 8} more" if len(names) > 8 else ""
    )


def _called(scenario: Mapping[str, Any], by: str, name: str) -> bool:
    """Say whether a scenario is called so, with or without its marks."""
    return unmarked(str(scenario.get(by))) == unmarked(name)


def ends(results: Results, where: str) -> tuple[Result, Result]:
    """Return the baseline of a folder and the fastest of the others, where nobody named two.

    Raises
    ------
    InputError
        If the folder holds one result, or several points of a grid.
    """
    told = results.scenarios
    if len(told) < 2:
        words = "holds one result" if told else "holds no result that did not fail"
        raise InputError(Mistake(where, f"{words}; name a second folder, as janus-sim explain DIR DIR"))
    if len({one.get("policy") for one in told}) != len(told):
        words = f"holds {len(told)} scenarios; name two of them, as janus-sim explain DIR A B: "
        raise InputError(Mistake(where, words + _listed([str(one.get("name", "")) for one in told])))
    table = results.table()
    seconds = dict(zip(table["scenario"], table["step_time_s"], strict=True))
    base = next((place for place, one in enumerate(told) if one.get("baseline")), 0)
    others = [place for place in range(len(told)) if place != base]
    return results[base], results[min(others, key=lambda place: seconds[told[place]["name"]])]
