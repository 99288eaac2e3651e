"""What several analyses take from the MD runs of a candidate: trajectories, glass transition."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from ..analysis.glass import glass_transition
from ..engines.trajectory import TrajectoryReader
from ..quantity import Quantity, Status
from .stored_trajectories import open_stored, parts_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..stores.documents import MDDocument, StepDocument
    from ..stores.step_files import StepFiles


def production_of(run: MDDocument, files: StepFiles) -> TrajectoryReader | None:
    """Return the trajectory of the production run; as `part_of`."""
    return part_of(run, "production", files)


def part_of(run: StepDocument, part: str, files: StepFiles) -> TrajectoryReader | None:
    """Return the trajectory of a part of a run; ``None`` where it has no two frames.

    Raises
    ------
    TrajectoryError
        A file is missing, damaged, or was released by a rule.
    StoreError
        A place of files does not answer.
    """
    chunks = parts_of(run).get(part, [])
    if not chunks:
        return None
    if files.places or any(chunk.released for chunk in chunks):
        reader = open_stored(chunks, files)
    else:
        reader = TrajectoryReader((files.folder / chunks[0].path).parent)
    return reader if reader.n_frames > 1 else None


def enthalpy_ev_per_atom(run: MDDocument, files: StepFiles) -> float | None:
    """Return the mean total energy per atom of the production; ``None`` where it is not known.

    Production runs at the volume of the equilibration's pressure: p V adds 1e-5 eV per atom
    at ambient pressure, and the fluctuating pressure of a fixed box only noise, so that it is
    left out.
    """
    reader = production_of(run, files)
    if reader is None:
        return None
    thermo = reader.thermo()
    mean = float(np.mean(thermo["energy_ev"] + thermo["kinetic_energy_ev"])) / reader.n_atoms
    return mean if np.isfinite(mean) else None


def kink_of(runs: Sequence[MDDocument], files: StepFiles) -> Quantity:
    """Return the glass transition in the settled densities of sound runs, or their enthalpies.

    The densities come first. Where both show a transition and the intervals do not overlap,
    it is `unconverged`.

    Parameters
    ----------
    runs
        MD runs at different temperatures.
    files
        The files of the runs, wherever they lie.
    """
    settled = [
        run
        for run in runs
        if run.status is Status.OK
        and run.density_g_cm3.status is Status.OK
        and run.density_g_cm3.value is not None
    ]
    densities = [(run.temperature_k, run.density_g_cm3.value or 0.0) for run in settled]
    enthalpies = [
        (run.temperature_k, value)
        for run in settled
        if (value := enthalpy_ev_per_atom(run, files)) is not None
    ]
    found = _first_of(_kink(densities, "densities"), _kink(enthalpies, "enthalpies"))
    n_dropped = len(runs) - len(settled)
    if not n_dropped:
        return found
    return _noted(found, f"{n_dropped} of {len(runs)} runs have no settled density")


def _kink(series: Sequence[tuple[float, float]], what: str) -> Quantity:
    found = glass_transition([at for at, _ in series], [value for _, value in series]).tg_k
    return replace(found, note=f"{what}: {found.note}") if found.note else _noted(found, what)


def _first_of(density: Quantity, enthalpy: Quantity) -> Quantity:
    if enthalpy.value is None:
        return density
    if density.value is None:
        return _noted(enthalpy, density.note)
    low, high = (f"{end:.0f}" for end in (enthalpy.lower or 0.0, enthalpy.upper or 0.0))
    found = _noted(density, f"by the enthalpies {enthalpy.value:.0f} K ({low} to {high} K)")
    ends = (density.lower, density.upper, enthalpy.lower, enthalpy.upper)
    lower, upper, other_lower, other_upper = (end or 0.0 for end in ends)
    apart = upper < other_lower or other_upper < lower
    return replace(found, status=Status.UNCONVERGED) if apart else found


def _noted(found: Quantity, note: str) -> Quantity:
    return replace(found, note="; ".join(filter(None, [found.note, note])))
