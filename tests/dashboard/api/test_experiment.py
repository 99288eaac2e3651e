"""Published and computed values side by side: like with like, and the difference with its error."""

from __future__ import annotations

import math

import pytest
import sample_candidates

from haloflow.dashboard.figures_parity import parity_figure, residual_figure
from haloflow.quantity import Quantity, Status
from haloflow.stores.documents import LiteratureValue
from haloflow.systems.families import list_families
from haloflow.workflows.experiment import ENERGY, SIGMA, comparisons

FAMILY = "tacl5-na2s"


def summary(phase="glass", **quantities):
    """A candidate of x = 0.5 with all published values of the family at it."""
    view = next(v for v in sample_candidates.views() if v.summary.family == FAMILY)
    family = next(one for one in list_families() if one.id == FAMILY)
    rows = [LiteratureValue(**row.as_document()) for row in family.literature_for(0.5, former="Ta")]
    return view.summary.model_copy(update={"phase": phase, "literature": rows, **quantities})


def pairs_of(one, quantity=SIGMA, kind="experiment"):
    return [
        pair
        for pair in comparisons([one])
        if (pair.published.row.quantity, pair.published.row.kind) == (quantity, kind)
    ]


def test_all_published_values_are_listed_with_what_was_computed(embedded, mongodb):
    rows = embedded.data("/literature")
    assert rows == mongodb.data("/literature")
    published = [row for family in list_families() for row in family.literature]
    assert len(rows) >= len(published)
    assert {row["source"] for row in rows} >= {row.source for row in published}
    assert all(row["phases_present"] for row in rows)
    pairs = embedded.data("/experiment")
    assert sum(len(row["computed"]) for row in rows) == len(pairs)
    assert pairs == mongodb.data("/experiment")


def test_pairs_can_be_chosen_by_quantity_and_kind(embedded):
    rows = embedded.data(f"/experiment?quantity={ENERGY}&kind=experiment")
    assert rows
    assert {(row["quantity"], row["kind"]) for row in rows} == {(ENERGY, "experiment")}
    assert embedded.error("/experiment?kind=guess")["problem"] == "the parameter kind cannot be so"


def test_the_residual_of_a_conductivity_is_in_decades_with_both_errors():
    one = summary(sigma_300k_ms_cm=Quantity(29.0, lower=14.5, upper=58.0))
    (pair,) = pairs_of(one)
    assert pair.published.row.value == 2.9
    assert pair.residual.value == pytest.approx(1.0)
    assert pair.residual.lower == pytest.approx(1.0 - math.log10(2))
    assert pair.residual.upper == pytest.approx(1.0 + math.log10(2))


def test_a_bound_gives_a_bound_of_the_residual():
    one = summary(sigma_300k_ms_cm=Quantity(upper=2.9, status=Status.UNCONVERGED, note="short"))
    (pair,) = pairs_of(one)
    assert (pair.residual.value, pair.residual.lower) == (None, None)
    assert pair.residual.upper == pytest.approx(0.0)
    assert pair.residual.status is Status.UNCONVERGED
    (pair,) = pairs_of(summary(sigma_300k_ms_cm=Quantity(status=Status.FAILED, note="lost")))
    assert pair.residual is None


def test_an_energy_is_compared_in_its_unit():
    one = summary(activation_energy_ev=Quantity(0.3, sd=0.01))
    (pair,) = pairs_of(one, ENERGY)
    assert pair.residual.value == pytest.approx(0.3 - 0.276)
    assert pair.residual.upper - pair.residual.value == pytest.approx(1.96 * 0.01)


def test_only_the_same_state_of_matter_is_like_with_like():
    (glass,), (crystal,) = pairs_of(summary("glass")), pairs_of(summary("crystal"))
    assert glass.like_with_like
    assert not crystal.like_with_like
    assert crystal.caution == "published for the glass, computed for the crystal"
    view = next(v for v in sample_candidates.views() if v.summary.family == "namocl4")
    pair = next(p for p in comparisons([view.summary]) if p.published.row.kind == "experiment")
    assert not pair.published.listed
    assert "is not known: milled powder" in pair.caution
    family = next(one for one in list_families() if one.id == "namocl4")
    milled = next(row for row in family.literature if row.phase is None and row.quantity == SIGMA)
    one = view.summary.model_copy(update={"literature": [LiteratureValue(**milled.as_document())]})
    (pair,) = comparisons([one])
    assert pair.caution.startswith("the sample was neither the crystal nor the glass: milled")


def test_voltages_against_an_alloy_are_not_compared_with_those_against_the_metal():
    row = LiteratureValue(
        quantity="oxidation_limit_v", value=4.0, kind="experiment", phases_present="glass",
        source="s", electrode="Na15Sn4",
    )  # fmt: skip
    one = summary().model_copy(update={"literature": [row], "oxidation_limit_v": Quantity(3.9)})
    (pair,) = comparisons([one])
    assert pair.residual is None
    assert pair.caution == "published against Na15Sn4, computed against the metal"


def test_parity_draws_measured_against_computed_with_both_intervals():
    one = summary(sigma_300k_ms_cm=Quantity(29.0, lower=14.5, upper=58.0))
    band, equal, points = parity_figure(pairs_of(one), SIGMA)["data"]
    assert (points["x"], points["y"]) == ([2.9], [29.0])
    assert points["error_y"]["array"] == [29.0]
    assert points["error_y"]["arrayminus"] == [14.5]
    assert points["customdata"] == [one.candidate_id]
    assert points["marker"]["symbol"] == "circle"
    assert one.levels["md"] in points["name"]
    assert "phases: fully amorphous" in points["hovertext"][0]
    assert equal["x"] == equal["y"]
    assert band["y"][0] == pytest.approx(10 * equal["y"][0])
    (row,) = residual_figure(pairs_of(one), SIGMA)["data"]
    assert row["x"] == [pytest.approx(1.0)]


def test_a_bound_is_an_arrow_and_nothing_known_no_figure():
    bound = summary(sigma_300k_ms_cm=Quantity(5.0, upper=9.0, status=Status.UNCONVERGED))
    *_, points = parity_figure(pairs_of(bound), SIGMA)["data"]
    assert points["y"] == [9.0]
    assert points["marker"]["symbol"] == "triangle-down-open"
    assert "error_y" not in points
    assert "unconverged" in points["hovertext"][0]
    nothing = summary(sigma_300k_ms_cm=Quantity(status=Status.FAILED))
    assert parity_figure(pairs_of(nothing), SIGMA) is None
    assert residual_figure(pairs_of(nothing), SIGMA) is None
