"""The fluid network: flows over links, shared max-min fairly; arrays in, times out, no clock of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from janus_sim.network.finish import finish_times as finish_times
    from janus_sim.network.flows import Flows as Flows
    from janus_sim.network.maxmin import rates as rates

__all__ = ["Flows", "finish_times", "rates"]

_HOMES = {"Flows": "flows", "finish_times": "finish", "rates": "maxmin"}


def __getattr__(name: str) -> Any:  # noqa: ANN401
    """Load the compiled code at its first use, so that importing the package stays quick."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value
