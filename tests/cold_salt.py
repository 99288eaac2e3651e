"""A student of rock salt that knows crystals of eight atoms at 50 K: what is hot is far outside."""

from __future__ import annotations

from pair_potential import LEVEL
from tiny_frames import TINY
from tiny_sweeps import run_job

from haloflow.identity import step_uuid
from haloflow.makers.distill import DistillMaker
from haloflow.makers.md import MDMaker
from haloflow.makers.training_set import TrainingSetMaker
from haloflow.systems.mixture import Mixture
from haloflow.systems.phases import get_phase


def rock_salt():
    return get_phase("NaCl_B1").structure().to_conventional()


def cold_set(workshop):
    """Return a set of crystals of eight atoms, at 50 K and distorted: a melt is far outside."""
    maker = {"level": LEVEL, "temperature_k": 50, "equilibration_steps": 0,
             "production_steps": 300, "trajectory_interval": 5, "full_cell": True}  # fmt: skip
    runs = [workshop.run(MDMaker(**maker, seed=seed), rock_salt()) for seed in (1, 2, 3)]
    made = TrainingSetMaker(
        level=LEVEL, frames_per_run=20, least_distance=0.02, strains=(-0.03, 0.0, 0.03, 0.06),
        rattles_a=(0.05, 0.1), n_distorted=3, packing_density_scales=(0.9,), packing_n_atoms=8,
    )  # fmt: skip
    mixture = Mixture({"NaCl": 1.0}).canonical()
    return workshop.run(made, runs, {"NaCl_B1": rock_salt()}, [mixture])


def student_maker(kind=DistillMaker, **settings):
    defaults = {
        "nep": {**TINY, "epochs": 40}, "refine_epochs": 40, "temperatures_k": (60.0, 400.0),
        "density_scales": (), "trial_steps": 300, "max_rounds": 3, "most_new": 24, "n_checked": 2,
        "accepted_share": 0.15, "least_distance": 0.05,
    }  # fmt: skip
    return kind(level=LEVEL, **defaults | settings)


class Bench:
    """Runs Makers in a store, one job each."""

    def __init__(self, store) -> None:
        self.store = store

    def run(self, maker, *inputs):
        """Run a step, and store its document under the UUID that a plan gives it."""
        job = maker.make(*inputs)
        document = run_job(job, self.store)
        row = self.store.outputs.query_one({"uuid": job.uuid})
        self.store.outputs.remove_docs({"uuid": job.uuid})
        row = {key: value for key, value in row.items() if key != "_id"}
        self.store.outputs.update([row | {"uuid": step_uuid(document.identity)}], key="uuid")
        return document


LEFT_K = 30.0
"""At this temperature all frames of a run lie far outside of what `cold_student` knows."""
REFINED = {
    "nep": {**TINY, "epochs": 20}, "refine_epochs": 25, "max_rounds": 3, "trial_steps": 200,
    "temperatures_k": (LEFT_K, 2 * LEFT_K), "n_checked": 0,
}  # fmt: skip


def cold_student(workshop):
    """Return a student after a single short training, and its training set."""
    frames = cold_set(workshop)
    hasty = {"max_rounds": 1, "temperatures_k": (60.0,), "trial_steps": 100}
    return workshop.run(student_maker(**REFINED | hasty), frames), frames
