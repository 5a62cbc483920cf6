"""The command line: one experiment file to one table and one folder of results.

A command is a module of its own, `janus_sim/cli/NAME.py`, with one function that typer reads; it is
registered by one line in `janus_sim/cli/commands.py`::

    app.command()(NAME.NAME)

At its top a command imports typer, `janus_sim.cli.show` and what is light (`errors`, `units`); all else
inside the function, so that `janus-sim --help` stays quick. Mistakes are raised as `InputError`; a number
that the function returns is the exit status.
"""

from __future__ import annotations

from janus_sim.cli.commands import main

__all__ = ["main"]
