"""Labels: computed once however often they are stopped, of one level, refused where damaged."""

from __future__ import annotations

import numpy as np
import pytest
from ase.calculators.calculator import Calculator
from pair_potential import Pair
from tiny_frames import rattled_salt

from haloflow.engines import labels
from haloflow.engines.labels import label_frames, read_labelled, write_labelled
from haloflow.errors import CheckpointError, EngineError, InputError, InterruptedRunError


class Counting(Pair):
    """Stops the process that labels, once, after some frames."""

    evaluations = 0
    stop_after = 0

    def calculate(self, *arguments, **keywords):
        super().calculate(*arguments, **keywords)
        self.evaluations += 1
        if self.evaluations == self.stop_after:
            raise KeyboardInterrupt


def test_labels_survive_a_kill(tmp_path):
    frames = rattled_salt(13, seed=1)
    whole = label_frames(frames, Pair(), tmp_path / "a", signature="pair")
    calculator = Counting()
    calculator.stop_after = 9
    with pytest.raises(KeyboardInterrupt):
        label_frames(frames, calculator, tmp_path / "b", signature="pair")
    parts = label_frames(frames, calculator, tmp_path / "b", signature="pair")
    assert calculator.evaluations == 9 + 13 - 5, "the first five were saved"
    for one, other in zip(whole, parts, strict=True):
        assert one.get_potential_energy() == other.get_potential_energy()
        assert np.array_equal(one.get_forces(), other.get_forces())
        assert np.array_equal(one.get_stress(), other.get_stress())
    label_frames(frames, calculator, tmp_path / "b", signature="pair")
    assert calculator.evaluations == 17


def test_frames_that_take_long_are_saved_one_by_one(tmp_path, monkeypatch):
    monkeypatch.setattr(labels, "_CHECKPOINT_S", -1.0)
    frames = rattled_salt(13, seed=1)
    calculator = Counting()
    calculator.stop_after = 9
    with pytest.raises(KeyboardInterrupt):
        label_frames(frames, calculator, tmp_path, signature="pair")
    label_frames(frames, calculator, tmp_path, signature="pair")
    assert calculator.evaluations == 9 + 13 - 8, "the ninth alone was lost"


def test_walltime_stops_after_a_frame(tmp_path):
    frames = rattled_salt(5, seed=1)
    seen = []
    with pytest.raises(InterruptedRunError, match="a labelling was stopped by the walltime"):
        label_frames(frames, Pair(), tmp_path, signature="pair", walltime_s=1e-6)
    label_frames(
        frames, Pair(), tmp_path, signature="pair",
        on_progress=lambda done, total: seen.append((done, total)),
    )  # fmt: skip
    assert seen[0] == (2, 5)


def test_other_frames_or_another_level(tmp_path):
    frames = rattled_salt(2, seed=1)
    label_frames(frames, Pair(), tmp_path, signature="pair")
    for others, level in ((rattled_salt(2, seed=2), "pair"), (frames, "other")):
        with pytest.raises(CheckpointError, match="the labels of other frames, or of another"):
            label_frames(others, Pair(), tmp_path, signature=level)


def test_level_without_stress(tmp_path):
    class Bare(Calculator):
        implemented_properties = ("energy", "forces")

    with pytest.raises(InputError, match="a level cannot label frames") as caught:
        label_frames(rattled_salt(1, seed=1), Bare(), tmp_path, signature="bare")
    assert "Bare, without stress" in str(caught.value)


def test_files_keep_what_training_needs(tmp_path):
    frames = label_frames(rattled_salt(3, seed=1), Pair(), tmp_path / "l", signature="pair")
    digest = write_labelled(tmp_path / "set.xyz", frames)
    for one, other in zip(frames, read_labelled(tmp_path / "set.xyz", digest), strict=True):
        assert other.info["trajectory"] == "salt"
        assert other.info["temperature_k"] == 300.0
        assert other.get_potential_energy() == one.get_potential_energy()
        assert other.get_forces() == pytest.approx(one.get_forces(), abs=1e-8)
        assert other.cell.array == pytest.approx(one.cell.array, abs=1e-12)
    assert write_labelled(tmp_path / "again.xyz", frames) == digest


class Choosy(Pair):
    """Fails on large cells, as a network does on atoms without neighbours."""

    largest_a3 = 0.0

    def calculate(self, atoms=None, *arguments, **keywords):
        if atoms.get_volume() > self.largest_a3:
            raise ValueError("an atom has no neighbour")
        super().calculate(atoms, *arguments, **keywords)


def test_frames_that_the_level_cannot_label(tmp_path, caplog):
    frames = rattled_salt(4, seed=1)
    calculator = Choosy()
    calculator.largest_a3 = float(np.median([frame.get_volume() for frame in frames]))
    labelled = label_frames(frames, calculator, tmp_path / "a", signature="choosy")
    sound = [bool(np.isfinite(frame.get_forces()).all()) for frame in labelled]
    assert sound == [frame.get_volume() <= calculator.largest_a3 for frame in frames]
    assert caplog.messages == ["2 of 4 frames get no label: ValueError: an atom has no neighbour"]
    calculator.largest_a3 = 0.0
    for _ in range(2):
        with pytest.raises(EngineError, match="the level could not label a single frame") as info:
            label_frames(frames, calculator, tmp_path / "b", signature="choosy")
        assert info.value.given == "ValueError: an atom has no neighbour"


@pytest.mark.parametrize(
    "error",
    [
        OSError(28, "No space left on device"),
        MemoryError("64 GiB"),
        RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"),
    ],
    ids=["disk", "memory", "GPU", "torch"],
)
def test_what_the_machine_lacks_costs_no_frame(error, tmp_path):
    class Starved(Pair):
        left = 6

        def calculate(self, *arguments, **keywords):
            self.left -= 1
            if self.left < 0:
                raise error
            super().calculate(*arguments, **keywords)

    frames = rattled_salt(7, seed=1)
    with pytest.raises(EngineError, match="ran out of what its machine has") as caught:
        label_frames(frames, Starved(), tmp_path, signature="pair")
    assert str(error) in str(caught.value)
    assert "frame 6 of 7" in str(caught.value)
    again = Starved()
    labelled = label_frames(frames, again, tmp_path, signature="pair")
    assert again.left == 4, "five of seven were kept"
    assert all(np.isfinite(frame.get_forces()).all() for frame in labelled)
