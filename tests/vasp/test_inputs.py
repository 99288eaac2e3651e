"""The input of VASP against what the papers state, line by line, and against its golden files.

P1: Wei, Binci, Ceder, NaMOCl4. P2: Ojelade et al., Na2O-NaTaCl6. P3: Lin et al., x Na2O2-MCl_y.
P4: Jin et al., TaCl5-x Na2S. P5: Ridley et al., Na(2.25-x)Y0.25Zr0.75Cl(6-x).
"""

from __future__ import annotations

import numpy as np
import pytest
from pymatgen.core import SETTINGS, Lattice, Structure
from vasp_golden import AIMD_K, FAMILIES, FOLDER, MELT_QUENCH, aimd, calculations, readable

from haloflow.engines import vasp_levels
from haloflow.engines.vasp_inputs import MDSegment, dynamics, heat_and_quench, relaxation, static
from haloflow.engines.vasp_levels import VASP_LEVELS, known_titles, potcar_symbols, vasp_level
from haloflow.errors import InputError, PotentialError, UnknownNameError
from haloflow.systems.phases import get_phase

# MP24 and atomate2's MP24DoubleRelaxStaticMaker, as the Materials Project states them
MP24_ACCURACY = {
    "ENCUT": 680, "EDIFF": 1e-5, "PREC": "Accurate", "LREAL": False, "LASPH": True,
    "ISPIN": 2, "KSPACING": 0.22, "GGA_COMPAT": False, "LMAXMIX": 6, "LMIXTAU": True,
}  # fmt: skip


@pytest.fixture(scope="module")
def made():
    return calculations()


def test_every_calculation_is_what_its_golden_file_says(made):
    files = {
        path.relative_to(FOLDER).with_suffix("").as_posix(): path for path in FOLDER.rglob("*.txt")
    }
    assert files.keys() == made.keys()
    differing = [name for name, path in files.items() if path.read_text() != readable(made[name])]
    assert differing == []


@pytest.mark.parametrize("family", FAMILIES)
def test_r2scan_relaxes_with_pbesol_first_as_the_materials_project_does(made, family):
    first, second, last = (
        made[f"{family}/{name}"].incar for name in ("relax1", "relax2", "static")
    )
    assert (first["GGA"], first.get("METAGGA")) == ("Ps", None)
    # P1: "VASP r2SCAN relaxation; hull from all competing phases"
    for incar in (second, last):
        assert (incar["METAGGA"].upper(), incar.get("GGA")) == ("R2SCAN", None)
    for incar in (first, second, last):
        assert {key: incar[key] for key in MP24_ACCURACY} == MP24_ACCURACY
        assert "LELF" not in incar
        assert "KPAR" not in incar
    for incar in (first, second):
        assert (incar["IBRION"], incar["ISIF"], incar["EDIFFG"], incar["ISMEAR"]) == (
            2,
            3,
            -0.02,
            0,
        )
        assert incar["LWAVE"]
    assert (last["NSW"], last["IBRION"], last["ISMEAR"], last["LWAVE"]) == (0, -1, -5, False)


def test_what_r2scan_changes_of_atomate2s_flow_is_known():
    from atomate2.vasp.flows.mp import MP24DoubleRelaxStaticMaker

    flow = MP24DoubleRelaxStaticMaker()
    crystal = get_phase("Na2HfCl6_P21n").structure()
    theirs = (flow.relax_maker.relax_maker1, flow.relax_maker.relax_maker2, flow.static_maker)
    ours = (
        relaxation("vasp-r2scan", crystal, first=True),
        relaxation("vasp-r2scan", crystal),
        static("vasp-r2scan", crystal),
    )
    dropped = {"LAECHG", "LELF", "LVTOT", "KPAR"}
    moved = {"IBRION", "ISIF", "EDIFFG", "LCHARG"}  # a static of theirs keeps what it ignores
    for maker, inputs in zip(theirs, ours, strict=True):
        generator = maker.input_set_generator
        incar = generator.get_input_set(crystal, potcar_spec=True)["INCAR"]
        changed = {
            key
            for key in {*incar, *inputs.incar} - {"MAGMOM"}
            if incar.get(key) != inputs.incar.get(key)
        }
        assert changed <= (dropped | moved if inputs is ours[2] else dropped)
        assert inputs.incar["MAGMOM"] == incar["MAGMOM"]


@pytest.mark.parametrize("name", ["pbe-relax", "pbe-static"])
def test_pbe_is_as_p4_states_it(made, name):
    for family in FAMILIES:
        inputs = made[f"{family}/{name}"]
        incar = inputs.incar
        # P4: "VASP PBE, 520 eV, EDIFF 1e-5, ... LREAL false, ADDGRID, LASPH, ISYM 0"
        assert incar["GGA"].upper() == "PE"
        assert "METAGGA" not in incar
        assert incar["ENCUT"] == 520
        assert incar["EDIFF"] == 1e-5
        assert (incar["LREAL"], incar["ADDGRID"], incar["LASPH"]) == (False, True, True)
        assert incar["ISYM"] == 0
        # P4: "no dispersion"
        assert not {"IVDW", "LUSE_VDW"} & set(incar)
        assert "KSPACING" not in incar
        assert inputs.kpoints is not None


def test_pbe_relaxes_to_the_force_of_p4_in_its_mesh(made):
    # P4: "|F| < 0.005 eV/A, 3x3x1 k-points"
    assert made["p4-tacl5-na2s/pbe-relax"].incar["EDIFFG"] == -0.005
    shaped = made["p3-na2o2-mcly/pbe-relax"]  # 6.6 x 7.1 x 11.8 A
    assert shaped.kpoints.kpts[0] == (3, 3, 1)
    assert shaped.kpoints.style.name == "Gamma"


@pytest.mark.parametrize("temperature_k", AIMD_K)
def test_aimd_is_as_p4_states_it(made, temperature_k):
    inputs = made[f"p4-tacl5-na2s/aimd-{temperature_k}K"]
    incar = inputs.incar
    # P4: "NVT Nose-Hoover 0.5 fs, 480 eV, PREC Normal, Gaussian 0.05 eV, Gamma, 5 ps at 600,
    # 800, 1000, 1200 K"
    assert (incar["IBRION"], incar["MDALGO"], incar["SMASS"], incar["ISIF"]) == (0, 2, 0, 2)
    assert incar["POTIM"] == 0.5
    assert incar["NSW"] * incar["POTIM"] == 5000
    assert (incar["TEBEG"], incar["TEEND"]) == (temperature_k, temperature_k)
    assert (incar["ENCUT"], incar["PREC"]) == (480, "Normal")
    assert (incar["ISMEAR"], incar["SIGMA"]) == (0, 0.05)
    assert inputs.kpoints.kpts[0] == (1, 1, 1)
    assert (incar["LREAL"], incar["LASPH"], incar["ADDGRID"], incar["ISYM"]) == (
        False, True, True, 0,
    )  # fmt: skip
    assert "IVDW" not in incar


@pytest.mark.parametrize("level", VASP_LEVELS)
def test_md_has_neither_atomate2s_functional_nor_its_mesh(level):
    crystal = get_phase("Na2HfCl6_P21n").structure()
    for ensemble in ("nvt", "npt", "nve", "rescale"):
        inputs = dynamics(level, crystal, MDSegment("x", 10, 300, 300, 1.0, ensemble), seed=1)
        assert inputs.incar.get("GGA", "").upper() != "PS"
        assert inputs.kpoints.kpts[0] == (1, 1, 1)
        expected = "R2SCAN" if level == "vasp-r2scan" else None
        assert (inputs.incar.get("METAGGA") or "").upper() == (expected or "")
        assert "LAECHG" not in inputs.incar
        assert "LVTOT" not in inputs.incar


@pytest.mark.parametrize(("final_k", "n_ramp"), [(500, 3500), (600, 3000), (1000, 1000)])
def test_heat_and_quench_is_as_p3_states_it(made, final_k, n_ramp):
    melt, ramp, hold = (
        made[f"p3-na2o2-mcly/{final_k}K-{name}"].incar for name in ("melt", "quench", "hold")
    )
    # P3: "2 fs ... 1200 K ~5 ps, quench at 0.1 K/fs (1e14 K/s) to 500, 600, 1000 K,
    # equilibrate 10 ps"
    for incar in (melt, ramp, hold):
        assert incar["POTIM"] == 2
    assert melt["NSW"] * 2 == 5000
    assert (melt["TEBEG"], melt["TEEND"]) == (1200, 1200)
    assert ramp["NSW"] == n_ramp
    assert (ramp["TEBEG"] - ramp["TEEND"]) / (2 * ramp["NSW"]) == pytest.approx(0.1)
    assert ramp["TEEND"] == final_k
    assert hold["NSW"] * 2 == 10_000
    # our reading of its NVE: velocities rescaled along melt and ramp, then constant energy
    for incar in (melt, ramp):
        assert (incar["SMASS"], incar["MDALGO"]) == (-1, 0)
        assert "ANDERSEN_PROB" not in incar
    assert (hold["MDALGO"], hold["ANDERSEN_PROB"]) == (1, 0)
    assert "SMASS" not in hold


def test_a_quench_that_heats_is_refused():
    with pytest.raises(InputError, match=r"a quench ends below the melt\. Given: 1300 K after"):
        heat_and_quench(1300)


@pytest.mark.parametrize("family", FAMILIES)
def test_labels_are_pbe_with_d3(made, family):
    incar = made[f"{family}/d3-labels"].incar
    # P1 fine-tunes "on DFT (GGA + D3)"
    assert (incar["GGA"].upper(), incar["IVDW"]) == ("PE", 12)
    assert "METAGGA" not in incar
    assert (incar["NSW"], incar["ISMEAR"], incar["ISPIN"]) == (0, 0, 1)
    # not stated in P1: those of the MP24 sets
    assert (incar["ENCUT"], incar["EDIFF"], incar["PREC"]) == (680, 1e-5, "Accurate")
    assert (incar["LREAL"], incar["LASPH"], incar["KSPACING"]) == (False, True, 0.22)


def test_machine_learning_trains_refits_and_runs(made):
    heat, hold, refit, quench = (
        made[f"p1-namocl4/learn-{s.name}-{s.learning}"].incar for s in MELT_QUENCH
    )
    # P1: "VASP on-the-fly machine-learned MD, heat gradually to 2000 K until molten,
    # equilibrate, cool"
    assert [incar["ML_MODE"].lower() for incar in (heat, hold, refit, quench)] == [
        "train", "train", "refit", "run",
    ]  # fmt: skip
    assert all(incar["ML_LMLFF"] and incar["IVDW"] == 12 for incar in (heat, hold, refit, quench))
    assert (heat["TEBEG"], heat["TEEND"], hold["TEBEG"]) == (300, 2000, 2000)
    assert (quench["TEBEG"], quench["TEEND"]) == (2000, 300)
    # NpT with machine learning needs a Langevin thermostat and a cell that moves
    for incar in (heat, quench):
        assert (incar["ISIF"], incar["MDALGO"], incar["PSTRESS"]) == (3, 3, 0)
        assert len(incar["LANGEVIN_GAMMA"]) == 4  # Na, Ta, O, Cl
    assert (hold["ISIF"], hold["MDALGO"]) == (2, 2)


def test_pressure_is_given_in_kilobar():
    crystal = get_phase("Na2HfCl6_P21n").structure()
    segment = MDSegment("x", 10, 300, 300, 1.0, "npt", pressure_gpa=0.5)
    assert dynamics("vasp-pbe", crystal, segment, seed=1).incar["PSTRESS"] == 5


def test_potcars_are_the_same_release_at_every_level(made):
    of_element = {}
    for inputs in made.values():
        order = list(dict.fromkeys(site.specie.symbol for site in inputs.structure))
        for element, potcar in zip(order, inputs.potcars, strict=True):
            assert of_element.setdefault(element, potcar) == potcar
    assert of_element == {element: potcar_symbols()[element] for element in of_element}
    assert of_element["Na"] == "Na_pv"
    assert all(len(titles) == 1 for titles in known_titles().values())
    assert known_titles()["Ta_pv"] == {"PAW_PBETa_pv07Sep2000"}


def test_sites_come_together_by_species_and_their_places_are_remembered(salt):
    inputs = relaxation("vasp-r2scan", salt)
    symbols = [site.specie.symbol for site in inputs.structure]
    assert symbols == ["Na"] * 4 + ["Cl"] * 4
    given = np.array([salt[i].frac_coords for i in inputs.order])
    assert np.array_equal(given, inputs.structure.frac_coords)


def test_files_are_written_without_a_potcar(salt, tmp_path):
    velocities = np.arange(24.0).reshape(8, 3) * 1e-3
    salt.add_site_property("velocities", velocities.tolist())
    segment = MDSegment("x", 10, 300, 300, 1.0)
    inputs = dynamics("vasp-pbe", salt, segment, seed=7)
    inputs.write(tmp_path, with_potcars=False)
    assert {path.name for path in tmp_path.iterdir()} == {
        "INCAR", "KPOINTS", "POSCAR", "POTCAR.spec",
    }  # fmt: skip
    assert (tmp_path / "POTCAR.spec").read_text() == "Na_pv\nCl"
    assert "RANDOM_SEED = 7 0 0" in (tmp_path / "INCAR").read_text()
    rows = (tmp_path / "POSCAR").read_text().splitlines()[-8:]
    written = np.array([[float(x) for x in row.split()] for row in rows])
    assert written == pytest.approx(velocities[list(inputs.order)])


def test_a_gamma_mesh_takes_no_tetrahedra():
    large = Structure(Lattice.cubic(30), ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    assert static("vasp-r2scan", large).incar["ISMEAR"] == 0
    small = Structure(Lattice.cubic(6), ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    assert static("vasp-r2scan", small).incar["ISMEAR"] == -5


def test_a_force_criterion_of_ones_own_counts(salt):
    assert relaxation("vasp-r2scan", salt, fmax_ev_a=0.005).incar["EDIFFG"] == -0.005
    assert vasp_level("vasp-pbe").fmax_ev_a == 0.005
    assert vasp_level("vasp-r2scan").fmax_ev_a == 0.02


def test_an_unknown_level_is_refused_with_what_there_is():
    with pytest.raises(UnknownNameError, match="did you mean vasp-pbe"):
        vasp_level("vasp-pb")


def test_a_level_with_one_functional_has_no_first_relaxation(salt):
    with pytest.raises(InputError, match="relaxes with one functional only"):
        relaxation("vasp-pbe", salt, first=True)


def test_an_element_without_potcar_is_refused():
    structure = Structure(Lattice.cubic(5), ["Na", "Bk"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    with pytest.raises(InputError, match="there is no POTCAR for Bk"):
        relaxation("vasp-r2scan", structure)


def test_levels_differ_in_what_they_are():
    hashes = {level.sha256() for level in VASP_LEVELS.values()}
    assert len(hashes) == len(VASP_LEVELS)


def test_the_segments_of_a_ramp_share_its_slope():
    ramp = MDSegment("quench", 100, 1000, 300, 2.0)
    assert [ramp.target_k(step) for step in (0, 50, 100)] == [1000, 650, 300]
    assert aimd(600).target_k(10) == 600


POTCAR = """  {title}
   7.000000000000
 parameters from PSCTR are:
   VRHFIN ={element}: test
   LEXCH  = PE
   EATOM  =   700.0 eV,   50.0 Ry

   TITEL  = {title}
   LULTRA =        F    use ultrasoft PP ?
   ENMAX  =  259.561; ENMIN  =  194.671 eV
   ZVAL   =    7.000    mass and valenz
 END of PSCTR-controll parameters
 local part
 1.0
End of Dataset
"""
"""The head of a POTCAR, without any of its data."""


@pytest.mark.filterwarnings("ignore:POTCAR data with symbol")  # it is none of VASP's
def test_potcars_go_where_they_are_asked_for_in_the_order_of_the_poscar(
    salt, tmp_path, monkeypatch
):
    monkeypatch.setitem(SETTINGS, "PMG_VASP_PSP_DIR", str(tmp_path / "psp"))
    inputs = static("vasp-r2scan", salt)
    with pytest.raises(PotentialError, match="a POTCAR of PBE_64 cannot be read") as refused:
        inputs.write(tmp_path)
    assert "POT_PAW_PBE_64" in str(refused.value)
    place = tmp_path / "psp" / "POT_PAW_PBE_64"
    place.mkdir(parents=True)
    for symbol, title in (("Na_pv", "PAW_PBE Na_pv 19Sep2006"), ("Cl", "PAW_PBE Cl 06Sep2000")):
        text = POTCAR.format(title=title, element=symbol.partition("_")[0])
        (place / f"POTCAR.{symbol}").write_text(text)
    inputs.write(tmp_path)
    text = (tmp_path / "POTCAR").read_text()
    assert text.index("Na_pv 19Sep2006") < text.index("Cl 06Sep2000")
    assert not (tmp_path / "POTCAR.spec").exists()


def test_a_pymatgen_without_the_sets_is_said(monkeypatch):
    monkeypatch.setattr(vasp_levels, "find_spec", lambda _name: None)
    with pytest.raises(PotentialError, match="has no MP24 input sets"):
        vasp_levels._pymatgen()
