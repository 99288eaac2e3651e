"""How far CHGNet's r2SCAN is from r2SCAN: GPAW on 20 glass-like frames of 14 to 28 atoms.

    python benchmarks/gpaw_chgnet.py FOLDER [--frames N]

Small boxes of packed formula units are relaxed, molten and quenched by CHGNet; a frame of the
melt and one of the glass of each box are evaluated by both. Everything in FOLDER is resumed:
frames that are there are not made again, and each label is kept as soon as it is computed. The
table is of what is done so far. Formation energies are those from the elements, where GPAW's
energies of all of them are shipped; energies within a composition need no references.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from ase.io import read, write
from pymatgen.io.ase import AseAtomsAdaptor

from haloflow.engines.checkpoint import CheckpointFolder
from haloflow.engines.labels import label_frames
from haloflow.engines.md import run_md
from haloflow.engines.md_settings import MDSettings
from haloflow.engines.potentials import identify, load_potential
from haloflow.engines.relax import relax
from haloflow.engines.relax_settings import RelaxSettings
from haloflow.errors import EngineError, InterruptedRunError
from haloflow.systems.components import component
from haloflow.systems.dft_energies import computed_energies
from haloflow.systems.families import get_family
from haloflow.systems.mixture import Mixture
from haloflow.systems.packing import pack
from haloflow.systems.phases import REFERENCE_LEVEL, get_phase

if TYPE_CHECKING:
    from ase import Atoms

GPAW, CHGNET = "gpaw-r2scan", "chgnet-r2scan"
ELEMENTS = {"Na": "Na_bcc", "Ta": "Ta_bcc", "Nb": "Nb_bcc", "O": "O2_alpha", "Cl": "Cl2_Cmce"}
MELT_K, GLASS_K, HOLD_STEPS, RAMP_STEPS = 1500.0, 300.0, 1000, 1500


def boxes() -> dict[str, tuple[Mixture, int]]:
    """Return the boxes by name: what is in them, and how many atoms."""
    ta, nb = (get_family("namocl4").mixture({}, former=m) for m in ("Ta", "Nb"))
    salt = Mixture({component("NaCl"): 1.0, component("TaCl5"): 1.0})
    sizes = {"NaTaOCl4-14": (ta, 14), "NaTaOCl4-28": (ta, 28), "NaNbOCl4-14": (nb, 14),
             "NaNbOCl4-28": (nb, 28), "NaTaCl6-24": (salt, 24)}  # fmt: skip
    return {f"{name}-{seed}": box for name, box in sizes.items() for seed in (1, 2)}


def make_frames(folder: Path) -> list[Atoms]:
    """Return a molten and a quenched frame of each box."""
    file = folder / "frames.extxyz"
    if file.is_file():
        return list(read(file, index=":"))
    calculator = load_potential(CHGNET).calculator
    frames = []
    for name, (mixture, n_atoms) in boxes().items():
        seed = int(name[-1])
        units = mixture.integer_units(target_n_atoms=n_atoms)
        start = AseAtomsAdaptor.get_atoms(pack(mixture, units, seed=seed).structure, msonable=False)
        loose = RelaxSettings(fmax_ev_a=0.5, max_steps=100, cell=None)
        state = relax(start, calculator, folder / name / "relax", loose, signature=name).atoms
        for part, n_steps, end_k in (("melt", HOLD_STEPS, None), ("glass", RAMP_STEPS, GLASS_K)):
            settings = MDSettings(
                "nvt-langevin", MELT_K, n_steps, temperature_end_k=end_k, seed=seed,
                trajectory_interval=100,
            )  # fmt: skip
            state = run_md(state, calculator, settings, folder / name / part, signature=name).atoms
            frame = state.copy()
            frame.calc = None
            frame.arrays.pop("momenta", None)
            frame.info = {"box": name, "part": part}
            frame.wrap()
            frames.append(frame)
        print(f"{name}: {len(state)} atoms", flush=True)
    write(file, frames)
    return frames


def is_labelled(place: Path) -> bool:
    """Tell whether a label lies in a folder."""
    return place.is_dir() and CheckpointFolder(place / "labels").newest() is not None


def label(frames: dict[int, Atoms], folder: Path, level: str) -> dict[int, Atoms]:
    """Return the frames of which `level` has energies and forces, by index; small ones first."""
    potential = load_potential(level)
    found = {}
    for index, frame in sorted(frames.items(), key=lambda pair: (len(pair[1]), pair[0])):
        place = folder / level / f"{index:02d}"
        try:
            signature = potential.identity.weights_sha256
            (found[index],) = label_frames(
                [frame], potential.calculator, place, signature=signature
            )
        except InterruptedRunError:
            break
        except EngineError as error:
            print(f"frame {index}: {error}", flush=True)
        else:
            print(f"frame {index} by {level}", flush=True)
    return found


def formation_energy(frame: Atoms, references: dict[str, float]) -> float | None:
    """Return the energy from the elements in eV/atom; nothing where one is not known."""
    phases = [ELEMENTS[symbol] for symbol in frame.get_chemical_symbols()]
    if not references.keys() >= set(phases):
        return None
    from_elements = sum(references[phase] for phase in phases)
    return float(frame.get_potential_energy() - from_elements) / len(frame)


def table(by_gpaw: dict[int, Atoms], by_chgnet: dict[int, Atoms]) -> None:
    """Print errors of CHGNet per frame, and over all."""
    known = computed_energies(GPAW, identify(GPAW).weights_sha256)
    ours = {p: get_phase(p).energy_per_atom_ev[REFERENCE_LEVEL] for p in ELEMENTS.values()}
    print("| frame | atoms | E_form GPAW, eV/atom | CHGNet - GPAW, meV/atom | force MAE, meV/A |"
          " force RMSE | largest force, eV/A |")  # fmt: skip
    print("|---|---|---|---|---|---|---|")
    errors, relative, forces, references = [], {}, [], []
    both = sorted(by_gpaw.keys() & by_chgnet.keys())
    for index in both:
        dft, model = by_gpaw[index], by_chgnet[index]
        energy, error = formation_energy(dft, known), "-"
        if energy is not None:
            errors.append(1e3 * (formation_energy(model, ours) - energy))
            error = f"{errors[-1]:+.0f}"
        bare = 1e3 * (model.get_potential_energy() - dft.get_potential_energy()) / len(dft)
        relative.setdefault(dft.get_chemical_formula(empirical=True), []).append(bare)
        difference = 1e3 * (model.get_forces() - dft.get_forces())
        largest = np.linalg.norm(dft.get_forces(), axis=1).max()
        forces.append(difference.ravel())
        references.append(dft.get_forces().ravel())
        name = f"{dft.info['box']} {dft.info['part']}"
        rmse = np.sqrt(np.mean(difference**2))
        print(f"| {name} | {len(dft)} | {'-' if energy is None else f'{energy:.3f}'} | {error} | "
              f"{np.abs(difference).mean():.0f} | {rmse:.0f} | {largest:.2f} |")  # fmt: skip
    if not both:
        print("nothing is evaluated by both yet")
        return
    every, true = np.concatenate(forces), np.concatenate(references)
    slope = 1 + np.dot(every / 1e3, true) / np.dot(true, true)
    spread = np.concatenate([np.array(e) - np.mean(e) for e in relative.values()])
    mean = "-"
    if errors:
        mean = (f"MAE {np.mean(np.abs(errors)):.0f}, mean {np.mean(errors):+.0f} meV/atom of "
                f"{len(errors)} frames")  # fmt: skip
    print(f"\n{len(both)} frames: formation energy {mean}; within a composition MAE "
          f"{np.abs(spread).mean():.0f} meV/atom; force MAE {np.abs(every).mean():.0f}, RMSE "
          f"{np.sqrt(np.mean(every**2)):.0f} meV/A; slope of CHGNet's forces on GPAW's "
          f"{slope:.2f}")  # fmt: skip
    if missing := [phase for phase in ELEMENTS.values() if phase not in known]:
        print(f"-: GPAW's energy of {', '.join(missing)} is not shipped for the GPAW that is "
              "installed; see docs/gpaw.md")  # fmt: skip


def main() -> None:
    """Make frames, label as many as asked for, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--frames", type=int, default=20, help="label so many")
    parser.add_argument("--table", action="store_true", help="compute nothing by GPAW")
    options = parser.parse_args()
    frames = dict(enumerate(make_frames(options.folder)[: options.frames]))
    by_chgnet = label(frames, options.folder, CHGNET)
    if options.table:
        place = options.folder / GPAW
        frames = {i: frame for i, frame in frames.items() if is_labelled(place / f"{i:02d}")}
    table(label(frames, options.folder, GPAW), by_chgnet)


if __name__ == "__main__":
    main()
