"""A few candidates over each other, and what a store holds in numbers."""

from __future__ import annotations

from statistics import median_high, median_low

import pytest

from haloflow.quantity import Quantity, Status
from haloflow.stores.query import find_summaries
from haloflow.units import BOLTZMANN_EV_PER_K


@pytest.fixture(scope="module")
def ids(embedded_store):
    rows = embedded_store.summaries.query({"complete": True}, ["candidate_id"])
    return sorted(row["candidate_id"] for row in rows)[:6]


def test_six_candidates_share_each_figure(embedded, mongodb, ids):
    path = f"/compare?ids={','.join(ids)}"
    found = embedded.data(path)
    assert found == mongodb.data(path)
    assert [one["candidate_id"] for one in found["candidates"]] == ids
    assert len({one["colour"] for one in found["candidates"]}) == 6
    assert [one["id"] for one in found["figures"]] == ["arrhenius", "msd", "rdf"]
    for figure in found["figures"]:
        assert figure["is_empty"] == (not figure["data"])


def test_levels_of_dynamics_are_named_where_they_differ(embedded, embedded_store):
    rows = list(embedded_store.summaries.query({}, ["candidate_id", "levels"]))
    done = [r for r in rows if embedded.data(f"/candidates/{r['candidate_id']}/transport")]
    by_level = {row["levels"]["md"]: row["candidate_id"] for row in done}
    same = [r["candidate_id"] for r in done if r["levels"]["md"] == done[0]["levels"]["md"]]
    assert len(by_level) > 1
    for chosen, named in ((by_level.values(), True), (same, False)):
        found = embedded.data(f"/compare?ids={','.join(chosen)}&figures=arrhenius")
        names = " ".join(trace.get("name", "") for trace in found["figures"][0]["data"])
        assert all((f"({level})" in names) is named for level in by_level)
        assert all(one["levels"]["md"] in by_level for one in found["candidates"])


def test_curves_have_the_colour_of_their_candidate(embedded, embedded_store):
    done = [
        row["candidate_id"]
        for row in embedded_store.summaries.query({}, ["candidate_id"])
        if embedded.data(f"/candidates/{row['candidate_id']}/transport")
    ][:2]
    found = embedded.data(f"/compare?ids={','.join(done)}&figures=msd")
    colours = {one["candidate_id"]: one["colour"] for one in found["candidates"]}
    (figure,) = found["figures"]
    assert {trace["meta"] for trace in figure["data"]} == set(done)
    assert all(t["line"]["color"] == colours[t["meta"]] for t in figure["data"])
    shown = [trace for trace in figure["data"] if trace["visible"] is True]
    assert {trace["meta"] for trace in shown} == set(done)


@pytest.mark.parametrize(
    ("asked", "status", "problem"),
    [
        ("ids=a,b", 404, "the store has no candidate of this id"),
        ("ids=,", 400, "the number of candidates to compare is out of range"),
        ("ids=a,b,c,d,e,f,g", 400, "the number of candidates to compare is out of range"),
        ("", 400, "the parameter ids cannot be so"),
    ],
)
def test_what_cannot_be_compared_is_refused(embedded, asked, status, problem):
    assert embedded.error(f"/compare?{asked}", status=status)["problem"] == problem


def test_an_unknown_figure_is_refused(embedded, ids):
    error = embedded.error(f"/compare?ids={ids[0]}&figures=arrhenias")
    assert error["problem"] == "unknown figure to compare"
    assert error["remedy"] == "did you mean arrhenius?"


def test_statistics_count_and_range_what_is_ok(embedded, mongodb, embedded_store):
    found = embedded.data("/stats?phase=glass")
    assert found == mongodb.data("/stats?phase=glass")
    glasses = [one for one in find_summaries(embedded_store.summaries) if one.phase == "glass"]
    assert found["n_candidates"] == len(glasses)
    assert found["n_complete"] == sum(one.complete for one in glasses)
    assert found["n_passing"] == sum(one.passes_screen is True for one in glasses)
    known = sorted(
        one.sigma_300k_ms_cm.value
        for one in glasses
        if one.sigma_300k_ms_cm.status is Status.OK and one.sigma_300k_ms_cm.value is not None
    )
    sigma = found["ranges"]["sigma"]
    assert sigma["n_ok"] == len(known)
    assert sigma["quantiles"]["0"] == known[0]
    assert sigma["quantiles"]["1"] == known[-1]
    assert median_low(known) <= sigma["quantiles"]["0.5"] <= median_high(known)
    assert embedded.data("/stats?sigma_min=1e30")["ranges"]["sigma"] == {
        "n_ok": 0,
        "unit": "mS/cm",
        "quantiles": {},
    }


def test_regimes_are_lines_of_their_activation_energy_through_their_points():
    import numpy as np

    from haloflow.dashboard.figures_regimes import regime_traces
    from haloflow.stores.analyses import LawAnalysis, RegimeAnalysis, TransportDocument

    class Point:
        def __init__(self, kelvin, sigma):
            self.temperature_k, self.sigma_ne_ms_cm = kelvin, Quantity(sigma, 0.1 * sigma)

    def sigma(kelvin, energy):
        return 1e5 / kelvin * np.exp(-energy / (BOLTZMANN_EV_PER_K * kelvin))

    points = [Point(t, float(sigma(t, 0.4))) for t in (400, 450, 500)]
    points += [Point(t, float(sigma(t, 0.2))) for t in (700, 800, 900)]
    regimes = [
        RegimeAnalysis(lower_k=low, upper_k=high, activation_energy_ev=Quantity(e), n_points=3)
        for low, high, e in ((None, 600.0, 0.4), (600.0, None, 0.2))
    ]
    law = LawAnalysis(
        name="two", regimes=regimes, breaks_k=[Quantity(600.0)],
        sigma_300k_ms_cm=Quantity(1.0), bic={},
    )  # fmt: skip
    document = TransportDocument.model_construct(points=points, laws={"sigma_ne_ms_cm": law})
    cold, hot = regime_traces(document, "#000000", "a")
    for trace, energy in ((cold, 0.4), (hot, 0.2)):
        for x, y in zip(trace["x"], trace["y"], strict=True):
            assert y == pytest.approx(float(sigma(1000 / x, energy)), rel=1e-6)
    assert min(cold["x"]) == pytest.approx(1000 / 600)
    single = law.model_copy(update={"regimes": regimes[:1]})
    document = document.model_copy(update={"laws": {"sigma_ne_ms_cm": single}})
    assert regime_traces(document, "#000000", "a") == []
