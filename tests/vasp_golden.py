"""The inputs of every calculation of every family, in readable form.

Run as a script it writes ``vasp/golden``; what changes there is to be read against the papers.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from haloflow.engines.neb import NebSettings
from haloflow.engines.vasp_inputs import (
    MDSegment,
    dynamics,
    heat_and_quench,
    relaxation,
    static,
)
from haloflow.engines.vasp_neb import band_inputs
from haloflow.systems.phases import get_phase

FOLDER = Path(__file__).with_name("vasp") / "golden"
FAMILIES = {
    "p1-namocl4": "NaTaOCl4_Cmc21",
    "p2-na2o-natacl6": "NaTaCl6_P21c",
    "p3-na2o2-mcly": "Na2HfCl6_P21n",
    "p4-tacl5-na2s": "TaCl5_P-1",
    "p5-nyzc": "Na3YCl6_P21n",
}
"""A crystal of each family of the papers."""
RESTING = {
    "relax1": lambda s: relaxation("vasp-r2scan", s, first=True),
    "relax2": lambda s: relaxation("vasp-r2scan", s),
    "static": lambda s: static("vasp-r2scan", s),
    "pbe-relax": lambda s: relaxation("vasp-pbe", s),
    "pbe-static": lambda s: static("vasp-pbe", s),
    "d3-relax": lambda s: relaxation("vasp-pbe-d3", s),
    "d3-static": lambda s: static("vasp-pbe-d3", s),
    "d3-labels": lambda s: static("vasp-pbe-d3", s, labels=True),
    "r2scan-labels": lambda s: static("vasp-r2scan", s, labels=True),
    "pbe-labels": lambda s: static("vasp-pbe", s, labels=True),
    "neb-end": lambda s: neb_end("vasp-r2scan", s),
    "neb-band": lambda s: neb_band("vasp-r2scan", s),
    "pbe-neb-end": lambda s: neb_end("vasp-pbe", s),
    "pbe-neb-band": lambda s: neb_band("vasp-pbe", s),
}
BAND = NebSettings()
PUBLISHED_BAND = NebSettings(fmax_ev_a=1e-4)
"""The forces that P3 states for its barriers."""
AIMD_K = (600, 800, 1000, 1200)
SETTLING = MDSegment("equilibration", 10_000, 600, 600, 0.5, "npt")
"""Ours: P4 states none."""
MELT_QUENCH = (
    MDSegment("heat", 10_000, 300, 2000, 2.0, "npt", learning="train"),
    MDSegment("hold", 5_000, 2000, 2000, 2.0, "nvt", learning="train"),
    MDSegment("refit", 1, 2000, 2000, 2.0, "nvt", learning="refit"),
    MDSegment("quench", 50_000, 2000, 300, 2.0, "npt", learning="run"),
)


def neb_end(level, crystal, settings=BAND):
    """Return the relaxation of an end of a hop, in its cell."""
    return relaxation(level, crystal, fmax_ev_a=settings.fmax_ev_a, max_steps=99, cell=False)


def neb_band(level, crystal, settings=BAND):
    """Return the band between the ends."""
    return band_inputs(
        level, crystal, n_images=settings.n_images, fmax_ev_a=settings.fmax_ev_a, max_steps=99
    )


def aimd(temperature_k):
    """Return the AIMD of P4: 5 ps of 0.5 fs steps."""
    return MDSegment("aimd", 10_000, temperature_k, temperature_k, 0.5)


@cache
def calculations():
    """Return every calculation by the name of its file; none may be changed."""
    found = {}
    for family, phase_id in FAMILIES.items():
        crystal = get_phase(phase_id).structure()
        for name, make in RESTING.items():
            found[f"{family}/{name}"] = make(crystal)
        for segment in MELT_QUENCH:
            inputs = dynamics("vasp-pbe-d3", crystal, segment, seed=1)
            found[f"{family}/learn-{segment.name}-{segment.learning}"] = inputs
            inputs = dynamics("vasp-r2scan", crystal, segment, seed=1)
            found[f"{family}/r2scan-learn-{segment.name}-{segment.learning}"] = inputs
    tantalum = get_phase(FAMILIES["p4-tacl5-na2s"]).structure()
    for temperature_k in AIMD_K:
        inputs = dynamics("vasp-pbe", tantalum, aimd(temperature_k), seed=1)
        found[f"p4-tacl5-na2s/aimd-{temperature_k}K"] = inputs
    found["p4-tacl5-na2s/aimd-npt-600K"] = dynamics("vasp-pbe", tantalum, SETTLING, seed=1)
    hafnium = get_phase(FAMILIES["p3-na2o2-mcly"]).structure()
    found["p3-na2o2-mcly/neb-end-published"] = neb_end("vasp-pbe", hafnium, PUBLISHED_BAND)
    found["p3-na2o2-mcly/neb-band-published"] = neb_band("vasp-pbe", hafnium, PUBLISHED_BAND)
    for final_k in (500, 600, 1000):
        for segment in heat_and_quench(final_k):
            inputs = dynamics("vasp-pbe", hafnium, segment, seed=1)
            found[f"p3-na2o2-mcly/{final_k}K-{segment.name}"] = inputs
    return found


def readable(inputs):
    """Return INCAR, mesh and POTCARs as lines; moments of equal atoms once."""
    tags = {key: value for key, value in inputs.incar.items() if key != "MAGMOM"}
    if "MAGMOM" in inputs.incar:
        moments = inputs.incar["MAGMOM"]
        tags["MAGMOM"] = f"{len(moments)}*{moments[0]}" if len(set(moments)) == 1 else moments
    lines = ["[INCAR]", *(f"{key} = {tags[key]}" for key in sorted(tags)), "", "[KPOINTS]"]
    if inputs.kpoints is None:
        lines.append("none: by KSPACING")
    else:
        mesh = " x ".join(str(n) for n in inputs.kpoints.kpts[0])
        lines.append(f"{inputs.kpoints.style.name} {mesh}")
    counts = inputs.structure.composition.get_el_amt_dict()
    order = list(dict.fromkeys(site.specie.symbol for site in inputs.structure))
    lines += ["", "[POTCAR.spec]", *inputs.potcars, "", "[POSCAR]"]
    lines.append(" ".join(f"{symbol}{counts[symbol]:g}" for symbol in order))
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    for name, inputs in calculations().items():
        path = FOLDER / f"{name}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(readable(inputs))
