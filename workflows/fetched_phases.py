"""Competing phases of the Materials Project, as a snapshot that a hull is made of for ever."""

from __future__ import annotations

import json
import re
import warnings
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib import metadata
from itertools import combinations
from typing import TYPE_CHECKING, Any, Final, Literal

from pymatgen.core import Composition, Element

from ..engines.durable import write_durably
from ..errors import InputError, MissingDependencyError
from .phase_snapshots import FORMAT, SCALE, content_sha256

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from pymatgen.entries.computed_entries import ComputedStructureEntry

Scheme = Literal["r2scan", "mixed"]
THERMO_TYPES: Final = {"r2scan": ("R2SCAN",), "mixed": ("GGA_GGA+U", "R2SCAN")}
MIXING: Final = "MaterialsProjectDFTMixingScheme"
_R2SCAN: Final = ("r2SCAN", "R2SCAN")
_DIGITS: Final = 12
_MOST_ELEMENTS: Final = 8


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
        PBE+U too, put on the scale of r2SCAN by pymatgen's `MaterialsProjectDFTMixingScheme`.
    api_key, endpoint
        Default: ``MP_API_KEY``, and the Materials Project's own.

    Raises
    ------
    MissingDependencyError
        There is no mp-api.
    InputError
        No key, no network, an answer that is an error, or no entry; says which. Or energies
        cannot come on r2SCAN's scale.
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
        "scale": SCALE,
        "source": "Materials Project",
        "endpoint": endpoint or "https://api.materialsproject.org/",
        "database_version": database,
        "chemsys": systems[-1],
        "thermo_types": list(THERMO_TYPES[scheme]),
        "mixing_scheme": {
            "name": MIXING if scheme == "mixed" else "",
            "version": metadata.version("pymatgen-core") if scheme == "mixed" else "",
            "said": said,
        },
        "mp_api_version": metadata.version("mp-api"),
        "entries": sorted(map(_described, entries), key=lambda one: (one["formula"], one["id"])),
    }
    content["sha256"] = content_sha256(content)
    content["fetched_at"] = datetime.now(UTC).isoformat(timespec="seconds")
    return content


def write_snapshot(content: dict[str, Any], folder: Path) -> Path:
    """Write a snapshot under the name that its content gives it; one that is there stays."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"phases-{content['chemsys']}-{content['sha256'][:_DIGITS]}.json"
    if not path.exists():
        write_durably(path, json.dumps(content, indent=1, sort_keys=True).encode())
    return path


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
    from pymatgen.entries.computed_entries import ComputedStructureEntry  # noqa: PLC0415  (heavy)
    from requests.exceptions import RequestException  # noqa: PLC0415  (an extra)

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
    words = re.sub(r":\d+|port=\d+", "", said.lower())  # a port is no status
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
    """Put entries of both functionals on r2SCAN's scale; return them, and what the scheme says.

    The scheme does so only where every phase of the hull of PBE is computed with r2SCAN too;
    otherwise it puts r2SCAN on the scale of PBE.
    """
    from pymatgen.analysis.compatibility.mixing_scheme import (  # noqa: PLC0415  (a second)
        MaterialsProjectDFTMixingScheme,
    )

    if not entries:
        return [], []
    scheme = MaterialsProjectDFTMixingScheme()
    r2scan = [one for one in entries if one.parameters.get("run_type") in _R2SCAN]
    others = [one for one in entries if one.parameters.get("run_type") not in _R2SCAN]
    unknown = [one for one in others if not one.data.get("oxidation_states")]
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        state = scheme.get_mixing_state_data([*scheme.compat_1.process_entries(others), *r2scan])
        lacking = state[state["is_stable_1"] & state["entry_id_2"].isna()]
        if len(lacking):
            raise InputError(
                "phases of the hull of PBE lack r2SCAN, so that energies would be on PBE's scale",
                given=", ".join(sorted(set(lacking["formula"]))),
                allowed="r2SCAN for each phase that is stable with PBE",
                remedy="try --scheme r2scan, or a smaller system",
            )
        mixed = list(scheme.process_entries(entries, verbose=False, mixing_state_data=state))
    for entry in unknown:
        if entry.data.get("oxidation_states"):
            entry.data["oxidation_states_from"] = "guessed by MaterialsProject2020Compatibility"
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
        "oxidation_states_from": entry.data.get(
            "oxidation_states_from", "Materials Project" if states else "not stated"
        ),
        "structure": entry.structure.as_dict(),
    }
