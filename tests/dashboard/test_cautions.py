"""Models and unverified phases say so wherever they are shown, and E_hull says its error."""

from __future__ import annotations

import re

from haloflow.dashboard.cautions import MARK, caution_notes, marked, shown_phases
from haloflow.dashboard.figures_candidate import hull_figure
from haloflow.dashboard.panels import candidate_facts
from haloflow.dashboard.panels_candidate import candidate_panels
from haloflow.dashboard.report import Report, render_report
from haloflow.dashboard.wording import hull_error_note
from haloflow.stores.documents import HullDocument, HullProduct
from haloflow.systems.phases import get_phase, load_phases


def with_model(view):
    """Let NaTaCl6 be a product of the view's decomposition and of its window."""
    model = HullProduct(phase_id="NaTaCl6_P21c", formula="NaTaCl6", amount=0.5)
    documents = {
        name: document.model_copy(update={"decomposition": [model]})
        if isinstance(document, HullDocument)
        else document
        for name, document in view.documents.items()
    }
    summary = view.summary.model_copy(update={"decomposition": [model]})
    return type(view)(summary, documents, view.rank, view.title)


def test_every_phase_with_a_caution_is_marked_and_no_other():
    for phase in load_phases().values():
        assert (marked(phase.formula, phase.id) == f"{phase.formula}{MARK}") is bool(phase.caution)
    assert marked("Cl2", "of-the-user") == "Cl2"


def test_phases_of_one_caution_share_a_footnote():
    notes = caution_notes(["Nb_bcc", "Na_bcc", "Na_bcc", "NaTaCl6_P21c"])
    assert notes == [
        f"{MARK} NaTaCl6_P21c: {get_phase('NaTaCl6_P21c').caution}.",
        f"{MARK} Na_bcc, Nb_bcc: {get_phase('Na_bcc').caution}.",
    ]


def test_points_of_the_hull_plot_carry_their_caution(views):
    found = next(v for v in views if v.of_kind(HullDocument))
    (document, *_) = found.of_kind(HullDocument).values()
    hovers = [
        h for t in hull_figure(document)["data"] for h in t.get("hovertext", ()) if len(h) > 1
    ]
    for entry in document.entries:
        (hover,) = [h for h in hovers if f" {entry.phase_id} (" in h]
        assert (MARK in hover) is bool(get_phase(entry.phase_id).caution)


def test_products_of_facts_captions_and_the_page_say_that_they_are_models(views):
    view = with_model(views[0])
    facts = {fact.name: fact.text for fact in candidate_facts(view)}
    assert facts["Decomposes to"] == f"0.50 NaTaCl6{MARK}"
    caption = next(p.caption for p in candidate_panels(view, "c1") if "-hull-" in p.id)
    assert "NaTaCl6_P21c: searched model, not a measured structure" in caption
    assert hull_error_note(view.summary.levels["hull"]) in caption
    page = re.sub(r"<script.*?</script>", "", render_report(Report("t", [view])), flags=re.DOTALL)
    notes = re.findall(r">(† [^<]*NaTaCl6_P21c[^<]*)<", page)
    assert len(notes) >= 2  # below the ranking and in the candidate's section


def test_footnotes_cover_windows_reactions_and_salt_that_leaves(views):
    for view in views:
        for hull in view.of_kind(HullDocument).values():
            shown = set(shown_phases([hull]))
            assert {p.phase_id for p in hull.decomposition + hull.reaction_components} <= shown
            if hull.window is not None:
                assert {p.phase_id for s in hull.window.states for p in s.products} <= shown
            if hull.segregation is not None:
                assert {p.phase_id for s in hull.segregation.splits for p in s.products} <= shown
