"""Write the GPAW energies of a store into the package: ship_gpaw.py STORE.

What `haloflow run examples/gpaw_phases.yaml --store STORE` has finished goes into
``systems/data/dft_energies.yaml``, in place of what was there; only converged relaxations count.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import yaml
from monty.json import MontyDecoder

from haloflow.engines.gpaw_levels import GPAW_LEVELS
from haloflow.stores.connection import HaloflowStore, open_store
from haloflow.systems.phases import load_phases

TARGET = Path(__file__).parents[1] / "systems/data/dft_energies.yaml"
HEAD = """\
# Crystals of phases.yaml relaxed by DFT for this package: energies and primitive cells.
# By tools/ship_gpaw.py, from a store of `haloflow run examples/gpaw_phases.yaml`; see docs/gpaw.md.
"""


def computed(store: HaloflowStore, level: str) -> dict[str, Any] | None:
    """Return what the store holds at `level`, or nothing."""
    rows, records, made_with = [], {}, {}
    for candidate in store.candidates.query({"phase_id": {"$in": list(load_phases())}}):
        found = store.outputs.query_one(
            {"output.identity": candidate["steps"].get("relax"), "output.level": level}
        )
        if found is None or found["output"]["status"] != "ok":
            continue
        document = MontyDecoder().process_decoded(found["output"])
        packages = document.provenance.packages
        records[document.provenance.potential.weights_sha256] = level
        made_with = {k: packages[k] for k in ("gpaw", "gpaw-data", "libxc")} | made_with
        made_with |= {k: v for k, v in packages.items() if k.startswith("PAW ")}
        structure = document.structure
        rows.append(
            {
                "phase_id": candidate["phase_id"],
                "energy_ev_per_atom": round(document.energy_ev_per_atom.value, 6),
                "max_force_ev_a": round(document.max_force_ev_a, 4),
                "max_stress_gpa": round(document.max_stress_gpa, 4),
                "n_steps": document.n_steps,
                "identity": document.identity,
                "lattice": [[round(float(x), 6) for x in row] for row in structure.lattice.matrix],
                "sites": [
                    [site.specie.symbol, *(round(float(x), 6) for x in site.frac_coords)]
                    for site in structure
                ],
            }
        )
    if not rows:
        return None
    (weights,) = records  # one set of settings, or the energies do not go together
    order = list(load_phases())
    rows.sort(key=lambda row: order.index(str(row["phase_id"])))
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
