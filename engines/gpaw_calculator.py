"""GPAW as an ASE calculator whose answers depend on nothing but the atoms.

Every evaluation starts from atomic densities, so a relaxation that was stopped goes on to the
same bits; what an SCF from the wave functions of the last step saves is little beside that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final

import numpy as np
from ase.calculators.calculator import Calculator, all_changes

from ..errors import EngineError
from .gpaw_host import parts
from .gpaw_levels import PBE, has_closed_shells

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ase import Atoms
    from numpy.typing import NDArray

    from .gpaw_levels import GpawLevel

PAIRED_OXYGEN_A: Final = 1.40
"""O-O is 1.21 A in O2 and 1.33 A in superoxides, which have moments, 1.49 A in peroxides."""
_OXYGEN: Final = 8


class GpawCalculator(Calculator):
    """Energy, forces and stress at a level of GPAW, all at once.

    Parameters
    ----------
    level
        Of `GPAW_LEVELS`.

    Attributes
    ----------
    starts
        How often the electrons of the last evaluation were started.
    """

    implemented_properties: ClassVar[list[str]] = ["energy", "free_energy", "forces", "stress"]

    def __init__(self, level: GpawLevel) -> None:
        super().__init__()
        self.level = level
        self.starts = 0

    @property
    def parts(self) -> dict[str, str]:
        """What the last numbers were made with, for the provenance."""
        return parts([] if self.atoms is None else self.atoms.get_chemical_symbols())

    @property
    def kspacing(self) -> float:
        """Largest distance of k-points in 1/A, for these atoms."""
        has_gap = has_closed_shells(self.atoms.get_chemical_symbols())
        return self.level.kspacing if has_gap else self.level.metal_kspacing

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Sequence[str] = ("energy",),
        system_changes: Sequence[str] = tuple(all_changes),
    ) -> None:
        """Evaluate `atoms`; forces sum to zero, since what is left over is noise of the grid.

        Raises
        ------
        EngineError
            If the electrons do not converge.
        """
        super().calculate(atoms, properties, system_changes)
        found = self._converged().ase_calculator()
        energy = found.calculate_property(None, "energy")
        forces: NDArray[np.float64] = found.calculate_property(None, "forces")
        self.results = {
            "energy": energy,
            "free_energy": found.calculate_property(None, "free_energy"),
            "forces": forces - forces.mean(axis=0),
            "stress": found.calculate_property(None, "stress"),
        }

    def _converged(self) -> Any:  # noqa: ANN401  (GPAW is untyped here)
        """Return a converged calculation: from atoms, or where that fails from PBE."""
        from gpaw import KohnShamConvergenceError  # noqa: PLC0415  (heavy)

        level = self.level
        for n_starts, start in enumerate((self._from_atoms, self._from_pbe), 1):
            self.starts = n_starts
            try:
                return start()
            except KohnShamConvergenceError:  # the other start may do
                if level.xc == PBE:
                    break
        raise EngineError(
            "the electrons did not converge",
            given=f"{self.atoms.get_chemical_formula('metal')} at {level.name}",
            allowed=f"{level.most_iterations} iterations",
            remedy="look at the structure: atoms may be too close; relax it with a potential first",
        )

    def _from_atoms(self) -> Any:  # noqa: ANN401  (as above)
        return self._parameters(self.level.xc).dft_calculation(self.atoms, txt=None)

    def _from_pbe(self) -> Any:  # noqa: ANN401  (as above)
        """Start from the wave functions of PBE; takes as long all in all where both converge."""
        first = self._parameters(PBE).dft_calculation(self.atoms, txt=None)
        first.density.update_ked(first.ibzwfs)
        second = first.new(self.atoms, self._parameters(self.level.xc), first.log)
        second.converge()
        return second

    def _parameters(self, xc: str) -> Any:  # noqa: ANN401  (as above)
        from gpaw.dft import PW, Parameters  # noqa: PLC0415  (heavy)

        level = self.level
        moments = moments_of(self.atoms)
        return Parameters(
            mode=PW(level.cutoff_ev),
            xc=xc,
            kpts={"density": 1.0 / self.kspacing, "gamma": True},
            occupations={"name": "marzari-vanderbilt", "width": level.smearing_ev},
            convergence={
                "energy": level.energy_ev_per_electron,
                "density": level.density_per_electron,
                "eigenstates": level.eigenstates_ev2_per_electron,
            },
            maxiter=level.most_iterations,
            magmoms=moments if moments.any() else None,
        )


def moments_of(atoms: Atoms) -> NDArray[np.float64]:
    """Return initial magnetic moments (n_atoms): 1 on the O of O2 and superoxides, else 0.

    All else in these systems is closed-shell, or a metal without moments.
    """
    oxygen = np.flatnonzero(atoms.numbers == _OXYGEN)
    moments = np.zeros(len(atoms))
    if len(oxygen) > 1:
        positions = atoms[oxygen]
        distances = positions.get_all_distances(mic=True)
        np.fill_diagonal(distances, np.inf)
        moments[oxygen[distances.min(axis=1) < PAIRED_OXYGEN_A]] = 1.0
    return moments
