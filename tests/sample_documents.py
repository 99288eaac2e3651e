"""Documents as a short screening leaves them, for tests of the faces.

Structures, hulls and Arrhenius laws are computed by the package from its phase library;
only the diffusivities and the melt-quench histories are made up.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np

from haloflow.analysis.arrhenius import fit_arrhenius, nernst_einstein_ms_cm
from haloflow.analysis.hull import HullEntry as Entry
from haloflow.analysis.hull import hull_analysis
from haloflow.makers.hull import HullMaker
from haloflow.quantity import Quantity, Status
from haloflow.stores.documents import (
    DiffusionDocument,
    FileReference,
    GlassEvidence,
    HullDocument,
    HullEntry,
    HullProduct,
    LiteratureValue,
    MeltQuenchDocument,
    MsdCurve,
    PotentialRecord,
    Provenance,
    RdfCurve,
    RelaxDocument,
    TransportPoint,
)
from haloflow.systems.mixture import Mixture
from haloflow.systems.packing import pack
from haloflow.systems.phases import REFERENCE_LEVEL, phases_within
from haloflow.units import BOLTZMANN_EV_PER_K

HULL_LEVEL, MD_LEVEL = "chgnet-r2scan", "chgnet-r2scan-d3"
SHA = "9f2c" * 16


def provenance(level=MD_LEVEL, wall_s=12.5):
    return Provenance(
        haloflow_version="0.1.0",
        code_version=1,
        python_version="3.11.7",
        packages={"ase": "3.29.0", "torch": "2.13.0"},
        potential=PotentialRecord(
            name=level, level=level, package="chgnet", package_version="0.4.2", weights_sha256=SHA
        ),
        parents=["a" * 64],
        wall_s=wall_s,
    )


def relaxed(structure, identity, level=HULL_LEVEL, energy=-5.0):
    return RelaxDocument(
        identity=identity,
        provenance=provenance(level),
        structure=structure,
        level=level,
        energy_ev_per_atom=Quantity(energy),
        max_force_ev_a=0.04,
        n_steps=37,
        density_g_cm3=float(structure.density),
    )


def hull(formula, energy, identity, components=None, *, status=Status.OK):
    elements = {element.symbol for element in get_composition(formula).elements}
    entries = [
        Entry(p.id, p.formula, p.energy_per_atom_ev[REFERENCE_LEVEL], p.role, HULL_LEVEL)
        for p in phases_within(elements)
    ]
    found = hull_analysis(formula, energy, entries, level=HULL_LEVEL, components=components)
    note = "" if status is Status.OK else "the relaxation stopped after 40 steps"
    document = HullDocument(
        status=status,
        note=note,
        identity=identity,
        provenance=provenance(HULL_LEVEL),
        formula=formula,
        level=HULL_LEVEL,
        energy_ev_per_atom=energy,
        formation_energy_ev_per_atom=found.formation_energy_ev_per_atom,
        energy_above_hull_ev_per_atom=Quantity(
            found.energy_above_hull_ev_per_atom, status=status, note=note
        ),
        decomposition=[
            HullProduct(phase_id=p.phase_id, formula=p.formula, amount=p.amount)
            for p in found.decomposition
        ],
        reaction_energy_ev_per_atom=Quantity(found.reaction_energy_ev_per_atom),
        reaction_components=[
            HullProduct(phase_id=p.phase_id, formula=p.formula, amount=p.amount)
            for p in found.components
        ],
        oxidation_states={"Na": [1.0], "Cl": [-1.0]},
        roles=["reference"],
        entries=[
            HullEntry(
                phase_id=point.entry.phase_id,
                formula=point.entry.formula,
                role=point.entry.role,
                energy_ev_per_atom=point.entry.energy_ev_per_atom,
                formation_energy_ev_per_atom=point.formation_energy_ev_per_atom,
                energy_above_hull_ev_per_atom=point.energy_above_hull_ev_per_atom,
            )
            for point in found.points
        ],
    )
    maker = HullMaker(level=HULL_LEVEL)
    return document.model_copy(
        update={
            "window": maker._window(document, entries),
            "segregation": maker._segregation(document, entries),
        }
    )


def get_composition(formula):
    from pymatgen.core import Composition

    return Composition(formula)


def diffusion(structure, identity, law, temperatures_k, *, unconverged=(), tg_k=None):
    """Make transport that follows `law` = (D0 in cm2/s, Ea in eV), some of it unconverged."""
    d0, energy = law
    noise = np.random.default_rng(7)
    points, curves, rdfs = [], [], []
    n_mobile = round(structure.composition["Na"])
    for temperature in temperatures_k:
        d = d0 * math.exp(-energy / (BOLTZMANN_EV_PER_K * temperature))
        d *= float(np.exp(noise.normal(0, 0.05)))
        if temperature in unconverged:
            note = "3 effective hops, 30 are needed"
            quantity = Quantity(None, None, None, 3 * d, Status.UNCONVERGED, note)
        else:
            quantity = Quantity(d, 0.1 * d, 0.82 * d, 1.2 * d)
        volume = structure.volume
        sigma = nernst_einstein_ms_cm(
            quantity, n_mobile=n_mobile, volume_a3=volume, temperature_k=temperature
        )
        points.append(
            TransportPoint(
                temperature_k=temperature,
                diffusivity_cm2_s=quantity,
                sigma_ms_cm=sigma,
                n_effective_hops=140.0,
                n_mobile=n_mobile,
                duration_ps=50.0,
            )
        )
        lag = np.geomspace(0.05, 25, 40)
        msd = 1.2 * (1 - np.exp(-lag / 0.3)) + 6 * d * 1e4 * lag
        curves.append(
            MsdCurve(
                temperature_k=temperature,
                lag_ps=lag.tolist(),
                msd_a2=msd.tolist(),
                window_ps=(5.0, 20.0),
            )
        )
        r = np.linspace(0.05, 8, 160)
        for pair, first, height in (("Na-Cl", 2.8, 3.0), ("Ta-Cl", 2.35, 11.0)):
            g = height * np.exp(-((r - first) ** 2) / 0.03) + 1 / (1 + np.exp(-(r - 4) * 3))
            rdfs.append(
                RdfCurve(pair=pair, temperature_k=temperature, r_a=r.tolist(), g=g.tolist())
            )
    fit = fit_arrhenius(list(temperatures_k), [point.sigma_ms_cm for point in points], tg_k=tg_k)
    return DiffusionDocument(
        identity=identity,
        provenance=provenance(),
        level=MD_LEVEL,
        mobile="Na",
        charge=1.0,
        points=points,
        activation_energy_ev=fit.activation_energy_ev,
        sigma_300k_ms_cm=fit.extrapolated,
        glass_transition_k=None if tg_k is None else Quantity(tg_k, 12.0),
        msd=curves,
        rdf=rdfs,
    )


def quenched(structure, identity, *, ratio=0.94, crystal=None):
    density = float(structure.density)
    blocks = [density * factor for factor in (0.93, 0.965, 0.985, 0.997, 1.001, 1.0)]
    warning = "the density is below 0.85 of its components'" if ratio < 0.85 else ""
    return MeltQuenchDocument(
        identity=identity,
        provenance=provenance(),
        files=[FileReference(path="ab/thermo.h5", sha256=SHA, n_bytes=12345, role="thermo")],
        structure=structure,
        level=MD_LEVEL,
        seed=1,
        energy_ev_per_atom=Quantity(-4.1),
        melt_temperature_k=1500.0,
        final_temperature_k=300.0,
        quench_rate_k_s=4.0e14,
        density_g_cm3=Quantity(density, 0.01 * density),
        density_blocks_g_cm3=blocks,
        density_crystal_g_cm3=crystal,
        density_components_g_cm3=density / ratio,
        density_ratio=ratio,
        density_warning=warning,
        melted=GlassEvidence(
            holds=True, criterion="MSD beyond d^2 and growing", numbers={"msd_a2_Ta": 31.2}
        ),
        amorphous=GlassEvidence(
            holds=True, criterion="no Bragg peak above its own S(q)", numbers={"peak_ratio": 1.4}
        ),
        bonds={"Cl-Cl": 0},
    )


@cache
def glass_structure(components, seed=3):
    mixture = Mixture(dict(components))
    return pack(mixture, mixture.integer_units(target_n_mobile=24), seed=seed).structure


def literature(value, kind, phases, source, conditions=""):
    return LiteratureValue(
        quantity="sigma_300k_ms_cm",
        value=value,
        kind=kind,
        phases_present=phases,
        source=source,
        conditions=conditions,
    )
