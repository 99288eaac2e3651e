"""The hull of every published point of every family, from its planned step."""

from __future__ import annotations

import pytest
from jobflow import run_locally
from pymatgen.core import Composition, Lattice, Structure
from sample_documents import relaxed

from haloflow.makers.step import release_claims
from haloflow.quantity import Status
from haloflow.stores.connection import open_store
from haloflow.stores.records import step_of
from haloflow.systems.families import list_families
from haloflow.workflows.candidates import expand
from haloflow.workflows.plan import plan_sweep
from haloflow.workflows.sweep import parse_sweep

ENERGY_EV_PER_ATOM = -5.0


def gas_of(counts):
    """Return the atoms of whole formula units, anywhere: a hull asks for their energy only."""
    composition = sum((Composition(f) * n for f, n in counts.items()), Composition())
    species = [s for s, n in composition.get_el_amt_dict().items() for _ in range(round(n))]
    places = [(index / len(species), 0.0, 0.0) for index in range(len(species))]
    return Structure(Lattice.cubic(20.0), species, places)


@pytest.mark.parametrize("family", [f.id for f in list_families()])
def test_every_published_glass_has_a_hull_and_its_energy_of_reaction(family, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    sweep = parse_sweep(
        {"name": "all", "systems": [{"family": family, "phase": "glass"}], "seeds": 1}
    )
    assert expand(sweep)
    jobs, documents = {}, {}
    for planned in plan_sweep(sweep).candidates:
        maker = next(step.maker for step in planned.steps if step.kind == "hull")
        structure = gas_of(planned.document.units)
        jobs[planned.document.label] = maker.make(
            relaxed(structure, "c" * 64, maker.level, ENERGY_EV_PER_ATOM)
        )
    with open_store(tmp_path / "store") as store:
        for label, job in jobs.items():
            outputs = run_locally(job, log=False, ensure_success=True, store=store.jobstore)
            documents[label] = step_of(outputs[job.uuid][1].output)
        release_claims()
    for label, document in documents.items():
        assert document.energy_above_hull_ev_per_atom.value is not None, label
        reaction = document.reaction_energy_ev_per_atom
        assert (reaction.status, reaction.note) == (Status.OK, ""), label
        made_from = sum(
            (Composition(p.formula) * p.amount for p in document.reaction_components), Composition()
        )
        assert made_from.almost_equals(Composition(document.formula)), label
