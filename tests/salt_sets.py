"""A training set of rock salt at a pair potential, in seconds."""

from __future__ import annotations

from pair_potential import LEVEL

from haloflow.makers.md import MDMaker
from haloflow.makers.training_set import TrainingSetMaker
from haloflow.systems.phases import get_phase


def salt_set(workshop, level=LEVEL, salt=None):
    """Return a set of three runs at two temperatures, and of a crystal."""
    salt = salt or get_phase("NaCl_B1").structure().to_conventional()
    runs = [
        workshop.run(
            MDMaker(
                level=LEVEL, temperature_k=kelvin, equilibration_steps=0, production_steps=90,
                trajectory_interval=3, full_cell=True, seed=seed,
            ),
            salt,
        )
        for seed, kelvin in ((1, 200), (2, 200), (3, 400))
    ]  # fmt: skip
    made = TrainingSetMaker(
        level=level, frames_per_run=4, least_distance=0.02, strains=(0.0,), rattles_a=(0.1,),
        validation_fraction=0.2, test_fraction=0.2,
    )  # fmt: skip
    return workshop.run(made, runs, {"salt": salt})
