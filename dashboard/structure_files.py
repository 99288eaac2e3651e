"""The structures of a candidate, and the files that hold one."""

from __future__ import annotations

import json
from io import StringIO
from typing import TYPE_CHECKING, Final

from pymatgen.io.ase import AseAtomsAdaptor
from pymatgen.io.cif import CifWriter
from pymatgen.io.vasp import Poscar

from ..stores.documents import (
    MDDocument,
    MeltQuenchDocument,
    RelaxDocument,
    StaticDocument,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pymatgen.core import Structure

    from ..stores.documents import StepDocument

STRUCTURED = (RelaxDocument, MeltQuenchDocument, StaticDocument, MDDocument)
STRUCTURED_KINDS: Final = tuple(str(one.model_fields["kind"].default) for one in STRUCTURED)
FORMATS: Final = {
    "cif": ("chemical/x-cif", "cif"),
    "poscar": ("text/plain", "vasp"),
    "xyz": ("chemical/x-xyz", "xyz"),
    "json": ("application/json", "json"),
}


def structures_of(documents: Mapping[str, StepDocument]) -> dict[str, Structure]:
    """Return the structures of a candidate by step, the most relaxed one first.

    Relaxed comes before quenched, that before evaluated, and that before MD's last frame; a
    later step of a kind before an earlier one.
    """
    found = [
        (STRUCTURED.index(type(document)), -index, name, document.structure)
        for index, (name, document) in enumerate(documents.items())
        if isinstance(document, STRUCTURED)
    ]
    found.sort(key=lambda row: row[:3])
    return {name: structure for _, _, name, structure in found}


def structure_file(structure: Structure, fmt: str) -> str:
    """Return the text of a structure in one of `FORMATS`; POSCAR sorts the sites by element."""
    if fmt == "cif":
        return str(CifWriter(structure, symprec=None))
    if fmt == "poscar":
        return str(Poscar(structure.get_sorted_structure()).get_str())
    if fmt == "xyz":
        return _extended_xyz(structure)
    return json.dumps(structure.as_dict())


def _extended_xyz(structure: Structure) -> str:
    from ase.io import write  # noqa: PLC0415  (slow to import)

    out = StringIO()
    atoms = AseAtomsAdaptor.get_atoms(structure, msonable=False)
    write(out, atoms, format="extxyz", columns=["symbols", "positions"])
    return out.getvalue()
