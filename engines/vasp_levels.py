"""Levels of theory that VASP evaluates: what is in their input whatever is computed."""

from __future__ import annotations

import bz2
import json
import re
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

import yaml

from ..errors import PotentialError, UnknownNameError
from ..identity import content_hash

if TYPE_CHECKING:
    from collections.abc import Mapping

POTCAR_FUNCTIONAL: Final = "PBE_64"
"""The release of the POTCARs, for every calculation of every level: one hull, one set."""
_DATE: Final = r"\d{1,2}[A-Z][a-z]{2}\d{4}"


@dataclass(frozen=True)
class VaspLevel:
    """A level of theory.

    Attributes
    ----------
    name, theory
        As in a sweep, and in words.
    xc, first_xc
        Functional of pymatgen's MP24 sets, and that of the relaxation before the first one at
        the level; ``None`` for none.
    incar
        What differs from the MP24 sets, in every calculation; ``None`` removes a tag.
    md_incar
        What differs from `incar` in molecular dynamics.
    mesh_length_a
        The k-mesh has as many points along a vector as that goes into this length, in A, around
        Gamma; ``None`` for the spacing of the MP24 sets.
    static_ismear
        Of the energy after a relaxation.
    """

    name: str
    theory: str
    xc: str
    first_xc: str | None = None
    incar: Mapping[str, Any] = field(default_factory=dict)
    md_incar: Mapping[str, Any] = field(default_factory=dict)
    mesh_length_a: float | None = None
    static_ismear: int = -5

    @property
    def fmax_ev_a(self) -> float:
        """Largest force on an atom at convergence, as EDIFFG states it, in eV/A."""
        return -float(self.incar.get("EDIFFG", _mp24()["INCAR"]["EDIFFG"]))

    @property
    def kspacing(self) -> float:
        """Distance between points of the k-mesh where no mesh is set, in 1/A."""
        return float(_mp24()["INCAR"]["KSPACING"])

    def settings(self) -> dict[str, Any]:
        """Return everything that decides the numbers, with the sets that this builds on."""
        return {
            "xc": self.xc,
            "first_xc": self.first_xc,
            "incar": dict(self.incar),
            "md_incar": dict(self.md_incar),
            "mesh_length_a": self.mesh_length_a,
            "static_ismear": self.static_ismear,
            "unread_files": dict(UNREAD),
            "mp24": _mp24()["INCAR"],
            "potcar_functional": POTCAR_FUNCTIONAL,
            "potcars": potcar_symbols(),
        }

    def sha256(self) -> str:
        """Return the hash of `settings`: two machines with the same one run the same level."""
        return content_hash(self.settings())


UNREAD: Final[Mapping[str, Any]] = MappingProxyType(
    {"LAECHG": None, "LELF": None, "LVTOT": None, "KPAR": None}
)
"""Tags of the MP24 sets for files that nothing here reads. LELF also forbids KPAR > 1."""
_LEVELS: Final = (
    VaspLevel(
        "vasp-r2scan",
        "r2SCAN (VASP, Materials Project's MP24 settings)",
        xc="r2SCAN",
        first_xc="PBEsol",
        # Wei et al., NaMOCl4, state no settings of their MD in cells of 1300 atoms: a cut-off
        # and projectors that such cells can bear, and no spin in these closed-shell halides
        md_incar=MappingProxyType(
            {"ENCUT": 520, "PREC": "Normal", "LREAL": "Auto", "ISPIN": 1, "MAGMOM": None}
        ),
    ),
    VaspLevel(
        "vasp-pbe",
        "PBE (VASP, as for TaCl5-Na2S glasses: 520 eV, no dispersion)",
        xc="PBE",
        # Jin et al., TaCl5-x Na2S: 520 eV, EDIFF 1e-5, 0.005 eV/A, LREAL false, ADDGRID, LASPH,
        # ISYM 0, no dispersion; spin is not stated: these d0 halides are closed-shell
        incar=MappingProxyType(
            {
                "GGA_COMPAT": None,
                "LMIXTAU": None,
                "ENCUT": 520,
                "EDIFF": 1e-5,
                "EDIFFG": -0.005,
                "LREAL": False,
                "ADDGRID": True,
                "LASPH": True,
                "ISYM": 0,
                "ISPIN": 1,
                "MAGMOM": None,
            }
        ),
        # the same paper's AIMD: 480 eV, PREC Normal, Gaussian smearing of 0.05 eV
        md_incar=MappingProxyType({"ENCUT": 480, "PREC": "Normal", "ISMEAR": 0, "SIGMA": 0.05}),
        mesh_length_a=22.0,  # 3x3x1 in cells such as 6.6 x 7.1 x 11.8 A, as published
        static_ismear=0,
    ),
    VaspLevel(
        "vasp-pbe-d3",
        "PBE + D3(BJ) (VASP; labels for training)",
        xc="PBE",
        # Wei et al., NaMOCl4: training data at "GGA + D3"; cut-off and mesh are not stated:
        # those of the MP24 sets; BJ damping with VASP's own parameters for PBE, as chgnet-*-d3
        incar=MappingProxyType({"LMIXTAU": None, "IVDW": 12, "ISPIN": 1, "MAGMOM": None}),
        md_incar=MappingProxyType({"ENCUT": 520, "PREC": "Normal", "LREAL": "Auto"}),
        static_ismear=0,
    ),
)
VASP_LEVELS: Final[Mapping[str, VaspLevel]] = MappingProxyType({v.name: v for v in _LEVELS})


def is_vasp(level: str) -> bool:
    """Tell whether VASP evaluates `level`."""
    return level in VASP_LEVELS


def vasp_level(name: str) -> VaspLevel:
    """Return the level `name`.

    Raises
    ------
    UnknownNameError
        VASP evaluates no such level.
    """
    if name not in VASP_LEVELS:
        raise UnknownNameError.of("level of VASP", name, VASP_LEVELS)
    return VASP_LEVELS[name]


@lru_cache(maxsize=1)
def potcar_symbols() -> dict[str, str]:
    """Return the POTCAR of each element, e.g. ``Na_pv``, as in the MP24 sets."""
    symbols: dict[str, str] = yaml.safe_load((_pymatgen() / "PBE64Base.yaml").read_text())["POTCAR"]
    return symbols


@lru_cache(maxsize=1)
def known_titles() -> dict[str, frozenset[str]]:
    """Return the titles of the POTCARs of `POTCAR_FUNCTIONAL` by symbol, without spaces."""
    packed = (_pymatgen() / "potcar-summary-stats.json.bz2").read_bytes()
    titles = json.loads(bz2.decompress(packed))[POTCAR_FUNCTIONAL]
    return {
        symbol: frozenset(t for t in titles if re.fullmatch(f"PAW_PBE{symbol}{_DATE}", t))
        for symbol in set(potcar_symbols().values())
    }


@lru_cache(maxsize=1)
def _mp24() -> dict[str, Any]:
    settings: dict[str, Any] = yaml.safe_load((_pymatgen() / "MP24RelaxSet.yaml").read_text())
    return settings


def _pymatgen() -> Path:
    """Return the folder of pymatgen's VASP sets, without importing them."""
    found = find_spec("pymatgen.io")
    for root in found.submodule_search_locations or () if found else ():
        if (Path(root) / "vasp" / "MP24RelaxSet.yaml").is_file():
            return Path(root) / "vasp"
    raise PotentialError(
        "the installed pymatgen has no MP24 input sets for VASP",
        remedy="pip install -U pymatgen",
    )
