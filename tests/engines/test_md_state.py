"""The state of ASE's integrators is known completely, or their version is refused."""

import ase
import numpy as np
import pytest

from haloflow.engines import dynamics
from haloflow.engines.dynamics import Integrator
from haloflow.engines.evaluator import Evaluator
from haloflow.errors import CheckpointError, EngineError


@pytest.mark.parametrize("case", ["nve", "langevin", "nose-hoover", "npt-isotropic", "npt-full"])
def test_state_lists_all_that_changes(case, md_cases):
    """Whatever moves in an integrator is in the checkpoint, or copied from what is."""
    settings = md_cases.settings_of(case)
    atoms = md_cases.noble_gas()
    atoms.calc = Evaluator(md_cases.SkinLennardJones(), atoms, needs_stress=True)
    integrator = Integrator(atoms, settings)
    inner = integrator._dynamics

    def numbers():
        return {
            (f"{part}." if part else "") + name: np.array(value)
            for part in dynamics.LAYOUT[settings.ensemble]
            for name, value in vars(getattr(inner, part) if part else inner).items()
            if isinstance(value, (int, float, np.ndarray))
        }

    integrator.step()
    before = numbers()
    integrator.step()
    moving = {name for name, value in numbers().items() if not np.array_equal(value, before[name])}
    copies = {"_q": atoms.positions, "_p": atoms.get_momenta(), "_h": atoms.cell.array}
    for name in moving & copies.keys():
        assert np.array_equal(getattr(inner, name), copies[name])
    assigned_before_use = {"v", "rnd_pos", "rnd_vel"}
    assert moving <= set(dynamics.STATE[settings.ensemble]) | copies.keys() | assigned_before_use


@pytest.mark.parametrize(
    ("case", "part"), [("nve", ""), ("nose-hoover", "_thermostat"), ("npt-full", "_barostat")]
)
def test_ase_with_other_state_is_refused(case, part, md_cases, monkeypatch):
    settings = md_cases.settings_of(case)
    monkeypatch.setitem(
        dynamics.LAYOUT,
        settings.ensemble,
        {**dynamics.LAYOUT[settings.ensemble], part: frozenset({"_lost"})},
    )
    atoms = md_cases.noble_gas()
    with pytest.raises(EngineError) as caught:
        Integrator(atoms, settings)
    assert f"ASE {ase.__version__} keeps the state" in str(caught.value)
    assert "without ['_lost']" in str(caught.value)
    assert "ase==3.29" in str(caught.value)


def test_state_that_does_not_fit(md_cases):
    integrator = Integrator(md_cases.noble_gas(), md_cases.settings_of("nose-hoover"))
    arrays, random = integrator.state()
    del arrays["_thermostat._eta"]
    with pytest.raises(CheckpointError, match="does not fit the nvt-nose-hoover integrator"):
        integrator.restore(arrays, random)
