"""Documents of every kind of step for synthetic candidates, with trajectories to play.

One trajectory is made up, a crystal that rattles, and really analysed; candidates carry what
was found, under the names of their own elements. Hulls are those of the phase library.
"""

from __future__ import annotations

import math
import re
import tempfile
from functools import cache
from pathlib import Path

import many_candidates as many
import numpy as np
import sample_documents as samples
from ase.io import write
from sample_candidates import fill
from sample_trajectories import FRAME_PS, Frames, chains

from haloflow.errors import HaloflowError
from haloflow.identity import file_sha256
from haloflow.quantity import Quantity, Status
from haloflow.stores.analyses import (
    LandscapeDocument,
    LandscapePoint,
    LawAnalysis,
    RegimeAnalysis,
    StructureDocument,
    StructurePoint,
    TransportDocument,
)
from haloflow.stores.documents import (
    FileReference,
    MDDocument,
    Provenance,
)
from haloflow.stores.records import candidate_of, summary_record
from haloflow.stores.registry_documents import RegistryDocument, RegistryEnergy
from haloflow.stores.results import record_failure
from haloflow.stores.summary import summarize
from haloflow.systems.crystals import crystal_model
from haloflow.systems.packing import pack
from haloflow.systems.phases import get_phase
from haloflow.systems.registries import chain_registries
from haloflow.units import BOLTZMANN_EV_PER_K
from haloflow.workflows.analyze import Request, analyze
from haloflow.workflows.levels import level_error_ev_per_atom

MD_LEVEL, HULL_LEVEL = samples.MD_LEVEL, samples.HULL_LEVEL
_N_FRAMES = 40
_MEASURED_K = 600.0
_LARGEST = 260
_SCALED = (
    *("diffusivity_cm2_s", "collective_diffusivity_cm2_s", "sigma_ne_ms_cm", "sigma_ms_cm"),
    *("msd_self_a2", "msd_collective_a2"),
)


def write_documents(store, n):
    """Put the first `n` candidates into `store`, with outputs, files and summaries."""
    for number in range(n):
        base = many.bases()[number % len(many.bases())]
        (record, _), *_ = many.records(1, start=number)
        candidate, documents = full_candidate(base, candidate_of(record), number, store.files_dir)
        fill(store, [(candidate, documents)])
        lost = list(candidate.steps.values())[len(documents) :][: number % 5 == 3]
        for identity in lost:
            record_failure(store, identity, "diffusion", "ModelError: synthetic failure")
        summary = summarize(
            candidate,
            {one.identity: one for one in documents.values()},
            failures=dict.fromkeys(lost, "ModelError: synthetic failure"),
        )
        store.summaries.update([summary_record(summary)], key="candidate_id")


def full_candidate(base, candidate, number, files_dir):
    """Return a candidate with its own box, and its documents by the names of its steps."""
    structure = _structure(base.found)
    steps = dict(candidate.steps)
    chained = candidate.phase_id == "NaTaOCl4_Cm"
    if chained:
        steps["registries"] = many.identity_of(number, "registries")
    counts = {
        "n_atoms": len(structure),
        "n_mobile": round(structure.composition["Na"]),
        "steps": steps,
    }
    candidate = candidate.model_copy(update=counts)
    rng = np.random.default_rng(number)
    law = (3e-4 * math.exp(rng.normal(0, 0.5)), float(rng.uniform(0.18, 0.42)))
    documents = dict(_documents(candidate, structure, law, number, files_dir))
    if number % 5 == 3:  # some have not come to their end
        keep = list(documents)[: 2 + number % 6]
        documents = {name: documents[name] for name in keep}
    return candidate, with_parents(documents)


def with_parents(documents):
    """Return the documents with the steps that each was made from, as a sweep chains them."""
    names = {}
    for name, document in documents.items():
        names.setdefault(document.kind, []).append(name)
    before = {"relax": "melt_quench", "hull": "relax", "md": "melt_quench", "registries": "relax"}
    before |= dict.fromkeys(("diffusion", "transport", "structure", "landscape"), "md")
    if "melt_quench" not in names:
        before["md"] = "relax"
    linked = {}
    for name, document in documents.items():
        sources = names.get(before.get(document.kind), ())
        parents = [documents[source].identity for source in sources]
        parents = parents or document.provenance.parents
        made = document.provenance.model_copy(update={"parents": parents})
        linked[name] = document.model_copy(update={"provenance": made})
    return linked


def _structure(found):
    if found.phase == "crystal":
        return crystal_model(get_phase(found.phase_id), min_mobile=16, max_atoms=_LARGEST)
    for n_mobile in (24, 12, 6):
        units = found.mixture.integer_units(target_n_mobile=n_mobile)
        packed = pack(found.mixture, units, seed=1).structure
        if len(packed) <= _LARGEST:
            break
    return packed


def _documents(candidate, structure, law, number, files_dir):
    sample = "-seed1" if candidate.phase == "glass" else ""
    ids, unconverged = candidate.steps, (500,) if number % 4 == 1 else ()
    if sample:
        ratio = 0.81 if number % 7 == 2 else 0.93
        yield (
            f"melt_quench{sample}",
            stamped(samples.quenched(structure, ids[f"melt_quench{sample}"], ratio=ratio)),
        )
    yield f"relax{sample}", stamped(samples.relaxed(structure, ids[f"relax{sample}"]))
    yield f"hull{sample}", stamped(_hull(candidate, ids[f"hull{sample}"], number))
    frames = _frames(structure, number)
    runs = []
    for kelvin in many.TEMPERATURES_K:
        name = f"md{sample}-{kelvin}K"
        folder = files_dir / ids[name][:2] / ids[name] / "production"
        runs.append(_run(structure, ids[name], kelvin, _stored(frames, folder, files_dir)))
        yield name, runs[-1]
    yield (
        f"diffusion{sample}",
        stamped(
            samples.diffusion(
                *(structure, ids[f"diffusion{sample}"], law, many.TEMPERATURES_K),
                unconverged=unconverged,
                tg_k=560.0 if number % 6 == 4 else None,
            )
        ),
    )
    yield from _analyses(candidate, ids, runs, law, sample)
    if "registries" in ids:
        yield "registries", _registries(candidate, ids["registries"])


def provenance(level=MD_LEVEL):
    """Return a provenance that tells where the numbers come from."""
    known = samples.provenance(level).model_dump()
    return Provenance(**known | {"parameters": {"synthetic": many.NOTE}})


def stamped(document):
    """Return `document` with its level and a synthetic provenance."""
    return document.model_copy(update={"provenance": provenance(document.level)})


def _hull(candidate, identity, number):
    wanted = (0.0, 0.012, 0.034, 0.071, 0.16)[number % 5]
    arguments = (identity, candidate.components)
    try:
        above = samples.hull(candidate.formula, 0.0, *arguments).energy_above_hull_ev_per_atom
        return _with_error(samples.hull(candidate.formula, wanted - above.value, *arguments))
    except HaloflowError:  # segregation needs components that the library holds
        return _with_error(samples.hull(candidate.formula, -4.0, identity))


def _with_error(hull):
    """Return `hull` with the error of its level, as a step gives it."""
    sd = level_error_ev_per_atom(hull.level)
    known = hull.energy_above_hull_ev_per_atom
    ends = (known.value - 1.96 * sd, known.value + 1.96 * sd)
    above = Quantity(known.value, sd, *ends, known.status, known.note)
    return hull.model_copy(update={"energy_above_hull_ev_per_atom": above})


def _frames(structure, number):
    """Make a short trajectory: atoms rattle, some Na hop."""
    rng = np.random.default_rng(number)
    species = np.array([site.specie.symbol for site in structure])
    positions = np.repeat(structure.cart_coords[None], _N_FRAMES, axis=0)
    hops = rng.normal(0.0, 2.0, (_N_FRAMES, len(species), 3))
    hops *= (rng.random((_N_FRAMES, len(species), 1)) < 0.03) * (species == "Na")[:, None]
    positions = positions + np.cumsum(hops, axis=0) + rng.normal(0.0, 0.08, positions.shape)
    cells = np.broadcast_to(structure.lattice.matrix, (_N_FRAMES, 3, 3)).copy()
    return Frames(positions, cells, species)


def _stored(frames, folder, files_dir):
    if not folder.exists():
        frames.store(folder)
    return [
        FileReference(
            path=path.relative_to(files_dir).as_posix(),
            sha256=file_sha256(path),
            n_bytes=path.stat().st_size,
            role="trajectory-production",
        )
        for path in sorted(folder.iterdir())
    ]


def _run(structure, identity, kelvin, files):
    return MDDocument(
        identity=identity,
        provenance=provenance(),
        files=files,
        level=MD_LEVEL,
        ensemble="npt-isotropic then nvt",
        temperature_k=kelvin,
        temperature_mean_k=kelvin + 1.7,
        timestep_fs=2.0,
        n_steps=int(1000 * FRAME_PS / 2) * _N_FRAMES,
        n_steps_target=int(1000 * FRAME_PS / 2) * _N_FRAMES,
        seed=1,
        density_g_cm3=Quantity(float(structure.density), 0.02),
        trajectory_interval_steps=int(1000 * FRAME_PS / 2),
        structure=structure,
    )


@cache
def analysed():
    """Return what the analyses find in the made-up trajectory."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "chains.traj"
        write(path, chains(120).images())
        request = Request(path, temperature_k=_MEASURED_K, frame_ps=FRAME_PS)
        return analyze(request).sections


@cache
def _renamed(section, former, anion):
    """Return a section with the elements of a candidate in the place of Ta and O."""
    text = analysed()[section].model_dump_json()
    text = re.sub(r"Ta(?![a-z])", former, text)
    text = re.sub(r"(?<![A-Za-z])O(?![a-z])|(?<=[A-Za-z0-9])O(?=[A-Z0-9\-\"])", anion, text)
    return type(analysed()[section]).model_validate_json(text)


def _analyses(candidate, ids, runs, law, sample):
    elements = set(re.findall("[A-Z][a-z]?", candidate.formula))
    former = min(elements - {"Na", "Cl", "O", "S"}, default="Ta")
    anion = "S" if "S" in elements else "O"

    def part(section):
        return _renamed(section, former, anion)

    common = {"provenance": provenance(), "level": MD_LEVEL, "left_out": {}}
    points = [_scaled(part("transport"), run.temperature_k, law[1]) for run in runs]
    yield (
        f"transport{sample}",
        TransportDocument(
            identity=ids[f"transport{sample}"],
            points=points,
            laws={name: _law(points, name, law[1]) for name in ("sigma_ne_ms_cm", "sigma_ms_cm")},
            **common,
        ),
    )
    parts = {name: part(name) for name in ("structure", "speciation", "octahedra", "environment")}
    places = [StructurePoint(temperature_k=run.temperature_k, **parts) for run in runs[::2]]
    yield (
        f"structure{sample}",
        StructureDocument(identity=ids[f"structure{sample}"], mobile="Na", points=places, **common),
    )
    valleys = [
        LandscapePoint(
            landscape=part("landscape").model_copy(update={"temperature_k": run.temperature_k}),
            hops=part("hops"),
            topology=part("topology"),
        )
        for run in runs[::2]
    ]
    yield (
        f"landscape{sample}",
        LandscapeDocument(
            identity=ids[f"landscape{sample}"], mobile="Na", points=valleys, **common
        ),
    )


def _scaled(point, kelvin, energy_ev, measured_k=_MEASURED_K):
    """Return transport at another temperature by an Arrhenius law."""
    warmer = 1.0 / measured_k - 1.0 / kelvin
    factor = math.exp(energy_ev / BOLTZMANN_EV_PER_K * warmer)
    scaled = {name: _times(getattr(point, name), factor) for name in _SCALED}
    return point.model_copy(update=scaled | {"temperature_k": float(kelvin)})


def _law(points, name, energy_ev):
    """Return the law by which the points were made."""
    warm = getattr(_scaled(points[0], 300.0, energy_ev, points[0].temperature_k), name)
    energy = Quantity(energy_ev, 0.01, status=Status.OK)
    regime = RegimeAnalysis(
        lower_k=None, upper_k=None, activation_energy_ev=energy, n_points=len(points)
    )
    return LawAnalysis(
        name="arrhenius", regimes=[regime], breaks_k=[], sigma_300k_ms_cm=warm, bic={}
    )


def _times(value, factor):
    if isinstance(value, list):
        return [one * factor for one in value]
    if value is None:
        return None
    parts = (value.value, value.sd, value.lower, value.upper)
    return Quantity(*(one and one * factor for one in parts), value.status, value.note)


def _registries(candidate, identity):
    crystal = get_phase(candidate.phase_id).structure()
    found = chain_registries(crystal, "Ta")
    energies = [
        RegistryEnergy(
            label=one.label,
            shifts=list(one.shifts),
            polarities=list(one.polarities),
            multiplicity=one.multiplicity,
            structure=one.structure,
            energy_ev_per_atom=Quantity(-4.9 + 0.0012 * at),
            relative_energy_mev_per_atom=Quantity(1.2 * at),
            n_steps=20 + at,
            max_force_ev_a=0.04,
        )
        for at, one in enumerate(found)
    ]
    return RegistryDocument(
        identity=identity,
        status=Status.OK,
        provenance=provenance(),
        level=MD_LEVEL,
        former="Ta",
        bridging="O",
        registries=energies,
    )
