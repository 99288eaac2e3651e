"""Competing phases of the Materials Project, as a snapshot that a hull is made of for ever."""

from __future__ import annotations

import json
import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from importlib import metadata
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from pymatgen.core import Composition, Element

from ..engines.durable import write_durably
from ..errors import InputError, MissingDependencyError, SweepError
from ..identity import content_hash

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from pymatgen.entries.computed_entries import ComputedStructureEntry

    from .candidates import Candidate
    from .sweep import Sweep

LEVEL: Final = "vasp-r2scan"
"""Of a hull that takes energies of the Materials Project: the one functional they share."""
FORMAT: Final = "haloflow phases 1"
Scheme = Literal["r2scan", "mixed"]
THERMO_TYPES: Final = {"r2scan": ("R2SCAN",), "mixed": ("GGA_GGA+U", "R2SCAN")}
MIXING: Final = "MaterialsProjectDFTMixingScheme"
_DIGITS: Final = 12
_MOST_ELEMENTS: Final = 8
_NOT_CONTENT: Final = ("sha256", "fetched_at")


@dataclass(frozen=True)
class FetchedPhase:
    """A phase of a snapshot.

    Attributes
    ----------
    phase_id, formula
        Identifier of the Materials Project, and the reduced formula.
    energy_ev_per_atom
        Corrected, as the scheme has it.
    """

    phase_id: str
    formula: str
    energy_ev_per_atom: float


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
        """Refuse a candidate that holds elements which were not fetched.

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


def subsystems(chemsys: str) -> list[str]:
    """Return all systems within a system such as ``Na-Ta-Cl``, itself among them.

    Raises
    ------
    InputError
        A symbol is no element's, or there are too many.
    """
    elements = sorted({symbol.strip() for symbol in chemsys.split("-")})
    wrong = [symbol for symbol in elements if not Element.is_valid_symbol(symbol)]
    if wrong or len(elements) > _MOST_ELEMENTS:
        raise InputError(
            "a chemical system is elements, joined by '-'",
            given=chemsys,
            allowed=f"up to {_MOST_ELEMENTS} symbols such as Na-Ta-O-Cl",
            remedy="correct --chemsys",
        )
    sizes = range(1, len(elements) + 1)
    return ["-".join(part) for n in sizes for part in combinations(elements, n)]


def fetch(
    chemsys: str,
    *,
    scheme: Scheme = "r2scan",
    api_key: str | None = None,
    endpoint: str | None = None,
) -> dict[str, Any]:
    """Return the content of a snapshot of the Materials Project.

    Parameters
    ----------
    chemsys
        Elements, joined by ``-``; all systems within it are fetched.
    scheme
        ``r2scan``: entries computed with r2SCAN alone, as they are. ``mixed``: those of PBE and
        PBE+U too, on one scale by pymatgen's `MaterialsProjectDFTMixingScheme`.
    api_key, endpoint
        Default: ``MP_API_KEY``, and the Materials Project's own.

    Raises
    ------
    MissingDependencyError
        There is no mp-api.
    InputError
        No key, no network, an answer that is an error, or no entry; says which.
    """
    systems = subsystems(chemsys)
    found, database = _download(systems, THERMO_TYPES[scheme], api_key, endpoint)
    entries, said = _mixed(found) if scheme == "mixed" else (found, [])
    if not entries:
        raise InputError(
            "the Materials Project has no entries of this kind here",
            given=f"{chemsys}, {', '.join(THERMO_TYPES[scheme])}",
            remedy="try --scheme mixed, or other elements",
        )
    content = {
        "format": FORMAT,
        "source": "Materials Project",
        "endpoint": endpoint or "https://api.materialsproject.org/",
        "database_version": database,
        "chemsys": systems[-1],
        "thermo_types": list(THERMO_TYPES[scheme]),
        "mixing_scheme": {
            "name": MIXING if scheme == "mixed" else "",
            "version": metadata.version("pymatgen-core"),
            "said": said,
        },
        "mp_api_version": metadata.version("mp-api"),
        "entries": sorted(map(_described, entries), key=lambda one: (one["formula"], one["id"])),
    }
    content["sha256"] = _content_sha256(content)
    content["fetched_at"] = datetime.now(UTC).isoformat(timespec="seconds")
    return content


def write_snapshot(content: dict[str, Any], folder: Path) -> Path:
    """Write a snapshot under the name that its content gives it; one that is there stays."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"phases-{content['chemsys']}-{content['sha256'][:_DIGITS]}.json"
    if not path.exists():
        write_durably(path, json.dumps(content, indent=1, sort_keys=True).encode())
    return path


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
        known = content["format"] == FORMAT and content["sha256"] == _content_sha256(content)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SweepError(
            "hull.phases: the snapshot cannot be read",
            given=f"{path}: {type(error).__name__}: {error}",
            allowed="a file that `haloflow phases fetch` wrote",
            remedy="give its path, relative to the sweep's folder or whole",
        ) from None
    if not known:
        raise SweepError(
            "hull.phases: the snapshot was changed since it was fetched",
            given=str(path),
            allowed=f"{FORMAT}, with the content of its sha256",
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
        yield FetchedPhase(entry["id"], formula, entry["energy_ev_per_atom"])


def _content_sha256(content: dict[str, Any]) -> str:
    return content_hash({k: v for k, v in content.items() if k not in _NOT_CONTENT})


def _download(
    systems: list[str], thermo_types: Sequence[str], api_key: str | None, endpoint: str | None
) -> tuple[list[ComputedStructureEntry], str]:
    """Ask the Materials Project, through its own client."""
    try:
        from mp_api.client import MPRester  # noqa: PLC0415  (an extra, and slow to import)
        from mp_api.client.core.exceptions import (  # noqa: PLC0415  (idem)
            MPRestError,
            MPRestWarning,
        )
    except ImportError as error:
        raise MissingDependencyError(
            "fetching phases needs the client of the Materials Project",
            given=str(error),
            remedy="pip install -c constraints.txt 'haloflow[phases]'",
        ) from None
    from pymatgen.entries.computed_entries import ComputedStructureEntry  # noqa: PLC0415
    from requests.exceptions import RequestException  # noqa: PLC0415

    entries: dict[str, ComputedStructureEntry] = {}
    try:
        with (
            _without(MPRestWarning),
            MPRester(
                api_key, endpoint=endpoint, use_document_model=False, mute_progress_bars=True
            ) as rester,
        ):
            database = str(rester.db_version)
            documents = rester.materials.thermo.search(
                chemsys=systems,
                thermo_types=list(thermo_types),
                all_fields=False,
                fields=["entries", "thermo_type", "material_id"],
            )
    except (MPRestError, RequestException, ValueError, KeyError) as error:
        raise _refused(error, endpoint) from error
    for document in documents:
        for made in document["entries"].values():
            entry = ComputedStructureEntry.from_dict(dict(made))
            entries[str(entry.entry_id)] = entry
    return list(entries.values()), database


@contextmanager
def _without(kind: type[Warning]) -> Iterator[None]:
    """Leave out warnings of what the answer tells anyway, such as a key that is missing."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", kind)
        yield


def _refused(error: Exception, endpoint: str | None) -> InputError:
    """Say what the client or the server said, and what to do."""
    said = " ".join(str(error).split())
    words = said.lower()
    if "api key" in words or "api_key" in words or "401" in words:
        remedy = "set MP_API_KEY to your key of https://next-gen.materialsproject.org/api"
    elif "403" in words or "429" in words:
        remedy = "look whether the key is valid, or wait: the server has its limits"
    elif "connection" in words or "resolve" in words or "timed out" in words:
        remedy = "fetch where there is a network, and copy the snapshot to where there is none"
    else:
        remedy = "try later, or with a newer mp-api"
    return InputError(
        "the Materials Project gave no phases",
        given=f"{endpoint or 'its own endpoint'}: {said}",
        remedy=remedy,
    )


def _mixed(
    entries: list[ComputedStructureEntry],
) -> tuple[list[ComputedStructureEntry], list[str]]:
    """Put entries of several functionals on one scale; return them, and what the scheme says."""
    from pymatgen.analysis.compatibility.mixing_scheme import (  # noqa: PLC0415  (a second)
        MaterialsProjectDFTMixingScheme,
    )

    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        mixed = list(MaterialsProjectDFTMixingScheme().process_entries(entries, verbose=False))
    return mixed, list(dict.fromkeys(" ".join(str(one.message).split()) for one in said))


def _described(entry: ComputedStructureEntry) -> dict[str, Any]:
    """Return an entry as a snapshot keeps it: energy, corrections and states, all explicit."""
    composition: Composition = entry.composition
    states = entry.data.get("oxidation_states") or {}
    return {
        "id": str(entry.entry_id),
        "formula": composition.reduced_formula,
        "composition": {str(element): float(n) for element, n in composition.items()},
        "energy_ev": float(entry.uncorrected_energy),
        "correction_ev": float(entry.correction),
        "energy_ev_per_atom": float(entry.energy_per_atom),
        "corrections": [
            {"name": one.name, "value_ev": float(one.value), "why": one.explain}
            for one in entry.energy_adjustments
        ],
        "run_type": str(entry.parameters.get("run_type", "")),
        "potcars": sorted(
            str(spec.get("titel", "")) for spec in entry.parameters.get("potcar_spec") or []
        ),
        "oxidation_states": {str(k): float(v) for k, v in states.items()},
        "oxidation_states_from": "Materials Project" if states else "not stated",
        "structure": entry.structure.as_dict(),
    }
