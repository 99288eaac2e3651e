"""Columns of the analyses: combined over glasses, missing where nothing was analysed."""

from __future__ import annotations

import pytest
import sample_documents

from haloflow.quantity import Quantity, Status
from haloflow.stores.analyses import (
    ChainAnalysis,
    JumpLawAnalysis,
    LandscapeDocument,
    LawAnalysis,
    PopulationAnalysis,
    RelaxationPoint,
    SpeciationAnalysis,
    StructureAnalysis,
    StructureDocument,
    StructurePoint,
    TransportAnalysis,
    TransportDocument,
)
from haloflow.stores.documents import CandidateDocument
from haloflow.stores.fields import get_field
from haloflow.stores.records import summary_of, summary_record
from haloflow.stores.summary import summarize

NEW = ("sigma_c", "haven", "anisotropy", "bridging", "chain_length", "t1")


def step(kind, name, **fields):
    provenance = sample_documents.provenance()
    return kind(identity=f"id-{name}", provenance=provenance, level="l", **fields)


def motion(temperature_k, haven):
    return TransportAnalysis(
        mobile="Na",
        charge=1.0,
        temperature_k=temperature_k,
        n_mobile=32,
        volume_a3=1000.0,
        frame_ps=0.1,
        n_frames=100,
        lags_frames=[1],
        lags_ps=[0.1],
        msd_self_a2=[1.0],
        msd_collective_a2=[1.0],
        diffusivity_cm2_s=Quantity(1e-5),
        window_ps=None,
        loglog_slope=None,
        n_effective_hops=100.0,
        haven_ratio=Quantity(haven, 0.05, haven - 0.1, haven + 0.1),
        principal_diffusivities_cm2_s=[
            Quantity(d, 0.1 * d, 0.8 * d, 1.2 * d) for d in (1e-6, 2e-6, 4e-6)
        ],
    )


def transport(name, haven, temperatures=(500.0, 700.0)):
    law = LawAnalysis(
        name="arrhenius",
        regimes=[],
        breaks_k=[],
        sigma_300k_ms_cm=Quantity(2.0 * haven, 0.2, 1.0, 4.0),
        bic={},
    )
    points = [motion(t, haven + 0.001 * (t - 500.0)) for t in temperatures]
    return step(TransportDocument, name, points=points, laws={"sigma_ms_cm": law}, left_out={})


def share(value, sd=0.01):
    return PopulationAnalysis(value=value, sd=sd, at_shorter=value, at_longer=value)


def structure(name, bridging):
    chains = ChainAnalysis(rule="r", lengths={}, endless=share(0.0), mean_length=share(3.5, 0.2))
    roles = {"terminal": share(1 - bridging), "bridging two": share(bridging)}
    speciation = SpeciationAnalysis(
        cutoffs_a={},
        cutoff_shift_a=0.1,
        n_frames=10,
        populations={},
        coordination={},
        roles={"Cl": {"terminal": share(1.0)}, "O": roles},
        sharing={},
        links={},
        chains_by_distance=chains,
        chains_by_bridges=chains,
        retention={},
        retention_distance_a=3.0,
        anion_bonds={},
    )
    empty = StructureAnalysis(
        n_frames=10, cell_lengths_a=[], cell_angles_deg=[], rdf={}, coordination={}
    )
    point = StructurePoint(temperature_k=500.0, structure=empty, speciation=speciation)
    return step(StructureDocument, name, mobile="Na", points=[point], left_out={})


def landscape(name, t1_ms):
    point = RelaxationPoint(
        temperature_k=298.15,
        extrapolated=True,
        correlation_time_ps=Quantity(1e4),
        t1_ms={
            "73.39": Quantity(0.1 * t1_ms, 0.01),
            "132.294": Quantity(t1_ms, 0.1, 0.8 * t1_ms, 1.2 * t1_ms, note="conditional on C_Q"),
        },
    )
    law = JumpLawAnalysis(
        activation_energy_ev=Quantity(0.3),
        temperatures_used_k=[500.0],
        points=[point],
        quadrupole_coupling_mhz=1.2,
    )
    return step(LandscapeDocument, name, mobile="Na", points=[], jump_law=law, left_out={})


def candidate(*names, n_mobile=32):
    return CandidateDocument(
        candidate_id="c1",
        label="NaTaOCl4 glass",
        family="namocl4",
        formula="NaTaOCl4",
        phase="glass",
        components={"NaCl": 1.0},
        levels={"hull": "l"},
        n_atoms=56,
        n_mobile=n_mobile,
        steps={name: f"id-{name}" for name in names},
    )


def summary_with(n_mobile=32):
    documents = [
        *(transport(f"transport-seed{k}", haven) for k, haven in ((1, 0.6), (2, 0.8))),
        *(structure(f"structure-seed{k}", share_) for k, share_ in ((1, 0.7), (2, 0.9))),
        *(landscape(f"landscape-seed{k}", t1) for k, t1 in ((1, 1.0), (2, 4.0))),
    ]
    names = [document.identity.removeprefix("id-") for document in documents]
    known = {document.identity: document for document in documents}
    return summarize(candidate(*names, n_mobile=n_mobile), known)


def test_columns_are_combined_over_the_glasses():
    summary = summary_with()
    assert summary.haven_ratio.value == pytest.approx(0.7)
    assert summary.haven_ratio.lower < 0.6
    assert summary.haven_ratio.note.startswith("at 500 K; mean of 2 samples")
    assert summary.sigma_collective_300k_ms_cm.value == pytest.approx((1.2 * 1.6) ** 0.5)
    assert summary.anisotropy.value == pytest.approx(4.0)
    assert summary.bridging_fraction.value == pytest.approx(0.8)
    assert summary.mean_chain_length.value == pytest.approx(3.5)
    assert summary.t1_ms.value == pytest.approx(2.0)
    condition = "at 298.15 K and 132.294 MHz, conditional on C_Q = 1.2 MHz"
    assert summary.t1_ms.note.startswith(condition)
    for name in NEW:
        assert get_field(name).of(summary) is not None
        assert get_field(f"{name}_status").of(summary) is Status.OK


def test_numbers_of_motion_need_enough_ions_those_of_structure_do_not():
    summary = summary_with(n_mobile=4)
    assert summary.haven_ratio.status is Status.UNCONVERGED
    assert "fewer than" in summary.t1_ms.note
    assert summary.bridging_fraction.status is Status.OK


def test_a_seed_that_lacks_its_analysis_leaves_the_mean_unconverged():
    names = ("transport-seed1", "transport-seed2", "landscape-seed1")
    only = transport("transport-seed1", 0.6, temperatures=(700.0,))
    summary = summarize(candidate(*names), {only.identity: only})
    assert summary.haven_ratio.value == pytest.approx(0.8)
    assert summary.haven_ratio.status is Status.UNCONVERGED
    assert "1 of 2 samples computed" in summary.haven_ratio.note
    assert summary.t1_ms is summary.bridging_fraction is None


def test_summaries_of_before_can_be_read():
    record = summary_record(summary_with())
    for name in NEW:
        del record[get_field(name).path.partition(".")[0]]
    found = summary_of(record)
    assert found.haven_ratio is None
    assert all(get_field(name).of(found) is None for name in NEW)
