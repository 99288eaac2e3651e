"""Training sets: independent frames of whole trajectories, one level, files that can be checked."""

from __future__ import annotations

import numpy as np
import pytest
from pair_potential import LEVEL

from haloflow.analysis.fingerprints import frame_fingerprint
from haloflow.engines.labels import read_labelled
from haloflow.engines.potentials import load_potential
from haloflow.errors import CoverageError, InputError, TrajectoryError
from haloflow.identity import file_sha256
from haloflow.makers.md import MDMaker
from haloflow.makers.relax import StaticMaker
from haloflow.makers.training_set import TrainingSetMaker, read_set
from haloflow.stores.results import forget
from haloflow.stores.training import SPLITS
from haloflow.systems.mixture import Mixture
from haloflow.systems.phases import get_phase

OTHER = "ase:pair_potential:Pair?depth_ev=0.08&size_a=2.5"


@pytest.fixture(scope="module")
def salt():
    return get_phase("NaCl_B1").structure()


def runs_of(workshop, salt, *seeds):
    maker = {"level": LEVEL, "temperature_k": 300, "equilibration_steps": 0,
             "production_steps": 120, "trajectory_interval": 3, "full_cell": True}  # fmt: skip
    return [workshop.run(MDMaker(**maker, seed=seed), salt) for seed in seeds]


def maker(**settings):
    defaults = {
        "frames_per_run": 8, "least_distance": 0.05, "strains": (0.0, 0.03), "rattles_a": (0.1,),
        "packing_density_scales": (0.8,), "packing_n_atoms": 12,
    }  # fmt: skip
    return TrainingSetMaker(level=LEVEL, **defaults | settings)


@pytest.fixture
def made(workshop, salt):
    runs = runs_of(workshop, salt, 1, 2, 3)
    mixture = Mixture({"NaCl": 1.0}).canonical()
    found = workshop.run(maker(), [*runs, None], {"NaCl_B1": salt}, [mixture])
    return found, runs


def test_frames_of_everything_labelled_and_split_by_trajectory(workshop, made):
    found, runs = made
    assert found.level == LEVEL
    assert {group.origin for group in found.groups} == {"md", "crystal", "packing"}
    assert set(found.provenance.parents) >= {run.identity for run in runs}
    assert sum(found.n_frames.values()) == sum(group.n_frames for group in found.groups)
    split_of = {group.name: group.split for group in found.groups}
    assert {split_of[f"md-{run.identity[:12]}"] for run in runs} == set(SPLITS)
    assert {g.split for g in found.groups if g.origin != "md"} == {"train"}
    calculator = load_potential(LEVEL).calculator
    for split in SPLITS:
        frames = read_set(found, workshop.store.files, split)
        assert len(frames) == found.n_frames[split]
        assert {split_of[frame.info["trajectory"]] for frame in frames} == {split}
        for frame in frames[:2]:
            calculator.calculate(frame)
            assert frame.get_potential_energy() == pytest.approx(calculator.results["energy"])
            assert frame.get_forces() == pytest.approx(calculator.results["forces"], abs=2e-7)
            assert frame.get_stress() == pytest.approx(calculator.results["stress"], abs=1e-9)
    assert found.domain.elements == ["Cl", "Na"]
    assert found.domain.formulas == ["NaCl"]
    assert found.domain.temperature_k == (300.0, 300.0)
    assert found.domain.density_g_cm3[0] < found.domain.density_g_cm3[1]


def test_frames_are_independent_and_different(workshop, made):
    found, _ = made
    assert all(group.stride > 1 for group in found.groups if group.origin == "md")
    frames = read_set(found, workshop.store.files)
    prints = np.array([
        frame_fingerprint(f.positions, f.cell.array, list(f.symbols), ["Cl", "Na"]) for f in frames
    ])  # fmt: skip
    apart = np.linalg.norm(prints[:, None] - prints, axis=-1) + 9 * np.eye(len(prints))
    assert apart.min() >= 0.05 - 1e-9


def test_files_have_checksums_beside_them(workshop, made):
    found, _ = made
    (train,) = workshop.files(found, "frames-train")
    beside = train.with_name("train.xyz.sha256")
    assert beside.read_text() == f"{file_sha256(train)}  train.xyz\n"
    assert read_labelled(train)
    train.write_text(train.read_text().replace("energy=", "energy= ", 1))
    with pytest.raises(TrajectoryError, match="labelled frames was changed"):
        read_labelled(train)
    beside.unlink()
    with pytest.raises(TrajectoryError, match="the checksum beside them, cannot be read"):
        read_labelled(train)


def test_a_set_grows_and_keeps_its_splits(workshop, salt, made):
    found, _ = made
    (more,) = runs_of(workshop, salt, 4)
    grown = workshop.run(maker(), [more], earlier=[found])
    assert grown.n_frames["test"] == found.n_frames["test"]
    assert grown.n_frames["validation"] == found.n_frames["validation"]
    assert grown.n_frames["train"] > found.n_frames["train"]
    assert grown.content_hash != found.content_hash
    assert {g.name for g in grown.groups} > {g.name for g in found.groups}
    again = workshop.run(maker(least_distance=0.01), [more], earlier=[grown])
    assert again.n_frames == grown.n_frames, "the same frames are duplicates"
    assert again.n_duplicates > 0


def test_levels_are_not_mixed(workshop, salt, made):
    found, runs = made
    with pytest.raises(InputError, match="labels of different levels cannot be mixed") as caught:
        workshop.run(TrainingSetMaker(level=OTHER), [runs[0]], earlier=[found])
    assert LEVEL in str(caught.value)
    assert OTHER in str(caught.value)


def test_strong_forces_are_left_out(workshop, salt, made):
    found, runs = made
    frames = read_set(found, workshop.store.files)
    strongest = [np.linalg.norm(frame.get_forces(), axis=1).max() for frame in frames]
    limit = float(np.median(strongest))
    fewer = workshop.run(maker(max_force_ev_a=limit), runs, {"NaCl_B1": salt})
    assert fewer.n_strained > 0
    kept = read_set(fewer, workshop.store.files)
    assert max(np.linalg.norm(frame.get_forces(), axis=1).max() for frame in kept) <= limit


def test_frames_that_the_level_cannot_label_are_counted_apart(workshop, salt, made):
    """Atoms in wide cells have no neighbours for it."""
    level = "failing_pair:WideFails?largest_a3=27"
    _, runs = made
    fewer = workshop.run(
        TrainingSetMaker(
            level=f"ase:{level}", frames_per_run=4, least_distance=0.05, strains=(0.0, 0.12),
            rattles_a=(0.05,), max_force_ev_a=1e6,
        ),
        runs, {"NaCl_B1": salt},
    )  # fmt: skip
    assert fewer.n_failed > 0
    assert fewer.n_strained == 0


def test_a_set_that_lacked_a_run_is_made_again_of_all(workshop, salt):
    *some, late = runs_of(workshop, salt, 1, 2, 3, 4)
    parents = {f"run{index}": run.identity for index, run in enumerate([*some, late])}
    fewer = workshop.run(maker(), [*some, None], parents=parents)
    forget(workshop.store, [fewer.identity])
    whole = workshop.run(maker(), [*some, late], parents=parents)
    assert whole.identity == fewer.identity
    assert sum(whole.n_frames.values()) > sum(fewer.n_frames.values())


def test_a_trajectory_is_never_divided(workshop, salt):
    with pytest.raises(InputError, match="too few trajectories for frames of validation") as caught:
        workshop.run(maker(), runs_of(workshop, salt, 1, 2))
    assert "three or more of one formula" in str(caught.value)


def test_nothing_to_learn_from(workshop, salt):
    with pytest.raises(InputError, match="a training set has no frames"):
        workshop.run(maker(), [None])
    with pytest.raises(InputError, match="no frame is left for a training set"):
        workshop.run(maker(max_force_ev_a=0.0), runs_of(workshop, salt, 1, 2, 3))


def test_a_step_without_trajectory(workshop, salt):
    static = workshop.run(StaticMaker(level=LEVEL), salt)
    with pytest.raises(InputError, match="a static step has no trajectory to take frames from"):
        workshop.run(maker(), [static])


def test_level_must_know_all_elements(workshop, salt):
    crystals = {"YbCl": salt.copy().replace_species({"Na": "Yb"})}
    with pytest.raises(CoverageError, match="does not cover Yb"):
        workshop.run(TrainingSetMaker(level="chgnet-r2scan"), [], crystals)
