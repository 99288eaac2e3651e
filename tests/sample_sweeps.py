"""Sweeps of glasses of which only the hulls are there, for figures over compositions."""

from __future__ import annotations

from functools import cache

from pymatgen.core import Composition
from sample_candidates import identity_of, views
from sample_documents import hull

from haloflow.stores.documents import CandidateDocument, LiteratureValue
from haloflow.systems.families import get_family
from haloflow.systems.phases import REFERENCE_LEVEL, phases_within


def glass(family_id, x, mixing_ev_per_atom, former=None):
    """Return a glass and its hull, `mixing_ev_per_atom` above its unmixed components."""
    family = get_family(family_id)
    mixture = family.mixture(x, former=former)
    formula = Composition(mixture.composition.get_integer_formula_and_factor()[0]).formula
    formula = formula.replace(" ", "")
    parts = {part.formula: n for part, n in mixture.amounts.items()}
    total = sum(_energy(f) * n * Composition(f).num_atoms for f, n in parts.items())
    energy = total / mixture.composition.num_atoms + mixing_ev_per_atom
    candidate_id = f"{family_id}-{x:g}"
    step = "hull-seed1"
    rows = family.literature_for(x, former=former, phase="glass")
    candidate = CandidateDocument(
        candidate_id=candidate_id,
        label=f"{mixture.label.replace(' ', '')} glass",
        family=family_id,
        formula=Composition(formula).reduced_formula,
        phase="glass",
        variables={"x": x},
        components=parts,
        levels={"hull": "chgnet-r2scan"},
        sweeps=["along"],
        n_atoms=120,
        n_mobile=24,
        steps={step: identity_of(candidate_id, step)},
        literature=[LiteratureValue(**row.as_document()) for row in rows],
    )
    several = parts if len(parts) > 1 else None
    return candidate, {step: hull(formula, energy, candidate.steps[step], several)}


def _energy(formula):
    reduced = Composition(formula).reduced_formula
    elements = {el.symbol for el in Composition(formula).elements}
    return min(
        phase.energy_per_atom_ev[REFERENCE_LEVEL]
        for phase in phases_within(elements)
        if phase.composition.reduced_formula == reduced
    )


@cache
def sulfide_views():
    """TaCl5-x Na2S."""
    return views([glass("tacl5-na2s", x, e) for x, e in ((0.5, -0.16), (0.25, -0.08), (1, -0.2))])


@cache
def chloride_views():
    """Na(2.25-x)Y0.25Zr0.75Cl(6-x), convex upwards: the middle falls apart into its neighbours."""
    return views(
        [glass("nayzrcl", x, e) for x, e in ((0.0, -0.02), (1.375, 0.06), (1.625, -0.03), (2, 0.0))]
    )
