"""Which frames go to training, validation and test, and that none changes sides later."""

from __future__ import annotations

import pytest
from ase.build import bulk
from salt_sets import salt_set
from trained_models import own_machine  # noqa: F401  (a fixture)

from haloflow.engines.trained_models import keep_model, name_of
from haloflow.errors import InputError
from haloflow.makers.finetune import FineTuneMaker
from haloflow.makers.frames import Group, split_groups
from haloflow.makers.training_set import TrainingSetMaker
from haloflow.quantity import Status
from haloflow.stores.training import SPLITS, FrameGroup, TrainingSetDocument

FRACTIONS = {"validation": 0.1, "test": 0.1}
SALT, OXIDE = bulk("NaCl", "rocksalt", a=5.6), bulk("MgO", "rocksalt", a=4.2)


def runs_of(n_glasses, n_runs=4, *, atoms=SALT, seed=0):
    """Return runs of glasses, each glass by its melt."""
    return [
        Group(f"md-{seed}-{glass}-{run}", "md", "s", [atoms] * 5, [300.0] * 5,
              start=f"glass-{seed}-{glass}")
        for glass in range(n_glasses)
        for run in range(n_runs)
    ]  # fmt: skip


def splits_of(groups, **more):
    split_groups(groups, FRACTIONS, **more)
    return {group.name: group.split for group in groups}


@pytest.mark.parametrize("seed", range(8))
def test_runs_of_one_glass_stay_together(seed):
    groups = runs_of(6, seed=seed)
    splits_of(groups)
    for glass in {group.start for group in groups}:
        assert len({group.split for group in groups if group.start == glass}) == 1
    assert {group.split for group in groups} == set(SPLITS)
    held = sum(group.split == "test" for group in groups)
    assert held == 4, "one glass of six, once that is a tenth"


def test_of_few_glasses_runs_go_by_themselves():
    few, by_run = runs_of(4), runs_of(4)
    assert splits_of(few) == splits_of(by_run, by="run")
    assert sum(group.split == "train" for group in few) == 12
    every_formula_once = [
        *runs_of(1, atoms=SALT, seed=1), *runs_of(1, atoms=OXIDE, seed=2),
        *(g for i, a in enumerate((3.5, 3.6, 3.7)) for g in runs_of(
            1, atoms=bulk(("Cu", "Ag", "Au")[i], "fcc", a=a), seed=3 + i)),
    ]  # fmt: skip
    assert set(splits_of(every_formula_once).values()) == set(SPLITS)
    assert {g.formula for g in every_formula_once if g.split == "train"} == {
        g.formula for g in every_formula_once
    }
    with pytest.raises(InputError, match="too few trajectories for frames of test"):
        split_groups(runs_of(1, 1), FRACTIONS)


def test_sets_of_before_are_the_same_step():
    by_run = TrainingSetMaker(level="chgnet-r2scan", split_by="run").physics()
    by_glass = TrainingSetMaker(level="chgnet-r2scan").physics()
    assert "split_by" not in by_run
    assert by_glass == by_run | {"split_by": "glass"}


def group_document(name, split, start, origin="md"):
    return FrameGroup(
        name=name, origin=origin, source="s", start=start, formula="NaCl", split=split, n_frames=1,
        n_offered=1, stride=1, temperature_k=None, density_g_cm3=(1, 1),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("starts", "known"),
    [("abc", 0), ("aab", 0), ("aba", 1), ("ab", None), (("a", "b", ""), None),
     (("", "a", "b"), None)],
)  # fmt: skip
def test_a_set_tells_test_runs_of_glasses_that_were_learned(starts, known):
    splits = ("train", "validation", "test")
    starts = [*starts, ""][:3]
    groups = [
        group_document(f"md-{i}", split, start)
        for i, (split, start) in enumerate(zip(splits, starts, strict=True))
    ]
    found = TrainingSetDocument.model_construct(groups=groups)
    assert found.n_test_of_known_glasses == known
    more = [*groups, group_document("crystal-x", "train", "", "crystal")]
    assert found.model_copy(update={"groups": more}).n_test_of_known_glasses == known


def test_runs_of_a_set_know_what_they_began_with(workshop):
    frames = salt_set(workshop)
    starts = {group.start for group in frames.groups if group.origin == "md"}
    assert len(starts) == 1
    assert starts != {""}
    assert frames.n_test_of_known_glasses == 1


@pytest.mark.usefixtures("own_machine")
def test_a_child_tests_on_nothing_that_its_parent_has_learned(workshop):
    frames = salt_set(workshop)
    shape = {"channels": 4, "n_layers": 1, "max_ell": 1, "n_bessel": 4, "radial_neurons": 4}
    training = {"epochs": 1, "batch": 8}
    model = workshop.run(FineTuneMaker(mace=shape, training=training), frames)
    runs = {group.name: group.split for group in frames.groups}
    assert model.splits == runs
    sources = {role: workshop.files(model, role)[0] for role in ("weights", "domain")}
    swapped = {"train": "test", "test": "train", "validation": "validation"}
    turned = {name: swapped[split] for name, split in runs.items()}
    for known in (turned, {}):
        parent = model.model_copy(update={"splits": known})
        kept = keep_model(parent.model_dump_json(), sources)
        child = workshop.run(
            FineTuneMaker(parent=name_of(kept.level), training=training | {"seed": 7 - len(known)}),
            frames,
        )
        counts = dict.fromkeys(SPLITS, 0)
        for group in frames.groups:
            counts[(known or runs)[group.name]] += group.n_frames
        assert {split: child.errors[split].n_frames for split in SPLITS} == counts
        assert child.splits == (known or runs)
        assert ("its parent does not say what it was trained on" in child.note) == (not known)
        if not known:
            assert child.status in (Status.UNCONVERGED, Status.OUT_OF_DOMAIN)
