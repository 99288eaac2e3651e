"""MD steps: two parts, files that can be checked, guards that end a run with its data kept."""

from __future__ import annotations

import numpy as np
import pytest
from pair_potential import LEVEL

from haloflow.engines.trajectory import TrajectoryReader
from haloflow.errors import CoverageError, InputError
from haloflow.identity import file_sha256
from haloflow.makers.md import MDMaker
from haloflow.quantity import Status
from haloflow.systems.phases import get_phase

CHGNET = "chgnet-r2scan"


@pytest.fixture(scope="module")
def salt():
    return get_phase("NaCl_B1").structure()


def maker(level=LEVEL, **settings):
    defaults = {"temperature_k": 100, "equilibration_steps": 60, "production_steps": 80,
                "trajectory_interval": 5, "full_cell": True}  # fmt: skip
    return MDMaker(level=level, **defaults | settings)


def test_npt_then_nvt_with_files_that_can_be_checked(workshop, salt):
    found = workshop.run(maker(), salt)
    assert (found.status, found.note) == (Status.OK, "")
    assert (found.n_steps, found.n_steps_target) == (80, 80)
    assert found.ensemble == "npt-full then nvt"
    assert found.temperature_mean_k == pytest.approx(100, abs=60)
    roles = {file.role for file in found.files}
    assert roles == {"trajectory-equilibration", "trajectory-production"}
    for file in found.files:
        path = workshop.store.files_dir / file.path
        assert file_sha256(path) == file.sha256
        assert path.stat().st_size == file.n_bytes
    (production,) = workshop.files(found, "trajectory-production")
    reader = TrajectoryReader(production.parent)
    assert reader.n_frames == 17
    cells = reader.cells()
    assert np.allclose(cells, cells[0])
    (npt,) = workshop.files(found, "trajectory-equilibration")
    before = TrajectoryReader(npt.parent)
    volumes = np.linalg.det(before.cells())
    assert np.ptp(volumes) > 1e-3
    assert found.structure.volume == pytest.approx(np.linalg.det(cells[0]))
    assert found.density_g_cm3.value == pytest.approx(found.structure.density)
    assert found.provenance.potential.level == LEVEL
    assert found.provenance.parameters["temperature_k"] == 100


def test_seeds_draw_other_velocities(workshop, salt):
    one, other = (workshop.run(maker(seed=seed), salt) for seed in (1, 2))
    assert one.identity != other.identity
    assert not np.allclose(one.structure.cart_coords, other.structure.cart_coords, atol=1e-3)


def test_without_equilibration_the_cell_stays(workshop, salt):
    found = workshop.run(maker(equilibration_steps=0), salt)
    assert {file.role for file in found.files} == {"trajectory-production"}
    assert found.structure.volume == pytest.approx(salt.volume)
    assert found.density_g_cm3.status is Status.UNCONVERGED
    assert found.density_g_cm3.note == "the start structure's, not equilibrated at this temperature"


def test_a_few_frames_do_not_tell_whether_the_density_settled(workshop, salt):
    found = workshop.run(maker(equilibration_steps=10), salt)
    assert found.status is Status.OK
    assert found.density_g_cm3.status is Status.UNCONVERGED
    assert found.density_g_cm3.note == "too few frames to judge"


def test_a_diverging_run_ends_with_its_data(workshop, salt):
    found = workshop.run(maker(f"{LEVEL}&nan_after=45"), salt)
    assert found.status is Status.DIVERGED
    assert "not finite at step" in found.note
    assert found.n_steps == 0
    assert {file.role for file in found.files} == {"trajectory-equilibration"}
    (chunk,) = workshop.files(found, "trajectory-equilibration")
    reader = TrajectoryReader(chunk.parent)
    reader.verify()
    assert reader.n_frames >= 8
    assert np.isfinite(reader.positions(stop=8)).all()


def test_a_run_that_is_hot_from_the_start_ends_at_once(workshop, salt):
    squeezed = salt.copy()
    squeezed.apply_strain(-0.6)
    found = workshop.run(maker(), squeezed)
    assert found.status is Status.DIVERGED
    assert "apart at step 0, below" in found.note
    again = workshop.run(maker(equilibration_steps=0), squeezed)
    assert again.status is Status.DIVERGED
    with pytest.raises(InputError, match="the md step before this one ended as diverged"):
        workshop.run(maker(), again)


def test_an_element_without_coverage_is_refused(workshop, salt):
    strange = salt.copy()
    strange.replace_species({"Na": "Po"})
    with pytest.raises(CoverageError, match="chgnet-r2scan does not cover Po"):
        workshop.run(maker(CHGNET), strange)


def test_a_real_potential_keeps_a_crystal_a_crystal(workshop, salt):
    settings = {"temperature_k": 300, "equilibration_steps": 40, "production_steps": 60}
    found = workshop.run(maker(CHGNET, **settings), salt)
    assert (found.status, found.note) == (Status.OK, "")
    assert found.density_g_cm3.value == pytest.approx(2.16, rel=0.08)
    assert found.provenance.potential.package == "chgnet"
    assert len(found.provenance.potential.weights_sha256) == 64
