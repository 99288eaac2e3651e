"""Snapshots of competing phases, as hulls are made of them: offline, and for ever the same."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pymatgen.core import Composition

from ..engines.vasp_levels import known_titles, potcar_symbols
from ..errors import SweepError
from ..identity import content_hash

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from pymatgen.core import Element

    from .candidates import Candidate
    from .sweep import Sweep

LEVEL: Final = "vasp-r2scan"
"""Of a hull that takes energies of the Materials Project: the one functional they share."""
FORMAT: Final = "haloflow phases 2"
SCALE: Final = "r2SCAN"
"""On which all energies of a snapshot are, as those of the candidates are."""
_DIGITS: Final = 12
_NOT_CONTENT: Final = ("sha256", "fetched_at", "mp_api_version", "endpoint")
"""Of a file: when, through what and from where its content came."""


@dataclass(frozen=True)
class FetchedPhase:
    """A phase of a snapshot.

    Attributes
    ----------
    phase_id, formula
        Identifier of the Materials Project, and the reduced formula.
    energy_ev_per_atom
        Corrected, as the scheme has it.
    potcars
        Titles of its POTCARs.
    """

    phase_id: str
    formula: str
    energy_ev_per_atom: float
    potcars: tuple[str, ...]


@dataclass(frozen=True)
class Snapshot:
    """What was fetched, once and for all.

    Attributes
    ----------
    sha256
        Of the content, without when it was fetched.
    chemsys
        Elements, sorted, joined by ``-``.
    scheme, scheme_version
        How energies of several functionals were put on one scale: a class of pymatgen and its
        version, or none.
    database
        Version of the Materials Project's database.
    phases
        The lowest entry of each formula and structure, in the order of the file.
    """

    sha256: str
    chemsys: str
    scheme: str
    scheme_version: str
    database: str
    phases: tuple[FetchedPhase, ...]

    @property
    def said(self) -> str:
        """Where the phases are from, in words for a note."""
        scheme = f", {self.scheme} of pymatgen {self.scheme_version}" if self.scheme else ""
        return (
            f"competing phases from the Materials Project {self.database}{scheme} "
            f"(snapshot {self.sha256[:_DIGITS]}); its settings and POTCARs may differ from "
            "the candidate's"
        )

    def within(self, elements: Iterable[Element]) -> dict[str, tuple[str, float]]:
        """Return the phases of these elements alone: id to formula and energy (eV/atom)."""
        known = set(elements)
        return {
            phase.phase_id: (phase.formula, phase.energy_ev_per_atom)
            for phase in self.phases
            if set(Composition(phase.formula).elements) <= known
        }

    def require_elements(self, elements: Iterable[str]) -> None:
        """Refuse a candidate that holds elements which were not fetched, or have no phase.

        Raises
        ------
        SweepError
            Naming them.
        """
        known, wanted = set(self.chemsys.split("-")), set(elements)
        if missing := sorted(wanted - known):
            raise SweepError(
                f"hull.phases: the snapshot holds no {', '.join(missing)}",
                given=self.chemsys,
                remedy="fetch one of all elements: haloflow phases fetch --chemsys "
                + "-".join(sorted(known | wanted)),
            )
        pure = {next(iter(parts)) for phase in self.phases
                if len(parts := Composition(phase.formula).as_dict()) == 1}  # fmt: skip
        if bare := sorted(wanted - pure):
            raise SweepError(
                f"hull.phases: the snapshot has no phase of {', '.join(bare)} itself",
                given=self.chemsys,
                allowed="an entry of each element, from which energies of formation count",
                remedy="try haloflow phases fetch --scheme mixed, or leave hull.phases out",
            )

    def foreign_potcars(self, elements: Iterable[Element]) -> str:
        """Say which phases of these elements have POTCARs that are not the level's; or nothing."""
        wanted = {e.symbol for e in elements}
        own = {
            title
            for symbol in wanted & potcar_symbols().keys()
            for title in known_titles()[potcar_symbols()[symbol]]
        }
        foreign = []
        for phase in self.phases:
            if not set(Composition(phase.formula).as_dict()) <= wanted:
                continue
            other = [title for title in phase.potcars if title.replace(" ", "") not in own]
            if other or not phase.potcars:
                foreign.append(f"{phase.formula} ({', '.join(other) or 'not stated'})")
        return f"other POTCARs than the candidate's: {', '.join(foreign)}" if foreign else ""


def snapshot_of(sweep: Sweep, candidate: Candidate) -> Snapshot | None:
    """Return the snapshot that a sweep takes its competing phases from, if it has one.

    Raises
    ------
    SweepError
        It cannot be read, was changed, lacks an element, or is of another level than the hull.
    """
    if sweep.hull.phases is None:
        return None
    if sweep.stages.hull != LEVEL:
        raise SweepError(
            "hull.phases: energies of the Materials Project go on no hull of another level",
            given=f"stages.hull: {sweep.stages.hull}",
            allowed=LEVEL,
            remedy="leave hull.phases out, or compute candidates with VASP r2SCAN",
        )
    snapshot = read_snapshot(Path(sweep.hull.phases))
    snapshot.require_elements(e.symbol for e in candidate.mixture.composition.elements)
    return snapshot


@lru_cache(maxsize=8)
def read_snapshot(path: Path) -> Snapshot:
    """Read a snapshot, and hold its content against the hash that it carries.

    Raises
    ------
    SweepError
        It is missing, no snapshot, or was changed.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        unchanged = content["sha256"] == content_sha256(content)
        found = f"{content['format']}, scale {content.get('scale', 'not stated')}"
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SweepError(
            "hull.phases: the snapshot cannot be read",
            given=f"{path}: {type(error).__name__}: {error}",
            allowed="a file that `haloflow phases fetch` wrote",
            remedy="give its path, relative to the sweep's folder or whole",
        ) from None
    asked = f"{FORMAT}, scale {SCALE}"
    if found != asked:
        raise SweepError(
            "hull.phases: the snapshot is of another format, or its energies are on another scale",
            given=f"{path}: {found}",
            allowed=asked,
            remedy="fetch it again",
        )
    if not unchanged:
        raise SweepError(
            "hull.phases: the snapshot was changed since it was fetched",
            given=str(path),
            allowed="the content of its sha256",
            remedy="fetch it again, or restore it from a backup",
        )
    mixing = content["mixing_scheme"]
    return Snapshot(
        sha256=content["sha256"],
        chemsys=content["chemsys"],
        scheme=mixing["name"],
        scheme_version=mixing["version"],
        database=content["database_version"],
        phases=tuple(_lowest(content["entries"])),
    )


def _lowest(entries: Sequence[dict[str, Any]]) -> Iterator[FetchedPhase]:
    """Yield the lowest entry of each formula: others lie above the hull anyway."""
    best: dict[str, dict[str, Any]] = {}
    for entry in entries:
        other = best.get(entry["formula"])
        if other is None or entry["energy_ev_per_atom"] < other["energy_ev_per_atom"]:
            best[entry["formula"]] = entry
    for formula, entry in best.items():
        yield FetchedPhase(
            entry["id"], formula, entry["energy_ev_per_atom"], tuple(entry["potcars"])
        )


def content_sha256(content: dict[str, Any]) -> str:
    """Return the hash of what hulls are made of."""
    return content_hash({k: v for k, v in content.items() if k not in _NOT_CONTENT})
