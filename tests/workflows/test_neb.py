"""Barriers of hops as a sweep plans them, run for real with a pair potential."""

from __future__ import annotations

import re
from types import SimpleNamespace

import ase.io
import pytest
from ase.build import bulk
from tiny_sweeps import GLASS, run_job, tiny_data, tiny_sweep

from haloflow.dashboard.figures_barriers import barriers_figure
from haloflow.errors import InputError, UnknownNameError
from haloflow.makers.neb import NebMaker
from haloflow.makers.vasp_neb import VaspNebMaker
from haloflow.quantity import Quantity, Status
from haloflow.stores.barrier_documents import BarriersDocument
from haloflow.stores.connection import open_store
from haloflow.stores.summary import summarize
from haloflow.workflows.plan import plan_sweep
from haloflow.workflows.sweep import parse_sweep

NEB = {"max_distance_a": 3.6, "per_kind": 1, "n_images": 3, "fmax_ev_a": 0.02, "max_steps": 40}


@pytest.fixture(scope="module")
def glass(tmp_path_factory):
    """Return a plan with barriers, its documents by name, and the folder of its files."""
    folder = tmp_path_factory.mktemp("neb")
    plan = plan_sweep(tiny_sweep(systems=[GLASS], neb=NEB))
    with pytest.MonkeyPatch.context() as patch, open_store(str(folder / "store")) as store:
        patch.chdir(folder)
        made = {step.name: run_job(step.to_job(), store) for step in plan.steps.values()}
        yield plan, made, store.files_dir


def test_the_bands_start_along_the_density_of_the_same_glass(glass):
    plan, made, files = glass
    document = made["neb-seed1"]
    (step,) = (one for one in plan.steps.values() if one.kind == "neb")
    assert isinstance(document, BarriersDocument)
    assert document.identity == step.identity
    assert set(step.parents) == {"start", "landscape"}
    assert document.into == "vacancy"
    assert document.host_max_stress_gpa >= 0
    assert "before the hops: " in document.note  # 40 steps are few
    assert "a neutral atom was taken out" in document.charge_note
    assert {hop.kind for hop in document.hops} == set(document.n_possible)
    assert all(hop.distance_a <= 3.6 for hop in document.hops)
    assert any("through the density at 300 K" in hop.route for hop in document.hops)
    assert any(hop.energies_ev for hop in document.hops)
    for hop, file in zip(document.hops, document.files, strict=True):
        images = ase.io.read(files / file.path, ":")
        if hop.energies_ev:
            assert len(images) == len(hop.energies_ev) == NEB["n_images"] + 2
            found = [image.get_potential_energy() for image in images]
            assert found[-1] - found[0] == pytest.approx(hop.difference_ev, abs=1e-6)
            assert len(images[0]) == 15  # of 16 one is taken out
            assert [symbol for symbol, _ in hop.window] == ["Cl"] * 3


def test_the_summary_takes_sound_barriers_over_corners_alone(glass):
    plan, made, _ = glass
    candidate = plan.candidates[0].document
    document = made["neb-seed1"]
    hop = document.hops[0]

    def summary(*hops):
        ok = {"status": Status.OK, "note": ""}  # what is said of this sample is not the point
        changed = document.model_copy(update={"hops": list(hops), **ok})
        steps = {d.identity: d.model_copy(update=ok) for d in made.values()}
        return summarize(candidate, steps | {document.identity: changed})

    def one(value, shared, linkage="corner", status=Status.OK, back=0.0):
        barriers = [Quantity(v, 0.01, v - 0.02, v + 0.02, status) for v in (value, value + back)]
        update = {"barrier_ev": barriers[0], "backward_barrier_ev": barriers[1],
                  "shared": shared, "linkage": linkage}  # fmt: skip
        return hop.model_copy(update=update)

    found = summary(
        one(0.3, {"Cl": 1}), one(0.5, {"Cl": 1}), one(0.2, {"O": 1}), one(9.0, {"Cl": 2}, "edge"),
        one(9.0, {"Cl": 1}, status=Status.UNCONVERGED),
    )  # fmt: skip
    assert found.corner_barrier_halide_ev.value == pytest.approx(0.4)
    assert found.corner_barrier_halide_ev.note.startswith(
        "1 of 3 bands gave no sound barrier; mean of 2 hops, 0.30 to 0.50 eV"
    )
    assert found.corner_barrier_halide_ev.status is Status.UNCONVERGED
    assert found.corner_barrier_chalcogenide_ev.status is Status.OK
    there_and_back = summary(one(0.3, {"Cl": 1}, back=0.2)).corner_barrier_halide_ev
    assert there_and_back.value == pytest.approx(0.4)  # which end is the first is chance
    assert "mean of 1 hops, 0.30 to 0.50 eV" in there_and_back.note
    assert found.corner_barrier_chalcogenide_ev.value == pytest.approx(0.2)
    assert summary(one(9.0, {"Cl": 2}, "edge")).corner_barrier_halide_ev is None
    unsound = summary(one(9.0, {"Cl": 1}, status=Status.UNCONVERGED)).corner_barrier_halide_ev
    assert unsound.value is None
    assert "1 bands, none sound" in unsound.note


def test_a_cell_in_which_ions_meet_their_images_is_told(glass):
    document = glass[1]["neb-seed1"]
    thin = [hop for hop in document.hops if hop.energies_ev]
    assert thin
    for hop in thin:
        assert hop.barrier_ev.status is not Status.OK
        assert re.match(r"the cell is \d\.\d A thin, less than 8: ", hop.barrier_ev.note)
    assert document.status is not Status.OK
    n = len(document.hops)
    assert document.note.startswith(f"{n} of {n} bands gave no sound barrier")


def test_the_top_of_a_band_is_graded_where_a_student_makes_it(monkeypatch):
    image = bulk("NaCl", "rocksalt", a=5.6, cubic=True) * (2, 2, 2)
    domain = SimpleNamespace(grade=lambda atoms: len(atoms) / 16)
    monkeypatch.setattr("haloflow.makers.neb.domain_of_level", {"nep:s.txt": domain}.get)
    known, strange = (SimpleNamespace(images=[image[:16], i], top=1) for i in (image[:32], image))
    student = NebMaker(level="nep:s.txt", anions=("Cl",))
    assert student._doubts(known) == []
    assert student._doubts(strange) == [
        "the top of the band has grade 4, above 2: the model was not trained for it"
    ]
    assert NebMaker(anions=("Cl",))._doubts(strange) == []


def test_the_figure_pales_what_is_not_sound(glass):
    document = glass[1]["neb-seed1"]
    known = next(hop for hop in document.hops if hop.energies_ev)
    sound = known.model_copy(update={"barrier_ev": Quantity(0.3, 0.01, 0.28, 0.32)})
    pale = known.model_copy(update={"barrier_ev": Quantity(status=Status.UNCONVERGED, note="why")})
    figure = barriers_figure(document.model_copy(update={"hops": [sound, pale]}))
    assert {trace["line"]["shape"] for trace in figure["data"]} == {"linear"}  # none overshoots
    colours = [trace["line"]["color"] for trace in figure["data"]]
    assert colours[0].endswith("0.9)")
    assert colours[1].endswith("0.3)")
    assert [trace["showlegend"] for trace in figure["data"]] == [True, False]
    assert "why" in figure["data"][1]["hovertext"][0]
    lost = known.model_copy(update={"energies_ev": [], "path_a": []})
    assert barriers_figure(document.model_copy(update={"hops": [lost]})) is None


def test_empty_sites_need_no_vacancy(glass, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    start = glass[1]["relax-seed1"]
    maker = NebMaker(
        level=start.level, anions=("Cl",), into="empty", per_kind=1, n_images=1, max_steps=5
    )
    with open_store(str(tmp_path / "store")) as store:
        document = run_job(maker.make(start), store)
        assert document.into == "empty"
        assert document.charge_note == "all ions are there"
        assert all(hop.label.endswith("to empty site") for hop in document.hops)
        assert all(hop.route == "straight line" for hop in document.hops)
        short = NebMaker(level=start.level, anions=("Cl",), max_distance_a=0.5, max_steps=5)
        with pytest.raises(InputError, match=r"Na has no hop of at most 0\.5 A here"):
            run_job(short.make(start), store)
        with pytest.raises(InputError, match="barriers need a structure"):
            run_job(maker.make(None), store)


def test_at_another_level_than_mds_the_cell_is_relaxed_first():
    plans = [plan_sweep(tiny_sweep(systems=[GLASS], neb=NEB | k))
             for k in ({}, {"level": "chgnet-r2scan"})]  # fmt: skip
    plain, other = ({one.name: one for one in plan.steps.values()} for plan in plans)
    assert "relax-neb-seed1" not in plain
    relaxed = other["relax-neb-seed1"]
    assert relaxed.maker.level == "chgnet-r2scan"
    assert other["neb-seed1"].parents["start"] == relaxed.identity


def test_with_dft_no_neutral_atom_is_taken_out_unless_that_is_asked_for():
    def into(neb, **stages):
        return parse_sweep(tiny_data(neb=neb) | stages).neb.into

    vasp = {"level": "vasp-r2scan"}
    assert into(NEB) == "vacancy"
    assert into(NEB | vasp) == "empty"
    assert into(NEB, **vasp) == "empty"
    assert into(NEB | vasp | {"into": "vacancy"}) == "vacancy"
    assert VaspNebMaker().into == "empty"


def test_other_settings_are_another_candidate_with_the_same_dynamics():
    plain, asked = (plan_sweep(tiny_sweep(systems=[GLASS], **k)) for k in ({}, {"neb": NEB}))
    assert {asked.steps[i].kind for i in asked.steps.keys() - plain.steps.keys()} == {"neb"}
    ids = {plan.candidates[0].document.candidate_id for plan in (plain, asked)}
    assert len(ids) == 2
    level = {"level": "no-such-potential"}
    with pytest.raises(UnknownNameError, match=r"neb\.level: "):
        plan_sweep(tiny_sweep(systems=[GLASS], neb=NEB | level))
