"""The command line: one experiment file to one table and one folder of results."""

from __future__ import annotations

from janus_sim.cli.commands import main

__all__ = ["main"]
