"""D3(BJ) dispersion added to a potential that was trained without it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final

from ase.calculators.calculator import Calculator, all_changes
from ase.units import Bohr

if TYPE_CHECKING:
    from ase import Atoms

_SUMMED = ("energy", "free_energy", "forces", "stress")


@dataclass(frozen=True)
class D3Parameters:
    """Two-body D3 with Becke-Johnson damping.

    Attributes
    ----------
    method
        Density functional that the parameters belong to.
    s6, s8, a1, a2
        Scaling and damping; a2 in bohr.
    pair_cutoff_bohr, coordination_cutoff_bohr
        Real-space cutoffs. The package counts neighbours up to 40 bohr, though each one
        beyond a bond counts 1e-7: 25 bohr change energies by less than 1e-6 eV per atom.
    """

    method: str
    s8: float
    a1: float
    a2: float
    s6: float = 1.0
    pair_cutoff_bohr: float = 60.0
    coordination_cutoff_bohr: float = 25.0

    def as_settings(self) -> tuple[tuple[str, str | float], ...]:
        """Return all of it for an identity."""
        return (("d3_damping", "bj"), *((f"d3_{key}", item) for key, item in asdict(self).items()))


D3_BJ: Final = {
    "r2scan": D3Parameters("r2scan", s8=0.78981345, a1=0.49484001, a2=5.73083694),
    "pbe": D3Parameters("pbe", s8=0.7875, a1=0.4289, a2=4.4407),
}
"""Parameters without the three-body term: r2SCAN of doi:10.1063/5.0041008, PBE of
doi:10.1002/jcc.21759."""


class DispersionCorrected(Calculator):
    """Sum of a calculator and D3(BJ); one evaluation fills energy, forces and stress.

    Parameters
    ----------
    base
        Calculator of the uncorrected potential.
    parameters
        Of the dispersion; see `D3_BJ`.
    """

    implemented_properties: ClassVar[list[str]] = list(_SUMMED)

    def __init__(self, base: Calculator, parameters: D3Parameters) -> None:
        from dftd3.ase import DFTD3  # noqa: PLC0415  (optional package)

        super().__init__()
        self.base = base
        self.parameters = parameters
        self.correction = DFTD3(
            method=parameters.method,
            damping="d3bj",
            params_tweaks={
                "s6": parameters.s6, "s8": parameters.s8, "s9": 0.0,
                "a1": parameters.a1, "a2": parameters.a2,
            },
            realspace_cutoff={
                "disp2": parameters.pair_cutoff_bohr * Bohr,
                "cn": parameters.coordination_cutoff_bohr * Bohr,
            },
        )  # fmt: skip

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: list[str] | None = None,
        system_changes: list[str] = all_changes,
    ) -> None:
        """Fill ``self.results`` for `atoms`."""
        super().calculate(atoms, properties, system_changes)
        wanted = ["energy", "forces"] + (["stress"] if self.atoms.cell.rank == 3 else [])  # noqa: PLR2004  (three vectors)
        self.base.calculate(self.atoms, wanted, system_changes)
        base: dict[str, Any] = self.base.results
        self.correction.calculate(self.atoms, wanted, system_changes)
        d3: dict[str, Any] = self.correction.results
        self.results = {
            name: base[name] + d3[name] for name in _SUMMED if name in base and name in d3
        }

    def reset(self) -> None:
        """Forget all earlier evaluations."""
        super().reset()
        if hasattr(self, "correction"):
            self.base.reset()
            self.correction.reset()
