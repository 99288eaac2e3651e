"""Write the GPAW energies of a store into the package: ship_gpaw.py STORE.

What `haloflow run examples/gpaw_phases.yaml --store STORE` has finished goes into
``systems/data/dft_energies.yaml``, in place of what was there. Only converged relaxations count,
by the versions, datasets and settings of this machine.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from monty.json import MontyDecoder

from haloflow.engines.gpaw_host import parts
from haloflow.engines.gpaw_levels import GPAW_LEVELS, has_closed_shells
from haloflow.engines.potentials import identify
from haloflow.errors import InputError
from haloflow.stores.connection import open_store
from haloflow.systems.phases import load_phases

if TYPE_CHECKING:
    from haloflow.stores.connection import HaloflowStore
    from haloflow.stores.documents import RelaxDocument

TARGET = Path(__file__).parents[1] / "systems/data/dft_energies.yaml"
HEAD = """\
# Crystals of phases.yaml relaxed by DFT for this package: energies and primitive cells.
# By tools/ship_gpaw.py, from a store of `haloflow run examples/gpaw_phases.yaml`; see docs/gpaw.md.
"""


EARLIER = {
    "gpaw-r2scan": "ca01e592ecb7d7bf5d83242de2c622fa76839ed0f050a3e6707bfd05411ba1d3",
    "gpaw-pbe": "fdded7ae87456f5f2277e070648b08d213404b890552fc7f06853c03bedc993e",
}
"""Settings but for the mesh, which was that of insulators wherever there was a nonmetal."""
NONMETALS = frozenset({"O", "S", "Cl"})
"""Of the phase library."""


def settings_are_those_here(document: RelaxDocument) -> bool:
    """Tell whether it would be computed here with the very settings that it was computed with.

    Raises
    ------
    InputError
        If other versions, datasets or settings made it: its energy does not go with the others.
    """
    record = document.provenance.potential
    assert record is not None
    symbols = [site.specie.symbol for site in document.structure]
    here = parts(symbols)
    made_with = {name: document.provenance.packages.get(name, "none") for name in here}
    weights = {identify(document.level).weights_sha256, EARLIER[document.level]}
    if made_with != here or record.weights_sha256 not in weights:
        differing = [name for name in here if made_with[name] != here[name]] or ["settings"]
        raise InputError(
            "a phase was computed by another GPAW than that of this machine",
            given=f"{document.identity[:12]}: "
            + ", ".join(f"{name} {made_with.get(name, '')}".strip() for name in differing),
            allowed=", ".join(f"{name} {here.get(name, '')}".strip() for name in differing),
            remedy="compute it again, or ship from the machine that computed all of them",
        )
    had_mesh_of_gap = not NONMETALS.isdisjoint(symbols)
    return record.weights_sha256 != EARLIER[document.level] or (
        had_mesh_of_gap == has_closed_shells(symbols)
    )


def found_relaxations(store: HaloflowStore, level: str) -> dict[str, RelaxDocument]:
    """Return the converged relaxations at `level` that can be shipped, by phase.

    Raises
    ------
    InputError
        If a phase was computed twice, e.g. to other forces; as `settings_are_those_here`.
    """
    found: dict[str, RelaxDocument] = {}
    order = list(load_phases())
    for candidate in store.candidates.query({"phase_id": {"$in": order}}):
        stored = store.outputs.query_one(
            {"output.identity": candidate["steps"].get("relax"), "output.level": level}
        )
        if stored is None or stored["output"]["status"] != "ok":
            continue
        document, phase = MontyDecoder().process_decoded(stored["output"]), candidate["phase_id"]
        if phase in found and found[phase].identity != document.identity:
            raise InputError(
                "a phase was computed twice, in different ways",
                given=f"{phase}: {found[phase].identity[:12]} and {document.identity[:12]}",
                remedy="give a store with one of them",
            )
        if settings_are_those_here(document):
            found[phase] = document
        else:
            sys.stdout.write(f"{phase} is left out: it has the mesh of an insulator\n")
    return dict(sorted(found.items(), key=lambda pair: order.index(pair[0])))


def computed(store: HaloflowStore, level: str) -> dict[str, Any] | None:
    """Return what the store holds at `level`, as it is shipped, or nothing."""
    found = found_relaxations(store, level)
    if not found:
        return None
    elements = {e.symbol for document in found.values() for e in document.structure.elements}
    rows = [
        {
            "phase_id": phase,
            "energy_ev_per_atom": round(document.energy_ev_per_atom.value, 6),
            "max_force_ev_a": round(document.max_force_ev_a, 4),
            "max_stress_gpa": round(document.max_stress_gpa, 4),
            "n_steps": document.n_steps,
            "identity": document.identity,
            "lattice": [
                [round(float(x), 6) for x in row] for row in document.structure.lattice.matrix
            ],
            "sites": [
                [site.specie.symbol, *(round(float(x), 6) for x in site.frac_coords)]
                for site in document.structure
            ],
        }
        for phase, document in found.items()
    ]
    weights = identify(level).weights_sha256
    made_with = parts(elements)
    return {"level": level, "weights_sha256": weights, "made_with": made_with, "phases": rows}


def main() -> None:
    """Write the data file."""
    with open_store(sys.argv[1]) as store:
        levels = [found for level in GPAW_LEVELS if (found := computed(store, level))]
    text = yaml.safe_dump(levels, sort_keys=False, width=160, default_flow_style=None)
    TARGET.write_text(HEAD + text)
    for found in levels:
        sys.stdout.write(f"{found['level']}: {len(found['phases'])} phases\n")


if __name__ == "__main__":
    main()
