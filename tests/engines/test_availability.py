"""What the doctor says about the packages behind potentials."""

import subprocess
import sys

import pytest

from haloflow.engines.availability import (
    Installed,
    State,
    check_potentials,
    missing_for,
    pip_line,
)

OWN = [
    "ase>=3.29",
    'chgnet>=0.4.2; extra == "chgnet"',
    'dftd3>=1.3; extra == "chgnet"',
    'torch>=2.4; extra == "chgnet"',
    'mace-torch>=0.3.16; extra == "mace"',
    'sevenn>=0.10.4; extra == "sevennet"',
    'calorine>=4.1; extra == "nep"',
    'sphinx>=8; extra == "docs"',
]


def environment(versions, **requirements):
    table = {"haloflow": OWN, **{k.replace("_", "-"): v for k, v in requirements.items()}}
    return Installed(versions.get, lambda name: table.get(name, []))


COMPLETE = {
    "chgnet": "0.4.2", "dftd3": "1.7.0", "torch": "2.13.0+cpu", "mace-torch": "0.3.16",
    "sevenn": "0.10.4", "calorine": "4.1",
}  # fmt: skip


def problems(found):
    return [f for f in found if f.state in (State.MISSING, State.CLASH)]


def test_what_evaluates_a_scheme_is_named_where_it_is_missing():
    assert missing_for("nep", environment(COMPLETE)) == ""
    assert missing_for("ase", environment({})) == ""
    found = missing_for("nep", environment({}))
    assert found.startswith("calorine is not installed here: ")
    assert "haloflow[nep]" in found


def test_complete_environment_has_no_problem():
    found = check_potentials(environment(COMPLETE))
    assert problems(found) == []
    assert {f.subject: f.message for f in found}["torch"] == "2.13.0+cpu"
    assert "sphinx" not in {f.subject for f in found}


def test_missing_package_comes_with_its_pip_line():
    found = check_potentials(environment({**COMPLETE, "dftd3": None}))
    (problem,) = problems(found)
    assert (problem.subject, problem.state) == ("dftd3", State.MISSING)
    assert problem.message == "not installed, needed by haloflow[chgnet]"
    assert problem.remedy == "pip install -c constraints.txt 'haloflow[chgnet]'"
    assert problem.blocks, "chgnet is there and its D3 levels cannot be used"


def test_an_extra_that_was_not_installed_blocks_nothing():
    found = check_potentials(environment({**COMPLETE, "mace-torch": None}))
    (problem,) = problems(found)
    assert (problem.state, problem.blocks) == (State.MISSING, False)


def test_too_old_package_is_a_clash():
    (problem,) = problems(check_potentials(environment({**COMPLETE, "chgnet": "0.3.8"})))
    assert problem.state is State.CLASH
    assert problem.blocks
    assert problem.message == "haloflow needs chgnet>=0.4.2, installed is 0.3.8"


def test_two_models_that_want_different_e3nn():
    found = check_potentials(
        environment(
            {**COMPLETE, "e3nn": "0.5.6", "sevenn": "0.13.0"},
            mace_torch=["e3nn==0.4.4", "torch>=1.12", 'wandb; extra == "wandb"'],
            sevenn=["e3nn>=0.5"],
        )
    )
    (problem,) = problems(found)
    assert problem.message == "mace-torch 0.3.16 needs e3nn==0.4.4, installed is 0.5.6"
    assert problem.remedy == "pip install -c constraints.txt 'haloflow[mace]'"


def test_requirement_of_a_package_that_is_gone():
    found = check_potentials(environment(COMPLETE, sevenn=["e3nn>=0.4"]))
    (problem,) = problems(found)
    assert (problem.subject, problem.message) == ("e3nn", "not installed, needed by sevenn 0.10.4")
    assert problem.blocks


@pytest.mark.parametrize(
    ("e3nn", "torch", "noted"),
    [("0.4.4", "2.13.0", True), ("0.5.6", "2.13.0", False), ("0.4.4", "2.5.1", False)],
)
def test_trap_of_e3nn_is_noted(e3nn, torch, noted):
    found = check_potentials(environment({**COMPLETE, "e3nn": e3nn, "torch": torch}))
    notes = [f for f in found if f.state is State.NOTE]
    assert bool(notes) is noted
    if noted:
        assert "haloflow lists it before it loads MACE or SevenNet" in notes[0].message


def test_this_environment_is_examined_without_importing_it():
    code = (
        "import sys; from haloflow.engines.availability import check_potentials\n"
        "print(sorted({f.subject for f in check_potentials()}))\n"
        "assert not {'torch', 'chgnet', 'mace', 'sevenn', 'e3nn'} & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "'mace-torch'" in done.stdout
    assert "'sevenn'" in done.stdout


def test_pip_line_of_several_extras():
    assert pip_line(["mace", "nep"]) == "pip install -c constraints.txt 'haloflow[mace,nep]'"


def test_gpaw_that_is_not_installed_comes_with_its_own_line():
    own = [*OWN, 'gpaw>=26.7; extra == "gpaw"']
    found = check_potentials(Installed(COMPLETE.get, lambda n: own if n == "haloflow" else []))
    (problem,) = problems(found)
    assert (problem.subject, problem.state, problem.blocks) == ("gpaw", State.MISSING, False)
    assert problem.remedy == "make gpaw"
