"""Glasses: the document of a melt-quench, what counts as none, and runs that break down."""

from __future__ import annotations

import numpy as np
import pytest
from pair_potential import LEVEL

from haloflow.engines.trajectory import TrajectoryReader
from haloflow.errors import CompositionError, SweepError
from haloflow.makers.melt_quench import MeltQuenchMaker
from haloflow.makers.protocol import MeltQuenchProtocol
from haloflow.quantity import Status
from haloflow.systems.families import get_family
from haloflow.systems.mixture import Mixture
from haloflow.workflows.sweep import parse_sweep

SHORT = {
    "melt_temperature_k": 600,
    "melt_steps": 30,
    "hold_steps": 20,
    "quench_steps": 30,
    "npt_block_steps": 20,
    "npt_max_blocks": 3,
    "prerelax_steps": 20,
    "trajectory_interval": 5,
    "checkpoint_interval": 10,
}
SALT = Mixture({"NaCl": 1}).canonical()


def maker(level=LEVEL, n_atoms=16, seed=1, **protocol):
    return MeltQuenchMaker(
        level=level, seed=seed, n_atoms=n_atoms, protocol=MeltQuenchProtocol(**SHORT | protocol)
    )


def test_a_glass_tells_its_history(workshop):
    found = workshop.run(maker(density_tolerance=1e-9), SALT)
    # 300 K in 30 steps of 2 fs
    assert found.quench_rate_k_s == pytest.approx(300 / 60e-15)
    assert (found.melt_temperature_k, found.final_temperature_k) == (600, 300)
    assert found.structure.composition.formula == "Na8 Cl8"
    assert len(found.density_blocks_g_cm3) == 3
    assert found.density_g_cm3.value == found.density_blocks_g_cm3[-1]
    assert found.density_g_cm3.status is not Status.OK
    assert found.density_g_cm3.note.startswith("3 blocks; wanted: ")
    assert found.density_components_g_cm3 == pytest.approx(Mixture({"NaCl": 1}).density_g_cm3())
    assert found.density_ratio == pytest.approx(
        found.density_g_cm3.value / found.density_components_g_cm3
    )
    assert found.density_crystal_g_cm3 is None
    assert np.isfinite(found.energy_ev_per_atom.value)
    assert found.oxygen is None
    roles = {file.role for file in found.files}
    assert roles == {f"trajectory-{part}" for part in ("melt", "hold", "quench", "npt")}
    assert found.provenance.n_resumes == 0


def test_the_density_of_settled_blocks_is_their_mean(workshop):
    found = workshop.run(maker(density_tolerance=0.9, npt_max_blocks=5), SALT)
    blocks = found.density_blocks_g_cm3
    assert len(blocks) < 5
    assert found.density_g_cm3.value == pytest.approx(np.mean(blocks[-3:]))


def test_a_short_cold_melt_is_none(workshop):
    cold = {"melt_temperature_k": 301, "hold_steps": 100, "prerelax_steps": 100}
    found = workshop.run(maker(LEVEL.replace("2.5", "2.8"), **cold), SALT)
    assert found.status is Status.NOT_MELTED
    assert found.note.startswith("not melted: MSD of Cl ")
    assert not found.melted.holds
    assert found.density_g_cm3.status is Status.NOT_MELTED
    assert found.energy_ev_per_atom.status is Status.NOT_MELTED


def test_a_light_glass_is_warned_about(workshop):
    found = workshop.run(
        maker(quench_ensemble="nvt", density_scale=0.5, npt_max_blocks=2, npt_block_steps=10), SALT
    )
    assert found.density_ratio < 0.85
    assert found.density_warning == (
        f"the density is {found.density_ratio:.2f} of its components', below 0.85: not "
        "equilibrated, or bound too weakly at this level; do not trust its transport"
    )


def test_a_crystal_of_the_composition_is_compared_with(workshop):
    found = workshop.run(
        MeltQuenchMaker(
            level=LEVEL,
            n_atoms=16,
            protocol=MeltQuenchProtocol(**SHORT),
            crystal_phase_id="NaCl_B1",
        ),
        SALT,
    )
    assert found.density_crystal_g_cm3 == pytest.approx(2.16, rel=0.05)
    assert found.density_ratio == pytest.approx(
        found.density_g_cm3.value / found.density_crystal_g_cm3
    )


@pytest.mark.parametrize(("nan_after", "part"), [(10, "melt"), (40, "hold"), (65, "quench")])
def test_a_tripped_guard_ends_the_run_with_its_data(workshop, nan_after, part):
    found = workshop.run(maker(f"{LEVEL}&nan_after={nan_after}", prerelax_steps=0), SALT)
    assert found.status is Status.DIVERGED
    assert "not finite" in found.note
    parts = ["melt", "hold", "quench"]
    expected = parts[: parts.index(part) + 1]
    assert {file.role for file in found.files} == {f"trajectory-{name}" for name in expected}
    for name in expected:
        (chunk,) = workshop.files(found, f"trajectory-{name}")
        TrajectoryReader(chunk.parent).verify()
    assert found.density_blocks_g_cm3 == []
    assert found.density_g_cm3.status is Status.DIVERGED
    assert found.density_g_cm3.value is None


def test_seeds_make_other_glasses(workshop):
    one, other = (workshop.run(maker(seed=seed), SALT) for seed in (1, 2))
    assert one.identity != other.identity
    assert not np.allclose(one.structure.frac_coords, other.structure.frac_coords, atol=0.01)


def test_a_size_that_holds_no_whole_units_is_refused(workshop):
    mixture = Mixture({"NaCl": 1, "TaCl5": 0.01}).canonical()
    with pytest.raises(CompositionError, match="cannot be made of whole formula units at this"):
        workshop.run(maker(), mixture)


def test_blocks_shorter_than_the_time_between_frames_are_refused():
    with pytest.raises(SweepError) as caught:
        parse_sweep(
            {"name": "a", "systems": [{"family": "namocl4"}],
             "melt_quench": {"npt_block_steps": 20, "trajectory_interval": 50}}
        )  # fmt: skip
    assert "npt_block_steps 20 is below trajectory_interval 50" in str(caught.value)


def test_a_real_glass_in_small(workshop):
    """NaTaOCl4 with CHGNet: 28 atoms, far too short to be a glass, whole in everything else."""
    mixture = get_family("namocl4").mixture(former="Ta").canonical()
    protocol = {
        "melt_temperature_k": 1500,
        "final_temperature_k": 1200,
        "npt_max_blocks": 2,
        "npt_block_steps": 10,
        "prerelax_steps": 40,
    }
    found = workshop.run(maker("chgnet-r2scan", n_atoms=28, **protocol), mixture)
    assert found.structure.composition.reduced_formula == "NaTaCl4O"
    assert found.status is Status.NOT_MELTED
    assert found.oxygen.n_oxide == 4
    assert found.oxygen.peroxide_fraction == 0
    assert sum(found.bonds.values()) <= 2
    assert 2.0 < found.density_g_cm3.value < 4.5
    assert found.provenance.potential.level == "chgnet-r2scan"
