"""`janus-sim trace`: recorded routing; each of its commands is a module of its own, and one line here."""

from __future__ import annotations

import typer

from janus_sim.cli import trace_import, trace_info, trace_record, trace_synthesize

app = typer.Typer(
    no_args_is_help=True,
    help="Record routing, look at it, bring it into the neutral form, and make more of it.",
)

app.command("info")(trace_info.info)
app.command("plot")(trace_info.plot)
app.command("import")(trace_import.bring)
app.command("record")(trace_record.record)
app.command("synthesize")(trace_synthesize.synthesize)
