"""What one candidate's addresses answer: structures, analyses, figures, provenance."""

from __future__ import annotations

import many_candidates
import pytest
from bson import ObjectId
from pymatgen.core import Structure
from web_client import WebClient

from haloflow.dashboard.app import create_app
from haloflow.dashboard.panels_candidate import candidate_panels
from haloflow.dashboard.theme import drawable
from haloflow.dashboard.view import CandidateView
from haloflow.identity import step_uuid
from haloflow.stores.connection import open_store
from haloflow.stores.documents import HullDocument, RelaxDocument
from haloflow.workflows.lookup import candidate_by_id, read_documents, summary_by_id
from haloflow.workflows.status import update_summaries

PARTS = (
    "structures", "scene", "transport", "rdf", "speciation", "structure-analysis", "density",
    "topology", "hull", "figures", "provenance", "trajectory",
)  # fmt: skip


@pytest.fixture(scope="module")
def full(embedded_store):
    """The id of a candidate with documents of every kind."""
    rows = embedded_store.summaries.query({"complete": True, "phase": "glass"}, ["candidate_id"])
    return next(
        row["candidate_id"]
        for row in rows
        if read_documents(
            embedded_store, candidate_by_id(embedded_store, row["candidate_id"]), ["landscape"]
        ).documents
    )


@pytest.fixture(scope="module")
def documents(embedded_store, full):
    return read_documents(embedded_store, candidate_by_id(embedded_store, full)).documents


def test_every_part_is_the_same_on_both_stores(embedded, mongodb, full):
    for part in PARTS:
        path = f"/candidates/{full}/{part}"
        one, other = embedded.data(path), mongodb.data(path)
        assert one == other, part
        assert one, part


def test_every_part_of_every_candidate_is_answered(embedded, embedded_store):
    rows = list(embedded_store.summaries.query({}, ["candidate_id", "label"]))
    hostile = [row for row in rows if row["label"] in many_candidates.HOSTILE]
    assert len(hostile) == len(many_candidates.HOSTILE)
    for name in (row["candidate_id"] for row in (*rows[:6], *hostile)):
        for part in (*PARTS, "structure"):
            status = embedded.get(f"/api/v1/candidates/{name}/{part}").status_code
            assert status in {200, 404}, (name, part)


def test_the_most_relaxed_structure_comes_in_every_format(embedded, full, documents):
    relaxed = next(d for d in documents.values() if isinstance(d, RelaxDocument))
    expected = relaxed.structure.composition
    for fmt in ("cif", "poscar", "json"):
        answer = embedded.get(f"/api/v1/candidates/{full}/structure", {"fmt": fmt})
        read = Structure.from_str(answer.text, fmt)
        assert read.composition == expected, fmt
        assert answer.headers["content-disposition"].startswith(f'attachment; filename="{full}')
    xyz = embedded.get(f"/api/v1/candidates/{full}/structure", {"fmt": "xyz"}).text.splitlines()
    assert int(xyz[0]) == len(relaxed.structure) == len(xyz) - 2


def test_a_step_without_a_structure_is_refused_with_those_that_have_one(embedded, full):
    error = embedded.error(f"/candidates/{full}/structure?step=relax-seed9")
    assert error["problem"] == "unknown step with a structure"
    assert "relax-seed1" in error["allowed"]
    error = embedded.error(f"/candidates/{full}/scene?supercell=9,1,1")
    assert error["problem"] == "the supercell is out of bounds"


def test_a_candidate_without_structures_says_so(embedded, embedded_store):
    ids = (r["candidate_id"] for r in embedded_store.candidates.query({}, ["candidate_id"]))
    bare = next(n for n in ids if not embedded.data(f"/candidates/{n}/structures"))
    error = embedded.error(f"/candidates/{bare}/structure", status=404)
    assert error["problem"] == "the candidate has no structure yet"
    assert embedded.data(f"/candidates/{bare}/figures") == []


def test_an_unknown_candidate_is_not_found(embedded):
    for part in PARTS:
        error = embedded.error(f"/candidates/none-of-these/{part}", status=404)
        assert error["problem"] == "the store has no candidate of this id"


def test_a_scene_repeats_the_cell(embedded, full):
    one, eight = (
        embedded.data(f"/candidates/{full}/scene?supercell={repeats}")
        for repeats in ("1,1,1", "2,2,2")
    )
    assert eight["n_cell"] == 8 * one["n_cell"]
    assert one["step"] == "relax-seed1"
    assert "atoms in the cell" in one["caption"]


def test_the_figures_are_those_of_the_report(embedded, embedded_store, full, documents):
    candidate = candidate_by_id(embedded_store, full)
    summary = summary_by_id(embedded_store, candidate)
    panels = candidate_panels(CandidateView(summary, documents, title=summary.label), "x")
    heads = embedded.data(f"/candidates/{full}/figures")
    assert [f"x-{head['id']}" for head in heads] == [panel.id for panel in panels]
    assert {head["section"] for head in heads} == {
        "stability", "transport", "structure", "landscape", "glass",
    }  # fmt: skip
    for head, panel in zip(heads, panels, strict=True):
        figure = embedded.data(f"/candidates/{full}/figures/{head['id']}")
        assert {name: figure[name] for name in ("data", "layout")} == drawable(panel.figure)
    error = embedded.error(f"/candidates/{full}/figures/none", status=404)
    assert error["problem"] == "the candidate has no such figure"
    assert error["allowed"] == sorted(head["id"] for head in heads)


def test_the_hull_is_worded_and_keeps_its_numbers(embedded, full, documents):
    (row,) = embedded.data(f"/candidates/{full}/hull")
    known = next(d for d in documents.values() if isinstance(d, HullDocument))
    above = known.energy_above_hull_ev_per_atom
    assert row["energy_above_hull_ev_per_atom"]["value"] == above.value
    assert len(row["entries"]) == len(known.entries)
    assert known.decomposition[0].formula in row["decomposition_text"]
    assert "provenance" not in row


def test_pair_functions_come_with_their_coordination(embedded, full):
    rows = embedded.data(f"/candidates/{full}/rdf")
    assert {"pair", "temperature_k", "r_a", "g", "coordination"} <= set(rows[0])
    assert all(len(row["r_a"]) == len(row["g"]) for row in rows)
    assert any(row["coordination"]["n"] > 0 for row in rows if row["coordination"])


def test_provenance_goes_down_to_weights_jobs_and_parents(embedded, full, documents):
    rows = {row["name"]: row for row in embedded.data(f"/candidates/{full}/provenance")}
    assert set(documents) <= set(rows)
    for name, document in documents.items():
        row, made = rows[name], document.provenance
        assert row["job_uuid"] == step_uuid(row["identity"])
        assert row["provenance"]["packages"] == made.packages
        assert [one["identity"] for one in row["provenance"]["parents"]] == made.parents
        if made.potential:
            weights = row["provenance"]["potential"]["weights_sha256"]
            assert weights == made.potential.weights_sha256
    assert rows["relax-seed1"]["state"] == "done"


def test_a_damaged_document_is_said_and_the_others_shown(tmp_path):
    from web_client import WebClient

    from haloflow.dashboard.app import create_app
    from haloflow.stores.connection import open_store

    with open_store(tmp_path) as store:
        many_candidates.fill(store, 1, n_full=1)
        row = store.outputs.query_one({"output.kind": "hull"})
        row["output"]["energy_above_hull_ev_per_atom"] = "many"
        store.outputs.update([row])
        name = store.candidates.query_one({})["candidate_id"]
        client = WebClient(create_app(store))
        answer = client.get(f"/api/v1/candidates/{name}/hull").json()
        assert answer["data"] == []
        assert "is not valid" in next(iter(answer["meta"]["unreadable"].values()))
        assert client.data(f"/candidates/{name}/transport")
        states = {one["kind"]: one for one in client.data(f"/candidates/{name}/provenance")}
        assert states["hull"]["state"] == "failed"
        assert "is not valid" in states["hull"]["note"]


@pytest.fixture(scope="module")
def with_few_ions(embedded_store, tmp_path_factory):
    """A store with all full candidates, and each again with too few mobile ions."""
    with open_store(tmp_path_factory.mktemp("few")) as store:
        outputs = list(embedded_store.outputs.query({}))
        store.outputs.update(outputs)
        known = {row["output"]["identity"] for row in outputs}
        for row in list(embedded_store.candidates.query({})):
            if known.issuperset(row["steps"].values()):
                few = {"candidate_id": f"{row['candidate_id']}-few", "n_mobile": 23}
                store.candidates.update([row, {**row, **few, "_id": ObjectId()}])
        assert update_summaries(store) == {}
        yield store


def test_figures_and_transport_are_trusted_as_far_as_the_facts(with_few_ions):
    client = WebClient(create_app(with_few_ions))
    names = with_few_ions.candidates.distinct("candidate_id")
    assert len(names) >= 4
    for name in names:
        facts = client.data(f"/candidates/{name}")
        steps = client.data(f"/candidates/{name}/transport")
        (found,) = (step for step in steps if step["kind"] == "diffusion")
        sigma = facts["sigma_300k_ms_cm"]["status"]
        assert found["sigma_300k_ms_cm"]["status"] == sigma
        statuses = {
            f"{point['temperature_k']:g}K": point["diffusivity_cm2_s"]["status"]
            for point in found["points"]
        }
        shown = facts["diffusivity_cm2_s"]
        assert statuses == {at: known["status"] for at, known in shown.items()}
        compared = client.data(f"/compare?ids={name}&figures=arrhenius")["figures"][0]["data"]
        for traces in (client.data(f"/candidates/{name}/figures/arrhenius")["data"], compared):
            symbols = [(t["marker"]["symbol"], len(t["x"])) for t in traces if "hovertext" in t]
            filled = sum(n for symbol, n in symbols if symbol == "circle")
            assert filled == [*statuses.values()].count("ok")
            assert any(symbol == "star" for symbol, _ in symbols) == (sigma == "ok")
        assert ("ok" in statuses.values()) == (facts["n_mobile"] >= 24)
