"""What an exported dataset says about itself: README and licence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ..quantity import Status
from ..stores.fields import FIELDS

if TYPE_CHECKING:
    from .exporting import Contents

LICENSES: Final = {
    "CC-BY-4.0": ("Creative Commons Attribution 4.0 International",
                  "https://creativecommons.org/licenses/by/4.0/"),
    "CC-BY-SA-4.0": ("Creative Commons Attribution-ShareAlike 4.0 International",
                     "https://creativecommons.org/licenses/by-sa/4.0/"),
    "CC0-1.0": ("Creative Commons Zero 1.0 Universal, public domain dedication",
                "https://creativecommons.org/publicdomain/zero/1.0/"),
    "ODC-By-1.0": ("Open Data Commons Attribution License 1.0",
                   "https://opendatacommons.org/licenses/by/1-0/"),
}  # fmt: skip
_MEANINGS: Final = {
    Status.OK: "can be trusted within its interval",
    Status.EXTRAPOLATED_THROUGH_TG: "carried through a glass transition by a law of one side",
    Status.UNCONVERGED: "the run was too short, or a bound is all that is known",
    Status.OUT_OF_DOMAIN: "outside of what the method or its data were made for",
    Status.NOT_MELTED: "the melt of this glass was none",
    Status.CRYSTALLISED: "the glass has crystallised",
    Status.DECOMPOSED: "the sample fell apart during the run",
    Status.DIVERGED: "the run lost numbers or energy",
    Status.FAILED: "there is no result",
}
_PACKMOL, _DISPERSION = "packmol", "dftd3"
_VERIFY: Final = (
    "## Verify\n\n    sha256sum -c manifest-sha256.txt\n\nor `haloflow export --verify .`, "
    "which also finds files that do not belong here."
)
_NAMES: Final = {
    "haloflow": "haloflow contributors, haloflow",
    "ase": "A. H. Larsen et al., J. Phys.: Condens. Matter 29, 273002 (2017), "
    "doi:10.1088/1361-648X/aa680e",
    "pymatgen": "S. P. Ong et al., Comput. Mater. Sci. 68, 314 (2013), "
    "doi:10.1016/j.commatsci.2012.10.028",
    "jobflow": "A. S. Rosen et al., J. Open Source Softw. 9, 5995 (2024), doi:10.21105/joss.05995",
    _PACKMOL: "L. Martinez et al., J. Comput. Chem. 30, 2157 (2009), doi:10.1002/jcc.21224",
    _DISPERSION: "S. Grimme et al., J. Comput. Chem. 32, 1456 (2011), doi:10.1002/jcc.21759",
}
_OF_POTENTIALS: Final = {
    "chgnet": "B. Deng et al., Nat. Mach. Intell. 5, 1031 (2023), doi:10.1038/s42256-023-00716-3",
    "mace": "I. Batatia et al., NeurIPS 35, 11423 (2022)",
    "sevenn": "Y. Park et al., J. Chem. Theory Comput. 20, 4857 (2024), "
    "doi:10.1021/acs.jctc.4c00190",
    "calorine": "E. Lindgren et al., J. Open Source Softw. 9, 6264 (2024), doi:10.21105/joss.06264",
}


def licence_text(licence: str | None) -> str:
    """Return the text of ``LICENSE.txt``."""
    if licence is None:
        return (
            "No licence was chosen for this dataset. Ask those who made it before you pass it on;\n"
            "they choose one with: haloflow export --license " + "|".join(LICENSES) + "\n"
        )
    name, url = LICENSES[licence]
    return f"{name} ({licence})\n\nThis dataset is licensed under {licence}: {url}\n"


def readme_text(contents: Contents, *, title: str | None, licence: str | None) -> str:
    """Return the README of a dataset."""
    sections = [
        f"# {title or 'Sodium halide and oxyhalide electrolytes'}",
        _summary(contents),
        _files_section(contents),
        _numbers_section(),
        _levels_section(contents),
        _citation_section(contents),
        _licence_section(licence),
        _VERIFY,
    ]
    return "\n\n".join(sections) + "\n"


def _summary(contents: Contents) -> str:
    done = sum(contents.kinds.values())
    kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(contents.kinds.items()))
    many = "1 candidate" if contents.n_candidates == 1 else f"{contents.n_candidates} candidates"
    return (
        f"{many} for sodium solid electrolytes, screened with haloflow. "
        f"{done} of {contents.n_steps} steps have a result: {kinds or 'none'}."
    )


def _files_section(contents: Contents) -> str:
    rows = [
        ("summaries.csv", "one row per candidate; columns.csv has unit and meaning of each column"),
        ("summaries.jsonl", "the same in full, one JSON document per line"),
        ("candidates.jsonl", "what each candidate is, and the identities of its steps"),
        ("documents/KIND.jsonl", "results of the steps of each kind, one per line"),
        ("provenance.jsonl", "how each step came about: parents, parameters, versions, files"),
        ("structures/CANDIDATE/STEP.cif", f"{contents.n_structures} structures"),
        ("environment.json", "versions of all packages, potentials with the sha256 of weights"),
    ]
    if contents.sweeps:
        known = ", ".join(contents.sweeps)
        rows.append(("sweeps/", f"what was asked for, where it is known: {known}"))
    if contents.n_files:
        text = (
            f"{contents.n_files} files of steps ({contents.n_bytes} bytes), trajectories in chunks "
            "(HDF5: positions_a unwrapped, cells_a, thermo); "
            "`haloflow analyze files/XX/IDENTITY/production` reads them"
        )
        rows.append(("files/", text))
    lines = "\n".join(f"- `{name}`: {text}" for name, text in rows)
    notes = []
    if not contents.n_files:
        notes.append("Trajectories are not part of this dataset; documents name their sha256.")
    if contents.released:
        notes.append(
            f"{contents.released} files were released by retention rules before the export; "
            "documents say by which, by whom and when."
        )
    return "\n\n".join(["## Files", lines, *notes])


def _numbers_section() -> str:
    units = sorted({field.unit for field in FIELDS.values() if field.unit})
    statuses = "\n".join(f"- `{status.value}`: {_MEANINGS[status]}" for status in Status)
    return (
        "## Numbers\n\nUnits stand in the names of fields (`diffusivity_cm2_s`, "
        f"`energy_above_hull_ev_per_atom`) and in columns.csv: {', '.join(units)}. Each number has "
        "a standard deviation, the ends of its 95 % interval and a status; where only a bound is "
        f"known there is no value:\n\n{statuses}"
    )


def _levels_section(contents: Contents) -> str:
    stages = "\n".join(
        f"- {stage}: {', '.join(sorted(levels))}"
        for stage, levels in sorted(contents.levels.items())
    )
    potentials = "\n".join(
        f"- {name} (level {level}): {package}, weights sha256 `{sha256}`"
        for name, level, package, sha256 in sorted(contents.potentials)
    )
    return (
        "## Levels of theory\n\nOf each stage:\n\n"
        f"{stages or '- none'}\n\nEnergies of different levels are never mixed on one hull. "
        f"Potentials that were evaluated:\n\n{potentials or '- none'}"
    )


def _citation_section(contents: Contents) -> str:
    cited = [
        f"{text} ({name} {', '.join(sorted(contents.packages[name]))})"
        for name, text in _NAMES.items()
        if name in contents.packages and _was_used(name, contents)
    ]
    used = {package.partition(" ")[0] for _, _, package, _ in contents.potentials}
    cited += [text for name, text in _OF_POTENTIALS.items() if any(name in one for one in used)]
    lines = "\n".join(f"- {text}" for text in cited)
    text = f"## Cite\n\nThis dataset and what it was made with:\n\n{lines}"
    if contents.sources:
        sources = "\n".join(f"- {source}" for source in sorted(contents.sources))
        text += f"\n\nPublished values that stand beside the computed ones:\n\n{sources}"
    return text


def _was_used(name: str, contents: Contents) -> bool:
    """Tell whether a package that was installed made a part of the results."""
    if name == _PACKMOL:
        return "melt_quench" in contents.kinds
    if name == _DISPERSION:
        return any("d3" in level for _, level, _, _ in contents.potentials)
    return True


def _licence_section(licence: str | None) -> str:
    if licence is None:
        return "## Licence\n\nNone was chosen, see LICENSE.txt."
    return f"## Licence\n\n{licence}: {LICENSES[licence][1]}"
