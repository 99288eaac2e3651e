"""A client of the REST API of ``haloflow serve``: tables, structures, figures, trajectories.

::

    with haloflow.Client("http://127.0.0.1:8000") as client:
        glasses = client.search(phase="glass", e_hull_max=0.05, sort="-sigma_lower")
        structure = client.structure(glasses.index[0])
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np

from .client_requests import (
    Connection,
    Pages,
    checked_limit,
    escaped,
    joined,
    named,
    parameters_of,
)
from .errors import InputError, NotFoundError
from .stores.filters import parse_filters
from .stores.matching import compile_filter, normalized
from .stores.narrowing import narrowing_parameters
from .stores.records import summary_of, summary_record
from .stores.sorting import sorted_summaries
from .trajectory_frames import Frames

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import pandas as pd
    from plotly.graph_objects import Figure
    from pymatgen.core import Structure

    from .stores.documents import CandidateSummary

_ROWS_PER_PAGE: Final = 1000
_SUMMARIES_PER_PAGE: Final = 200


class Client:
    """Asks a haloflow server.

    Parameters
    ----------
    url
        Address of the server; the one that ``haloflow serve`` prints, token included, will do.
    token
        Of a server that asks for one.
    timeout_s
        Longest wait for an answer.

    Raises
    ------
    InputError
        The address is none.
    """

    def __init__(self, url: str, token: str | None = None, timeout_s: float = 30.0) -> None:
        self._connection = Connection(url, token, timeout_s)
        self.url = self._connection.url

    def close(self) -> None:
        """Close the connections."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Client({self.url!r})"

    def search(
        self,
        *,
        sort: str | Sequence[str] | None = None,
        fields: str | Sequence[str] | None = None,
        limit: int | None = None,
        progress: bool = False,
        **filters: object,
    ) -> pd.DataFrame:
        """Return the candidates that pass all filters, one row each, by id.

        Parameters
        ----------
        sort
            Names of fields, the first one counts most; ``-name`` sorts downwards.
        fields
            Names of fields to return, see :meth:`fields`; default: those of the ranking.
        limit
            Most rows, 0 for a table without any; default: all.
        progress
            Show a bar while pages arrive.
        filters
            Parameters of ``/api/v1/candidates``: ``sigma_min=1``, ``phase="glass"``,
            ``elements_all=["Na", "Ta"]``, ``variable="x:0.2:0.8"``, ``has="sigma"``...

        Returns
        -------
        pandas.DataFrame
            ``attrs["units"]`` holds the unit of each column, ``attrs["descriptions"]`` its
            meaning, ``attrs["total"]`` how many candidates pass; columns have them too.

        Raises
        ------
        HaloflowError
            With the server's own words; InputError where the limit is no number of rows.
        """
        import pandas as pd  # noqa: PLC0415  (slow to import)

        most = checked_limit(limit)
        names = joined(fields)
        asked = parameters_of(filters) | named(_sort_fields=joined(sort))
        asked |= named(_fields=f"id,{names}" if names else "")
        pages = Pages(self._connection, asked, most, _ROWS_PER_PAGE)
        rows = list(_watched(pages, shown=progress))
        columns = {column["name"]: column for column in pages.fields}
        frame = pd.DataFrame(rows, columns=list(columns) or None).set_index("id")
        units = {name: column["unit"] for name, column in columns.items()}
        words = {name: column["description"] for name, column in columns.items()}
        frame.attrs = {"units": units, "descriptions": words, "total": pages.total}
        return frame

    def summaries(
        self, where: Sequence[str] = (), *, sort: Sequence[str] = (), limit: int = 0
    ) -> list[CandidateSummary]:
        """Return the summaries for which filters of the language of ``haloflow query`` hold.

        The server narrows down what it can; the rest is decided here. The parameters are those
        of :func:`haloflow.stores.query.find_summaries`.

        Raises
        ------
        HaloflowError
            As there, or with the server's own words.
        """
        if limit < 0:
            raise InputError(
                "a limit cannot be negative", given=limit, allowed="0 for all, or more"
            )
        criteria = normalized(parse_filters(where))
        asked = {**narrowing_parameters(criteria), "_all_fields": "true"}
        pages = Pages(self._connection, asked, None, _SUMMARIES_PER_PAGE)
        found = map(summary_of, pages)
        holds = compile_filter(criteria)
        passing = [one for one in found if holds(summary_record(one))]
        ordered = sorted_summaries(passing, sort)
        return ordered[:limit] if limit else ordered

    def candidate(self, candidate_id: str) -> dict[str, Any]:
        """Return the whole summary of a candidate, with rank, cautions and footnotes."""
        return dict(self._data(f"/candidates/{escaped(candidate_id)}"))

    def structure(self, candidate_id: str, step: str | None = None) -> Structure:
        """Return the structure of a step, by default the most relaxed one."""
        from pymatgen.core import Structure  # noqa: PLC0415  (slow to import)

        asked = named(fmt="json", step=step or "")
        body = self._connection.get(f"/candidates/{escaped(candidate_id)}/structure", asked)
        found: Structure = Structure.from_dict(body)
        return found

    def structures(self, candidate_ids: Iterable[str]) -> dict[str, Structure]:
        """Return the most relaxed structure of each candidate that has one."""
        found = {}
        for name in candidate_ids:
            try:
                found[name] = self.structure(name)
            except NotFoundError:
                self.candidate(name)  # raises where the candidate itself is unknown
        return found

    def transport(self, candidate_id: str) -> list[dict[str, Any]]:
        """Return diffusivities, conductivities and laws over temperature, by step."""
        return list(self._data(f"/candidates/{escaped(candidate_id)}/transport"))

    def provenance(self, candidate_id: str) -> list[dict[str, Any]]:
        """Return how the numbers of each step came about, down to the potential's weights."""
        return list(self._data(f"/candidates/{escaped(candidate_id)}/provenance"))

    def figures(self, candidate_id: str) -> list[dict[str, Any]]:
        """Return id, title, caption and section of the figures of a candidate."""
        return list(self._data(f"/candidates/{escaped(candidate_id)}/figures"))

    def figure(self, candidate_id: str, name: str) -> Figure:
        """Return a figure of a candidate for plotly to show or save."""
        from plotly.graph_objects import Figure  # noqa: PLC0415  (slow to import)

        found = self._data(f"/candidates/{escaped(candidate_id)}/figures/{escaped(name)}")
        return Figure(data=found["data"], layout=found["layout"])

    def trajectories(self, candidate_id: str) -> list[dict[str, Any]]:
        """Return the steps of a candidate that have a trajectory, with their lengths."""
        return list(self._data(f"/candidates/{escaped(candidate_id)}/trajectory"))

    def frames(
        self,
        candidate_id: str,
        step: str,
        *,
        part: str | None = None,
        start: int = 0,
        stop: int | None = None,
        stride: int = 1,
        wrap: bool = False,
    ) -> Frames:
        """Return frames start:stop:stride of a step's trajectory, however many they are.

        Parameters
        ----------
        part
            Of the run: ``equilibration``, ``production``...; default: its last.
        wrap
            Move atoms into the cell.
        """
        path = f"/candidates/{escaped(candidate_id)}/trajectory/frames"
        asked = named(step=step, part=part or "", stride=stride, wrap=str(wrap).lower())
        asked |= {} if stop is None else {"stop": str(stop)}
        some: list[dict[str, Any]] = []
        following: int | None = start
        while following is not None:
            body = self._connection.get(path, {**asked, "start": str(following)})
            some.append(body["data"])
            following = body["meta"]["next_start"]
        return Frames(
            some[0]["species"],
            *(
                np.concatenate([np.array(one[name]) for one in some])
                for name in ("frames", "times_ps", "positions_a", "cells_a")
            ),
        )

    def fields(self) -> pd.DataFrame:
        """Return the fields to filter, sort and show by, with units and meaning."""
        import pandas as pd  # noqa: PLC0415  (slow to import)

        return pd.DataFrame(self._data("/fields")).set_index("name")

    def stats(self, **filters: object) -> dict[str, Any]:
        """Return counts and ranges over the candidates that pass the filters of a search."""
        return dict(self._data("/stats", parameters_of(filters)))

    def literature(self) -> pd.DataFrame:
        """Return the published values, those computed beside each in the column ``computed``."""
        import pandas as pd  # noqa: PLC0415  (slow to import)

        return pd.DataFrame(self._data("/literature"))

    def campaign(self, sweep: str | None = None) -> dict[str, Any]:
        """Return how far a sweep, or all of the store, is."""
        return dict(self._data("/campaign", named(sweep=sweep or "")))

    def _data(self, path: str, asked: dict[str, str] | None = None) -> Any:  # noqa: ANN401  (JSON)
        return self._connection.get(path, asked or {})["data"]


def _watched(pages: Pages, *, shown: bool) -> Iterator[dict[str, Any]]:
    """Yield the rows of `pages`, with a bar if asked for."""
    if not shown:
        yield from pages
        return
    from rich.progress import Progress  # noqa: PLC0415  (only for the bar)

    with Progress() as bar:
        task = bar.add_task("candidates", total=None)
        for row in pages:
            bar.update(task, advance=1, total=pages.total)
            yield row
