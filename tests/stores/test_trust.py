"""What is shown of a step is no better than what the summary says of it."""

from __future__ import annotations

import itertools

import many_candidates as many
import pytest
import sample_documents as samples
from pymatgen.core import Lattice, Structure

from haloflow.quantity import Quantity, Status
from haloflow.stores.records import candidate_of
from haloflow.stores.summary import summarize
from haloflow.stores.trust import Verdict, limited, trusted_documents

CELL = Structure(Lattice.cubic(5.6), ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
LAW = (3e-4, 0.3)
KELVINS = (600, 700, 800)
STATUSES = (Status.OK, Status.UNCONVERGED, Status.NOT_MELTED)


def documents_of(candidate, own, glass):
    ids = candidate.steps
    sample = "-seed1" if candidate.phase == "glass" else ""
    made = samples.diffusion(CELL, ids[f"diffusion{sample}"], LAW, KELVINS, unconverged=(600,))
    found = {f"diffusion{sample}": made.model_copy(update={"status": own, "note": "said so"})}
    if sample:
        quenched = samples.quenched(CELL, ids["melt_quench-seed1"], ratio=0.93)
        found["melt_quench-seed1"] = quenched.model_copy(update={"status": glass})
    return found


def candidates():
    """Give a glass and a crystal, with enough mobile ions and with too few."""
    for phase, n_mobile in itertools.product(("glass", "crystal"), (24, 23)):
        number = next(n for n, base in enumerate(many.bases()) if base.candidate.phase == phase)
        ((record, _),) = many.records(1, start=number)
        yield candidate_of(record).model_copy(update={"n_mobile": n_mobile})


@pytest.mark.parametrize("own", STATUSES)
@pytest.mark.parametrize("glass", STATUSES)
def test_documents_are_trusted_as_far_as_the_summary_trusts_them(own, glass):
    for candidate in candidates():
        documents = documents_of(candidate, own, glass)
        summary = summarize(candidate, {one.identity: one for one in documents.values()})
        shown = trusted_documents(documents, candidate.n_mobile)
        (diffusion,) = (one for one in shown.values() if one.kind == "diffusion")
        assert diffusion.sigma_300k_ms_cm.status is summary.sigma_300k_ms_cm.status
        assert diffusion.activation_energy_ev.status is summary.activation_energy_ev.status
        for point in diffusion.points:
            status = summary.diffusivity_cm2_s[f"{point.temperature_k:g}K"].status
            assert point.diffusivity_cm2_s.status is status
            assert point.sigma_ms_cm.status is status
        assert diffusion.status.severity >= own.severity
        if candidate.n_mobile < 24:
            assert "fewer than 24 mobile ions (23)" in diffusion.note
            assert "fewer than 24 mobile ions (23)" in diffusion.sigma_300k_ms_cm.note


def test_a_glass_that_was_not_read_can_be_told_of():
    candidate = next(candidates())
    documents = documents_of(candidate, Status.OK, Status.OK)
    told = {"melt_quench-seed1": Verdict("melt_quench", Status.CRYSTALLISED, "peaks appeared")}
    shown = trusted_documents(documents, 24, told)["diffusion-seed1"]
    assert shown.status is shown.sigma_300k_ms_cm.status is Status.CRYSTALLISED
    assert shown.note == "said so; melt_quench: peaks appeared"
    assert documents["diffusion-seed1"].status is Status.OK


def test_what_is_ok_stays_the_very_document():
    documents = documents_of(next(candidates()), Status.OK, Status.OK)
    assert trusted_documents(documents, 24)["diffusion-seed1"] is documents["diffusion-seed1"]


def test_a_quantity_that_is_worse_already_stays_as_it_is():
    lost = Quantity(status=Status.DIVERGED, note="gone")
    assert limited(lost, Verdict("melt_quench", Status.NOT_MELTED)) is lost
    assert limited(lost, None) is lost
