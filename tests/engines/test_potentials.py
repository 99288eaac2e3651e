"""Names, identities, coverage: nothing here loads a model."""

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest

from haloflow.engines.potential_registry import find_recipe, registered
from haloflow.engines.potentials import (
    PotentialIdentity,
    identify,
    list_potentials,
    load_potential,
    require_coverage,
)
from haloflow.errors import (
    CoverageError,
    InputError,
    MissingDependencyError,
    PotentialError,
    UnknownNameError,
)
from haloflow.identity import content_hash

LJ = "ase:ase.calculators.lj:LennardJones"
OFFLINE = ["chgnet-r2scan", "chgnet-0.3.0", "chgnet-r2scan-d3", "chgnet-0.3.0-d3"]
OFFLINE += ["sevennet-0", "sevennet-l3i5"]


def test_identify_imports_no_model_package():
    code = (
        "import sys; from haloflow.engines.potentials import identify, list_potentials\n"
        f"for name in {[*OFFLINE, LJ]!r}: identify(name)\n"
        "list_potentials()\n"
        "heavy = {'torch', 'chgnet', 'sevenn', 'mace', 'dftd3', 'e3nn'} & set(sys.modules)\n"
        "print(sorted(heavy))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("name", OFFLINE)
def test_weights_inside_wheels_are_identified_by_their_hash(name):
    identity = identify(name)
    weights = find_recipe(name).weights.obtain()
    assert identity.weights_sha256 == hashlib.sha256(weights.read_bytes()).hexdigest()
    assert identity.level == identity.name == name
    assert identity == identify(name)


def test_no_two_potentials_share_an_identity():
    hashes = {content_hash(identify(name).as_parameters()) for name in OFFLINE}
    assert len(hashes) == len(OFFLINE)


def test_dispersion_is_part_of_the_identity():
    plain, corrected = identify("chgnet-r2scan"), identify("chgnet-r2scan-d3")
    assert plain.weights_sha256 == corrected.weights_sha256
    settings = dict(corrected.settings)
    assert settings["d3_method"] == "r2scan"
    assert settings["d3_a1"] == 0.49484001
    assert settings["d3_version"]
    assert not any(key.startswith("d3") for key, _ in plain.settings)


def test_list_shows_every_name_and_what_is_here():
    rows = {row.name: row for row in list_potentials()}
    assert set(rows) == set(registered())
    assert all(rows[name].available for name in OFFLINE)
    assert "r2SCAN" in rows["chgnet-r2scan"].theory
    assert rows["mace-medium-mpa-0"].elements is None


def test_unknown_name_suggests_near_ones():
    with pytest.raises(UnknownNameError) as caught:
        identify("chgnet-r2scn")
    assert "unknown potential" in str(caught.value)
    assert "Given: chgnet-r2scn" in str(caught.value)
    assert "did you mean chgnet-r2scan or" in str(caught.value)
    assert "mace:PATH" in str(caught.value)


def test_missing_element_names_the_potentials_that_have_it():
    identity = identify("chgnet-r2scan")
    require_coverage(identity, ["Na", "Ta", "O", "Cl"])
    with pytest.raises(CoverageError) as caught:
        require_coverage(identity, ["Na", "Yb", "Cl"])
    text = str(caught.value)
    assert "chgnet-r2scan does not cover Yb" in text
    assert "choose a potential that covers all of them: chgnet-0.3.0, chgnet-0.3.0-d3" in text
    assert "chgnet-r2scan-d3" not in text


def test_element_that_nobody_knows():
    with pytest.raises(CoverageError, match="train a potential of your own and give it by path"):
        require_coverage(identify("sevennet-0"), ["Na", "Po"])


def test_potential_that_does_not_say_passes():
    require_coverage(identify(LJ), ["Na", "Po"])


def test_ase_calculator_is_identified_by_source_and_keywords():
    module = sys.modules["ase"].__path__[0]
    source = Path(module) / "calculators" / "lj.py"
    first = identify(f"{LJ}?sigma=3.4&epsilon=0.01")
    assert first.weights_sha256 == hashlib.sha256(source.read_bytes()).hexdigest()
    assert first.package == "ase"
    assert dict(first.settings) == {"epsilon": 0.01, "sigma": 3.4}
    other = identify(f"{LJ}?sigma=3.5&epsilon=0.01")
    assert first.as_parameters() != other.as_parameters()


def test_ase_calculator_with_keywords_runs():
    potential = load_potential(f"{LJ}?sigma=3.4&epsilon=0.0104&smooth=true")
    assert potential.calculator.parameters.sigma == 3.4
    assert potential.calculator.parameters.smooth is True
    assert load_potential(f"{LJ}?sigma=3.4&epsilon=0.0104&smooth=true") == potential


def test_file_given_as_keyword_counts_by_content(tmp_path, monkeypatch):
    (tmp_path / "own_model.py").write_text(
        "from pathlib import Path\nfrom ase.calculators.lj import LennardJones\n"
        "def make(table):\n    return LennardJones(sigma=float(Path(table).read_text()))\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    table = tmp_path / "sigma.txt"
    table.write_text("2.5")
    name = f"ase:own_model:make?table={table}"
    first = identify(name)
    assert first.package_version == "without a version"
    assert load_potential(name).calculator.parameters.sigma == 2.5
    table.write_text("2.625")
    assert identify(name).as_parameters() != first.as_parameters()
    assert load_potential(name).calculator.parameters.sigma == 2.625


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("ase:EMT", InputError, "an ASE calculator is not written as it should be"),
        ("ase:no_such_module:X", PotentialError, "the Python module of the potential is not there"),
        ("ase:ase.calculators.nothing:X", PotentialError, "install the package that holds it"),
        ("ase:ase.calculators.emt:Emt", PotentialError, "holds no Emt"),
        ("ase:ase.build:bulk?no_such=1", PotentialError, "ase.build:bulk cannot be made"),
        ("mace:/no/such.model", PotentialError, "the file of the potential does not exist"),
        ("nep:/no/such.txt", PotentialError, "Given: /no/such.txt"),
        ("mace:x.model?hed=a", InputError, "unknown keyword of a MACE model. Given: hed"),
    ],
)
def test_names_that_lead_nowhere(name, error, message):
    with pytest.raises(error) as caught:
        load_potential(name)
    assert message in str(caught.value)
    assert "What to do: " in str(caught.value)


def test_file_that_is_no_nep(tmp_path):
    file = tmp_path / "nep.txt"
    file.write_text("pair_style nep\n")
    with pytest.raises(PotentialError, match="the file is not a NEP potential") as caught:
        identify(f"nep:{file}")
    assert "nep4 3 Na Ta Cl" in str(caught.value)


def test_threads_must_be_positive():
    with pytest.raises(InputError, match="the number of threads is not positive") as caught:
        load_potential("chgnet-r2scan", threads=0)
    assert "Given: 0" in str(caught.value)


def test_package_that_is_not_installed_is_named_with_its_pip_line(monkeypatch):
    recipe = find_recipe("chgnet-r2scan")
    absent = type(recipe)(
        **{**vars(recipe), "name": "absent", "package": "no-such-package", "extra": "chgnet"}
    )
    monkeypatch.setitem(registered(), "absent", absent)
    with pytest.raises(MissingDependencyError) as caught:
        identify("absent")
    assert "the package no-such-package is needed for this potential" in str(caught.value)
    assert "pip install -c constraints.txt 'haloflow[chgnet]'" in str(caught.value)
    rows = {row.name: row for row in list_potentials()}
    assert not rows["absent"].available


def test_identity_survives_json():
    identity = identify("chgnet-r2scan-d3")
    assert isinstance(identity, PotentialIdentity)
    assert len(content_hash(identity)) == 64
