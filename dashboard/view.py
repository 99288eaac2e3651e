"""What a page shows of a candidate: its summary and the documents of its steps."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..stores.query import DEFAULT_MAX_ENERGY_ABOVE_HULL, rank
from ..workflows.collect import CandidateResults
from .theme import OKABE_ITO, PHASE_COLOURS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ..stores.documents import CandidateSummary, StepDocument


@dataclass(frozen=True)
class CandidateView(CandidateResults):
    """One candidate as pages and figures see it.

    Attributes
    ----------
    rank
        Place among the ranked candidates, from 1; ``None`` below the line.
    title
        Its label, made unique among the candidates shown together.
    """

    rank: int | None = None
    title: str = ""

    @property
    def colour(self) -> str:
        """Colour of its phase."""
        return PHASE_COLOURS[self.summary.phase]


def candidate_colour(index: int) -> str:
    """Return the colour of the `index`-th candidate where each has its own."""
    return OKABE_ITO[index % len(OKABE_ITO)]


def unique_titles(summaries: Iterable[CandidateSummary]) -> dict[str, str]:
    """Return a title per candidate id: its label, with the id where labels repeat."""
    labels = {summary.candidate_id: summary.label for summary in summaries}
    counts = Counter(labels.values())
    return {
        known: label if counts[label] == 1 else f"{label} [{known}]"
        for known, label in labels.items()
    }


def ranked_views(
    summaries: Sequence[CandidateSummary],
    documents: Mapping[str, dict[str, StepDocument]] | None = None,
    *,
    limit_ev: float = DEFAULT_MAX_ENERGY_ABOVE_HULL,
) -> list[CandidateView]:
    """Return the candidates in the order of the ranking, those below the line last.

    Parameters
    ----------
    summaries
        In any order.
    documents
        Candidate id to the documents of its steps, where pages need them.
    limit_ev
        Energy above hull that passes the screen, eV/atom.
    """
    titles = unique_titles(summaries)
    return [
        CandidateView(
            one.summary,
            (documents or {}).get(one.summary.candidate_id, {}),
            one.rank,
            titles[one.summary.candidate_id],
        )
        for one in rank(summaries, max_energy_above_hull_ev_per_atom=limit_ev)
    ]
