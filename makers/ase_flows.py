"""The potentials of the registry in atomate2's own flows: equations of state, elastic, phonons.

atomate2's ASE jobs neither resume nor know the identity of a step, so haloflow's sweeps use
their own Makers; for everything else that atomate2 does with an ASE Maker, these fit in.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from atomate2.ase.jobs import AseMaker, AseRelaxMaker

from ..engines.potentials import identify, load_potential
from ..settings import get_settings

if TYPE_CHECKING:
    from ase.calculators.calculator import Calculator


def _calculator(level: str) -> Calculator:
    settings = get_settings()
    threads = settings.threads_per_worker
    return load_potential(level, device=settings.device, threads=threads).calculator


@dataclass
class LevelStaticMaker(AseMaker):
    """atomate2's ASE single point at a level of theory.

    Attributes
    ----------
    level
        Name of a potential, as in a sweep.
    """

    name: str = "static"
    level: str = "chgnet-r2scan"

    def _get_calculator(self) -> Calculator:
        return _calculator(self.level)


@dataclass
class LevelRelaxMaker(AseRelaxMaker):
    """atomate2's ASE relaxation at a level of theory, e.g. as ``bulk_relax_maker`` of a flow.

    Attributes
    ----------
    level
        Name of a potential, as in a sweep.
    """

    name: str = "relax"
    level: str = "chgnet-r2scan"
    tags: list[str] | None = None

    def __post_init__(self) -> None:
        """Tag the documents with the level and the weights."""
        super().__post_init__()
        tag = f"haloflow level {self.level}, weights {identify(self.level).weights_sha256}"
        self.tags = [*dict.fromkeys([*(self.tags or []), tag])]

    def _get_calculator(self) -> Calculator:
        return _calculator(self.level)
