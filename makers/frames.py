"""Frames for training: taken from runs, packed at random, or crystals rattled and strained."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from ase import Atoms
from pymatgen.core import Composition
from pymatgen.io.ase import AseAtomsAdaptor

from ..analysis.fingerprints import decorrelation_stride
from ..errors import InputError
from ..identity import content_hash, structure_hash
from ..quantity import Status
from ..stores.documents import MDDocument, MeltQuenchDocument
from ..systems.packing import pack
from .chemistry import mixture_of
from .stored_trajectories import open_stored, parts_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Any

    from numpy.typing import NDArray
    from pymatgen.core import Structure

    from ..engines.trajectory import TrajectoryReader
    from ..stores.documents import StepDocument
    from ..stores.step_files import StepFiles
    from ..stores.training import Split, SplitBy

_LEAST_FRAMES = 3
_LEAST_GLASSES = 5
"""For a split by glasses: of fewer, those held out would be missed in training."""


@dataclass
class Group:
    """Frames that belong together; see :class:`~haloflow.stores.training.FrameGroup`.

    Attributes
    ----------
    temperatures_k
        Of the frames; NaN where atoms do not move.
    start
        What its run began with, which runs of one glass share; empty where it is not known.
    """

    name: str
    origin: str
    source: str
    frames: list[Atoms]
    temperatures_k: list[float]
    stride: int = 1
    n_offered: int = 0
    start: str = ""
    split: Split = "train"
    fingerprints: NDArray[np.float64] = field(default_factory=lambda: np.empty((0, 0)))

    def __post_init__(self) -> None:
        self.n_offered = self.n_offered or len(self.frames)

    @property
    def formula(self) -> str:
        """Reduced formula of its first frame."""
        return reduced_formula(self.frames[0])

    def keep(self, indices: Sequence[int]) -> None:
        """Drop all frames but these."""
        self.frames = [self.frames[i] for i in indices]
        self.temperatures_k = [self.temperatures_k[i] for i in indices]
        if len(self.fingerprints):
            self.fingerprints = self.fingerprints[list(indices)]


def reduced_formula(atoms: Atoms) -> str:
    """Return the reduced formula."""
    return str(Composition(atoms.get_chemical_formula()).reduced_formula)


def run_group(run: StepDocument, files: StepFiles, most: int, n_last: int = 0) -> Group | None:
    """Return independent frames of all parts of a run; ``None`` where it has too few.

    Parameters
    ----------
    run
        MD or melt-quench.
    files
        Where its trajectory is found.
    most
        Number of frames at most, evenly spread.
    n_last
        Further frames of a run that left the domain of its student: those before its end.

    Raises
    ------
    InputError
        If the document has no trajectory.
    """
    if not isinstance(run, (MDDocument, MeltQuenchDocument)):
        raise InputError(
            f"a {run.kind} step has no trajectory to take frames from",
            given=run.identity[:12],
            allowed="md and melt_quench steps; structures are given as crystals",
            remedy="leave it out, or give its structure as a crystal",
        )
    frames: list[Atoms] = []
    temperatures: list[float] = []
    strides: list[int] = [1]
    for part, chunks in parts_of(run).items():
        reader = open_stored(chunks, files)
        thermo = reader.thermo()
        sound = np.flatnonzero(np.isfinite(thermo["energy_ev"]))
        for span in np.split(sound, _changes_of_model(run, part, thermo["step"][sound])):
            if len(span) < _LEAST_FRAMES:
                continue
            stride = decorrelation_stride(thermo["energy_ev"][span])
            strides.append(stride)
            for index in span[stride - 1 :: stride].tolist():
                frames.append(frame_at(reader, index))
                temperatures.append(float(thermo["target_temperature_k"][index]))
    last = _last_frames(run, files, n_last) if run.status is Status.OUT_OF_DOMAIN else []
    if not frames and not last:
        return None
    group = Group(
        f"{run.kind}-{run.identity[:12]}", run.kind, run.identity, frames, temperatures,
        stride=max(strides), start=_start_of(run),
    )  # fmt: skip
    if len(frames) > most:
        group.keep(np.unique(np.linspace(0, len(frames) - 1, most).round()).astype(int).tolist())
    group.frames += [frame for frame, _ in last]
    group.temperatures_k += [kelvin for _, kelvin in last]
    group.n_offered += len(last)
    return group


def _changes_of_model(
    run: MDDocument | MeltQuenchDocument, part: str, steps: NDArray[np.float64]
) -> list[int]:
    """Return where in `steps` another model's energies begin, which are not comparable."""
    models = run.models if isinstance(run, MDDocument) else []
    places = [one.from_step for one in models if one.part == part and one.from_step]
    return [int(place) for place in np.searchsorted(steps, places, side="right")]


def _start_of(run: MDDocument | MeltQuenchDocument) -> str:
    """Return the glass, or the structure, that a run began with; a melt is one of its own.

    Documents of before do not say it; of those, a single parent is it.
    """
    if isinstance(run, MeltQuenchDocument):
        return run.identity
    parents = run.provenance.parents
    return run.start or (parents[0] if len(parents) == 1 else "")


def _last_frames(run: StepDocument, files: StepFiles, n: int) -> list[tuple[Atoms, float]]:
    """Return the last `n` sound frames of a run and their temperatures."""
    parts = list(parts_of(run).values())
    if not parts or not n:
        return []
    reader = open_stored(parts[-1], files)
    thermo = reader.thermo()
    sound = np.flatnonzero(np.isfinite(thermo["energy_ev"]))[-n:].tolist()
    return [(frame_at(reader, i), float(thermo["target_temperature_k"][i])) for i in sound]


def frame_at(reader: TrajectoryReader, index: int) -> Atoms:
    """Return a frame of a trajectory, its atoms wrapped into the cell."""
    (positions,) = reader.positions(index, index + 1)
    (cell,) = reader.cells(index, index + 1)
    atoms = Atoms(numbers=reader.numbers, positions=positions, cell=cell, pbc=True)
    atoms.wrap()
    return atoms


def packing_groups(
    mixture: Mapping[str, Any], density_scales: Sequence[float], *, n_atoms: int, seed: int
) -> Iterator[Group]:
    """Yield a random packing of a mixture at each density, each a group of its own."""
    whole = mixture_of(dict(mixture))
    units = whole.integer_units(target_n_atoms=n_atoms)
    source = content_hash(dict(mixture))
    for number, scale in enumerate(density_scales):
        box = pack(whole, units, seed=seed + number, density_scale=scale)
        atoms = AseAtomsAdaptor.get_atoms(box.structure, msonable=False)
        name = f"packing-{source[:12]}-{seed + number}-{scale:g}"
        yield Group(name, "packing", source, [atoms], [float("nan")])


def crystal_group(
    label: str,
    structure: Structure,
    *,
    strains: Sequence[float],
    rattles_a: Sequence[float],
    n_each: int,
    seed: int,
) -> Group:
    """Return a crystal as it is, strained in volume and shape, and rattled at each strain.

    Parameters
    ----------
    label
        Name of the crystal, e.g. its id in the phase library.
    strains
        Linear strains of the cell.
    rattles_a
        Standard deviations of the displacements.
    n_each
        Frames per strain and displacement, each with a random shear of that strain's size.
    """
    start = AseAtomsAdaptor.get_atoms(structure, msonable=False)
    rng = np.random.default_rng(seed)
    frames = [start.copy()]
    for strain in strains:
        for rattle in rattles_a:
            for _ in range(n_each):
                atoms = start.copy()
                shear = rng.normal(scale=abs(strain) / 2, size=(3, 3))
                deform = (1.0 + strain) * np.eye(3) + (shear + shear.T) / 2
                atoms.set_cell(atoms.cell.array @ deform, scale_atoms=True)
                atoms.positions += rng.normal(scale=rattle, size=atoms.positions.shape)
                frames.append(atoms)
    source = structure_hash(structure)
    name = f"crystal-{label}-{source[:12]}"
    return Group(name, "crystal", source, frames, [float("nan")] * len(frames))


def split_groups(
    groups: Sequence[Group], fractions: Mapping[Split, float], by: SplitBy = "glass"
) -> None:
    """Give each group a split, so that every formula stays in training.

    Runs are taken in the order of the hash of their names, and go to test or validation while
    that split holds less than its fraction of all frames. By glass, all runs of one glass go
    together, where there are five or more; of fewer, and by run, each goes by itself.

    Raises
    ------
    InputError
        If there are too few trajectories for validation or test frames.
    """
    moving = [group for group in groups if group.origin not in {"packing", "crystal"}]
    glasses = {group.start or group.name for group in moving}
    if by == "glass" and len(glasses) >= _LEAST_GLASSES and not _divide(groups, fractions, by):
        return
    if missing := _divide(groups, fractions, "run"):
        raise InputError(
            f"there are too few trajectories for frames of {missing}",
            given=f"{len(moving)} trajectories of {len({one.formula for one in groups})} formulas",
            allowed="three or more of one formula: a trajectory is never divided",
            remedy="add runs of other seeds or temperatures",
        )


def _divide(groups: Sequence[Group], fractions: Mapping[Split, float], by: SplitBy) -> Split | None:
    """Divide what belongs together; return a split that got nothing, if one did not."""
    together: dict[str, list[Group]] = {}
    for group in groups:
        group.split = "train"
        key = group.start if by == "glass" and group.start else group.name
        together.setdefault(key, []).append(group)
    in_training = Counter(some[0].formula for some in together.values())
    total = sum(len(group.frames) for group in groups)
    for split in ("test", "validation"):
        held = 0
        for key in sorted(together, key=content_hash):
            some = together[key]
            first = some[0]
            if first.origin in {"packing", "crystal"} or first.split != "train":
                continue
            if in_training[first.formula] == 1:
                continue
            if held >= fractions[split] * total:
                break
            for group in some:
                group.split = split
            in_training[first.formula] -= 1
            held += sum(len(group.frames) for group in some)
        if not held:
            return split
    return None
