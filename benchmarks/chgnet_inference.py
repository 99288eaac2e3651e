"""Time of one energy, forces and stress: stock CHGNet calculator, haloflow's, and with D3(BJ).

A packed NaTaOCl4 glass of 84 atoms, a few steps into its relaxation; the calculators take
turns (A B C A B C...), median of the turns, one thread.
"""

from __future__ import annotations

import statistics
import tempfile
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from pymatgen.io.ase import AseAtomsAdaptor

from haloflow.engines.potential_loaders import third_party_quiet
from haloflow.engines.potentials import load_potential
from haloflow.engines.relax import relax
from haloflow.engines.relax_settings import RelaxSettings
from haloflow.systems.families import get_family
from haloflow.systems.packing import pack

if TYPE_CHECKING:
    from ase import Atoms

TURNS = 5
CALLS = 5
N_ATOMS = 84


def glass() -> Atoms:
    """Return a packed glass after 20 steps of relaxation."""
    mixture = get_family("namocl4").mixture(None, former="Ta")
    box = pack(mixture, mixture.integer_units(target_n_atoms=N_ATOMS), seed=1)
    atoms = AseAtomsAdaptor.get_atoms(box.structure)
    settings = RelaxSettings(max_steps=20, cell=None)
    calculator = load_potential("chgnet-r2scan").calculator
    with tempfile.TemporaryDirectory() as folder:
        return relax(atoms, calculator, Path(folder), settings, signature="bench").atoms


def main() -> None:
    """Print microseconds per atom and the ratios."""
    atoms = glass()
    with third_party_quiet():
        from chgnet.model import CHGNet, CHGNetCalculator

        model = CHGNet.load(model_name="r2scan", use_device="cpu", verbose=False)
        stock = CHGNetCalculator(model, use_device="cpu")
    calculators = {
        "stock CHGNetCalculator": stock,
        "chgnet-r2scan": load_potential("chgnet-r2scan").calculator,
        "chgnet-r2scan-d3": load_potential("chgnet-r2scan-d3").calculator,
    }
    times = {name: [] for name in calculators}
    warnings.filterwarnings("ignore", message="Converting a tensor with requires_grad=True")
    for _ in range(TURNS):
        for name, calculator in calculators.items():
            start = time.perf_counter()
            for call in range(CALLS):
                atoms.rattle(1e-4, seed=call)
                calculator.calculate(atoms)
            times[name].append((time.perf_counter() - start) / CALLS / len(atoms) * 1e6)
    medians = {name: statistics.median(turns) for name, turns in times.items()}
    for name, median in medians.items():
        ratio = medians["stock CHGNetCalculator"] / median
        print(f"{name:24s} {median:7.0f} us per atom and step   {ratio:.2f} x")


if __name__ == "__main__":
    main()
