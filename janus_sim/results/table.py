"""The table of a sweep: a DataFrame that shows itself in words, in a notebook and in LaTeX."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from janus_sim.files import write_whole


class Table(pd.DataFrame):
    """One row a scenario; what is cut out of it or computed from it is a plain DataFrame.

    Examples
    --------
    >>> table = Table({"policy": ["janus"], "step_time_s": [0.1]})
    >>> table._repr_html_().count("<tr>"), type(table.head()).__name__
    (2, 'DataFrame')
    """

    @property
    def _constructor(self) -> Any:  # noqa: ANN401
        return pd.DataFrame

    def _repr_html_(self) -> str:
        """Show the rows in words; the columns of the DataFrame are more."""
        from janus_sim.results import notebook

        return notebook.table(self)

    def to_latex(self, buf: Any = None, **options: Any) -> Any:  # noqa: ANN401
        """Return the rows in words for a paper, see `janus_sim.results.latex.write`.

        Parameters
        ----------
        buf
            A path to write to, rather than to return the text.
        **options
            `caption` and `label`; with any other, it is the method of pandas that writes all columns.
        """
        from janus_sim.results import latex

        if not set(options) <= {"caption", "label"}:
            return super().to_latex(buf, **options)
        text = latex.write(self, **options)
        return text if buf is None else write_whole(Path(buf), text.encode())
