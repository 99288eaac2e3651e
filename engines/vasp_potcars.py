"""POTCARs as they go into a calculation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import MissingDependencyError, PotentialError
from .vasp_levels import POTCAR_FUNCTIONAL

if TYPE_CHECKING:
    from collections.abc import Sequence


def potcar_text(symbols: Sequence[str]) -> str:
    """Return the POTCARs of `symbols`, one after the other.

    Raises
    ------
    MissingDependencyError
        pymatgen has not been told where they are.
    PotentialError
        One of them is not there.
    """
    from pymatgen.io.vasp import Potcar  # noqa: PLC0415  (a second to import)
    from pymatgen.io.vasp.inputs import PmgVaspPspDirError  # noqa: PLC0415  (idem)

    try:
        return str(Potcar(list(symbols), functional=POTCAR_FUNCTIONAL))
    except PmgVaspPspDirError:
        raise MissingDependencyError(
            "VASP needs POTCARs, and pymatgen has not been told where they are",
            given="no PMG_VASP_PSP_DIR",
            remedy="set PMG_VASP_PSP_DIR to the folder that holds POT_PAW_PBE_64, in the "
            "environment or in ~/.config/.pmgrc.yaml",
        ) from None
    except (OSError, ValueError) as error:
        raise PotentialError(
            f"a POTCAR of {POTCAR_FUNCTIONAL} cannot be read",
            given=f"{', '.join(symbols)}: {error}",
            remedy="put all POTCARs of the release potpaw_PBE.64 into POT_PAW_PBE_64 in the folder "
            "that PMG_VASP_PSP_DIR names",
        ) from None
