"""The input of bands, labels and what is learnt, against their levels and the papers.

P3: Lin et al., x Na2O2-MCl_y. P4: Jin et al., TaCl5-x Na2S, which states no equilibration.
"""

from __future__ import annotations

import pytest
from vasp_golden import BAND, FAMILIES, MELT_QUENCH, calculations


@pytest.fixture(scope="module")
def made():
    return calculations()


def changed(one, other):
    """Return the tags in which two INCARs differ."""
    return {k for k in {*one.incar, *other.incar} if one.incar.get(k) != other.incar.get(k)}


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("name", ["r2scan", "pbe", "d3"])
def test_labels_are_their_levels_statics_with_gaussian_smearing(made, family, name):
    labels = made[f"{family}/{name}-labels"]
    rest = made[f"{family}/static" if name == "r2scan" else f"{family}/{name}-static"]
    assert (labels.incar["ISMEAR"], labels.incar["SIGMA"]) == (0, 0.05)
    assert changed(labels, rest) <= {"ISMEAR"}
    assert str(labels.kpoints) == str(rest.kpoints)
    assert labels.incar["ISIF"] == 2  # which computes the stress


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("prefix", ["", "pbe-"])
def test_bands_are_their_levels_relaxation_in_the_cell_with_climbing_images(made, family, prefix):
    end, band = (made[f"{family}/{prefix}neb-{part}"] for part in ("end", "band"))
    whole = made[f"{family}/pbe-relax" if prefix else f"{family}/relax2"]
    assert (end.incar["ISIF"], band.incar["ISIF"]) == (2, 2)
    assert changed(end, whole) <= {"ISIF", "EDIFFG"}
    assert end.incar["EDIFFG"] == band.incar["EDIFFG"] == -BAND.fmax_ev_a
    images = {"IMAGES": 5, "LCLIMB": True, "IOPT": 1, "IBRION": 3, "POTIM": 0, "SPRING": -5,
              "EDIFF": 1e-6, "LWAVE": False, "LCHARG": False}  # fmt: skip
    assert {key: band.incar[key] for key in images} == images
    level = {"ENCUT", "PREC", "METAGGA", "GGA", "ISPIN", "KSPACING", "LASPH", "LREAL", "ISMEAR"}
    assert not changed(band, end) & level
    assert (str(band.kpoints), band.potcars) == (str(end.kpoints), end.potcars)


def test_barriers_with_the_criteria_of_p3(made):
    end, band = (made[f"p3-na2o2-mcly/neb-{part}-published"] for part in ("end", "band"))
    # P3 states for its barriers 1e-6 eV/atom and 1e-4 eV/A
    assert end.incar["EDIFFG"] == band.incar["EDIFFG"] == -1e-4
    assert all(one.incar["EDIFF"] <= 1e-6 * len(one.structure) for one in (end, band))
    assert band.incar["GGA"].upper() == "PE"


def test_aimd_settles_at_constant_pressure_before(made):
    settling, held = (made[f"p4-tacl5-na2s/aimd-{name}600K"] for name in ("npt-", ""))
    incar = settling.incar
    assert (incar["ISIF"], incar["MDALGO"], incar["PSTRESS"]) == (3, 3, 0)
    assert changed(settling, held) <= {
        "ISIF", "MDALGO", "PSTRESS", "PMASS", "LANGEVIN_GAMMA", "LANGEVIN_GAMMA_L", "SMASS",
    }  # fmt: skip


@pytest.mark.parametrize("family", FAMILIES)
def test_glasses_are_learnt_at_r2scan_as_at_d3(made, family):
    for segment in MELT_QUENCH:
        name = f"learn-{segment.name}-{segment.learning}"
        r2scan, d3 = (made[f"{family}/{prefix}{name}"] for prefix in ("r2scan-", ""))
        incar = r2scan.incar
        assert (incar["METAGGA"].upper(), incar.get("GGA"), incar.get("IVDW")) == (
            "R2SCAN", None, None,
        )  # fmt: skip
        assert changed(r2scan, d3) <= {"METAGGA", "GGA", "IVDW", "LMAXMIX", "GGA_COMPAT"}
