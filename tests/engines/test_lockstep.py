"""Runs side by side in one process: each is what it would be alone."""

import os
import signal
import sys

import numpy as np
import pytest
from ase.calculators.fd import calculate_numerical_forces, calculate_numerical_stress
from batched_argon import BatchedArgon, argon

from haloflow.engines.batching import BatchedCalculator
from haloflow.engines.guards import volume_guard
from haloflow.engines.lockstep import Lockstep, current_lockstep
from haloflow.engines.md import run_md
from haloflow.engines.trajectory import TrajectoryReader
from haloflow.errors import InputError, InterruptedRunError, MissingDependencyError
from haloflow.quantity import Status

CASES = ("nve", "langevin", "nose-hoover", "npt-isotropic", "npt-full", "ramp-npt")


def task(model, settings, folder, atoms=None, *, guards=()):
    def run():
        start = argon(settings.seed) if atoms is None else atoms
        return run_md(
            start,
            BatchedCalculator(model),
            settings,
            folder,
            signature=folder.name,
            guards=guards,
        )

    return folder.name, run


def frames(folder):
    reader = TrajectoryReader(folder / "trajectory")
    return reader.positions(), reader.thermo()


def together(tasks, **more):
    return dict(Lockstep().run(tasks, **more))


def assert_same(folder, other):
    positions, thermo = frames(folder)
    expected, of_other = frames(other)
    assert np.array_equal(positions, expected)
    for name, column in thermo.items():
        assert np.array_equal(column, of_other[name], equal_nan=True), name


def test_every_ensemble_runs_beside_the_others_as_it_does_alone(tmp_path, md_cases):
    model = BatchedArgon()
    tasks = [
        task(model, md_cases.settings_of(case, seed=i, n_steps=30 + 6 * i), tmp_path / case)
        for i, case in enumerate(CASES)
    ]
    found = together(tasks)
    assert list(found) == list(CASES), "shorter runs end first"
    assert {result.status for result in found.values()} == {Status.OK}
    assert max(model.sizes) == len(CASES)
    assert sum(model.sizes) == sum(30 + 6 * i + 1 for i in range(len(CASES)))
    for i, case in enumerate(CASES):
        settings = md_cases.settings_of(case, seed=i, n_steps=30 + 6 * i)
        _name, alone = task(BatchedArgon(), settings, tmp_path / "alone" / case)
        alone()
        assert_same(tmp_path / case, tmp_path / "alone" / case)


def test_bad_members_end_alone(tmp_path, md_cases):
    settings = md_cases.settings_of("langevin", n_steps=40)
    model = BatchedArgon(most=3)
    clash, copper, swollen = argon(), argon(), argon()
    clash.positions[1] = clash.positions[0]
    copper.symbols[3] = "Cu"
    found = together(
        [
            task(model, settings, tmp_path / "first"),
            task(model, settings, tmp_path / "clash", clash),
            task(model, settings, tmp_path / "copper", copper),
            task(model, settings, tmp_path / "swollen", swollen, guards=[volume_guard(1e5)]),
            task(model, settings, tmp_path / "last"),
        ]
    )
    assert found["clash"].status is Status.DIVERGED
    assert "not finite" in found["clash"].note
    assert str(found["copper"]).startswith("the calculator failed in the step after step 0.")
    assert "ValueError: no parameters for Cu" in str(found["copper"])
    assert found["swollen"].status is Status.DIVERGED
    assert found["first"].status is found["last"].status is Status.OK
    _name, alone = task(BatchedArgon(), settings, tmp_path / "alone")
    alone()
    assert_same(tmp_path / "first", tmp_path / "alone")
    assert_same(tmp_path / "last", tmp_path / "alone")


def test_what_does_not_fit_is_evaluated_in_parts(tmp_path, md_cases):
    model = BatchedArgon(most=2)
    settings = md_cases.settings_of("nve", n_steps=4)
    found = together([task(model, settings, tmp_path / str(i)) for i in range(5)])
    assert {result.status for result in found.values()} == {Status.OK}
    assert max(model.sizes) == 2
    assert model.sizes == [2, 2, 1] * 5, "it tries no more than what did fit"


def test_one_that_never_fits_leaves_the_others_their_room(tmp_path, md_cases):
    model = BatchedArgon(largest=40)
    settings = md_cases.settings_of("nve", n_steps=4)
    large = task(model, settings, tmp_path / "large", argon() * (2, 1, 1))
    found = together([large, *(task(model, settings, tmp_path / str(i)) for i in range(3))])
    assert "OutOfRoomError" in str(found.pop("large"))
    assert {result.status for result in found.values()} == {Status.OK}
    assert model.sizes[-4:] == [3] * 4


def test_a_probe_that_one_member_spoils_is_made_again(tmp_path, md_cases, caplog):
    class Probing(BatchedArgon):
        probes = 0

        def _probe(self, structures):
            self.probes += 1
            if any((one.numbers == 29).any() for one in structures):
                msg = "no parameters for Cu"
                raise ValueError(msg)
            return 2.0 * self._needs(structures[0])

    model = Probing()
    copper = argon()
    copper.symbols[3] = "Cu"
    settings = md_cases.settings_of("nve", n_steps=4)
    bad = task(model, settings, tmp_path / "copper", copper)
    found = together([bad, *(task(model, settings, tmp_path / str(i)) for i in range(3))])
    assert "no parameters for Cu" in str(found.pop("copper"))
    assert {result.status for result in found.values()} == {Status.OK}
    assert model.probes == 2
    assert model.sizes[-2:] == [2, 1], "the room that the second probe found"
    assert "the room of a batch could not be probed: no parameters for Cu" in caplog.text


def test_a_model_that_fails_as_a_whole_ends_its_own_runs_alone(tmp_path, md_cases):
    class Broken(BatchedArgon):
        def evaluate(self, asked):
            msg = f"lost {len(asked)}"
            raise RuntimeError(msg)

    settings = md_cases.settings_of("nve", n_steps=4)
    model = BatchedArgon()
    tasks = [task(model, settings, tmp_path / "good")]
    broken = Broken()
    tasks += [task(broken, settings, tmp_path / f"bad{i}") for i in range(2)]
    found = together(tasks)
    assert found["good"].status is Status.OK
    for name in ("bad0", "bad1"):
        assert "RuntimeError: lost 2" in str(found[name])


def test_a_signal_stops_all_and_all_go_on_bit_for_bit(tmp_path, md_cases):
    cases = ("langevin", "npt-isotropic")

    def tasks(parent, guards=()):
        return [
            task(BatchedArgon(), md_cases.settings_of(case), tmp_path / parent / case,
                 guards=guards if case == "langevin" else ())
            for case in cases
        ]  # fmt: skip

    def strike(_atoms, step):
        if step == 40:
            os.kill(os.getpid(), signal.SIGTERM)

    before = signal.getsignal(signal.SIGTERM)
    stopped = together(tasks("stopped", [strike]))
    assert signal.getsignal(signal.SIGTERM) is before
    for error in stopped.values():
        assert isinstance(error, InterruptedRunError)
        assert str(error).startswith("an MD run was stopped by SIGTERM. Given: 4")
    resumed = together(tasks("stopped"))
    assert [result.n_resumes for result in resumed.values()] == [1, 1]
    together(tasks("whole"))
    for case in cases:
        assert_same(tmp_path / "stopped" / case, tmp_path / "whole" / case)


def test_runs_join_while_others_are_under_way(tmp_path, md_cases):
    model = BatchedArgon()
    settings = md_cases.settings_of("langevin", n_steps=12)
    late = [task(model, settings, tmp_path / "late")]

    def more():
        return [late.pop()] if late and len(model.sizes) == 5 else ()

    found = together([task(model, settings, tmp_path / "early")], more=more)
    assert list(found) == ["early", "late"]
    assert model.sizes == [1] * 5 + [2] * 8 + [1] * 5
    assert_same(tmp_path / "early", tmp_path / "late")


def test_globals_of_a_run_that_waits_are_put_back(tmp_path):
    state = {"owner": ""}
    model = BatchedArgon()

    def keep():
        kept = state["owner"]
        return lambda: state.update(owner=kept)

    def named(name):
        def run():
            state["owner"] = name
            atoms = argon()
            atoms.calc = BatchedCalculator(model)
            atoms.get_potential_energy()
            return state["owner"]

        return name, run

    assert dict(Lockstep(keep).run([named("a"), named("b")])) == {"a": "a", "b": "b"}
    assert model.sizes == [2]


def test_without_others_the_calculator_answers_at_once():
    assert current_lockstep() is None
    atoms, copper = argon(), argon()
    atoms.calc = BatchedCalculator(BatchedArgon())
    numerical = calculate_numerical_forces(atoms, eps=1e-5, iatoms=[3])
    assert atoms.get_forces()[3] == pytest.approx(numerical[0], abs=1e-7)
    strained = calculate_numerical_stress(atoms, eps=1e-5)
    assert atoms.get_stress() == pytest.approx(strained, abs=1e-8)
    copper.symbols[0] = "Cu"
    copper.calc = BatchedCalculator(BatchedArgon())
    with pytest.raises(ValueError, match="no parameters for Cu"):
        copper.get_potential_energy()


def test_runs_side_by_side_cannot_be_nested():
    def nested():
        return list(Lockstep().run([]))

    ((_name, error),) = Lockstep().run([("outer", nested)])
    assert isinstance(error, InputError)
    assert str(error).startswith("runs side by side cannot be nested. Allowed: one set of runs")


def test_greenlet_is_asked_for_by_its_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "greenlet", None)
    with pytest.raises(MissingDependencyError, match=r"greenlet.*haloflow\[torchsim\]"):
        Lockstep()
