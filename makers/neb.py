"""Barriers of single hops of the mobile ions of a structure."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal

import ase.io
import numpy as np
import spglib
from ase import units
from pymatgen.io.ase import AseAtomsAdaptor

from ..analysis.hop_pairs import (
    MAX_DISTANCE_A,
    Hop,
    Surroundings,
    chosen_hops,
    distinct_hops,
    empty_site_hops,
    empty_sites,
    vacancy_hops,
    window,
)
from ..analysis.hop_routes import least_resistance_route
from ..engines.domain import SELECT_GRADE
from ..engines.neb import NebSettings, find_barrier
from ..engines.potentials import require_coverage
from ..engines.relax import relax
from ..errors import InputError
from ..quantity import Quantity, Status, worst
from ..stores.barrier_documents import BarriersDocument, HopBarrier
from .domain_check import domain_of_level
from .references import reference_to
from .step import LevelMaker, StepContext, parents_of, start_structure, step_job

if TYPE_CHECKING:
    from ase import Atoms
    from pymatgen.core import Structure

    from ..analysis.frames import FloatArray, IntArray
    from ..engines.neb_images import NebResult
    from ..stores.analyses import LandscapeDocument
    from ..stores.documents import FileReference, StepDocument
    from ..stores.step_files import StepFiles

_SYMPREC_A: Final = 0.05
_VACANCY: Final = (
    "a neutral atom was taken out; the potential knows no charges, so that the cell is not "
    "charged either"
)
_FULL: Final = "all ions are there"
_BY_DENSITY: Final = "way of least resistance through the density at {:g} K"
_STRAIGHT: Final = "straight line"
_LEAST_CELL_A: Final = 8.0
"""Between opposite faces: twice the longest hop."""


@dataclass(frozen=True)
class Density:
    """Visits of the mobile ions in an MD run of the same sample."""

    counts: IntArray
    temperature_k: float

    @classmethod
    def of(cls, landscape: LandscapeDocument | None, files: StepFiles) -> Density | None:
        """Return the density of the coldest run; ``None`` where there is none."""
        if landscape is None or not landscape.files:
            return None
        kelvin = [point.landscape.temperature_k for point in landscape.points]
        coldest, file = min(
            (t for t in zip(kelvin, landscape.files, strict=True) if t[0] is not None),
            key=lambda pair: pair[0],
        )
        with np.load(files.local(file)) as data:
            return cls(data["block_counts"].sum(axis=0, dtype=np.int64), coldest)


@dataclass
class NebMaker(LevelMaker):
    """Find the hops that a structure offers its mobile ions, and the barriers of some of them.

    Attributes
    ----------
    level
        Level of theory (the name of a potential).
    mobile, anions
        What hops, and what coordinates it.
    into
        ``vacancy``: into the site of another ion, which is taken out. ``empty``: into a site
        without an ion, all ions being there.
    max_distance_a
        Longest hop.
    per_kind
        Hops of each kind, evenly spread from the shortest to the longest.
    n_images, fmax_ev_a, max_steps, checkpoint_interval
        Of each band, see :class:`~haloflow.engines.neb.NebSettings`.
    """

    name: str = "neb"
    level: str = "chgnet-r2scan-d3"
    mobile: str = "Na"
    anions: tuple[str, ...] = ("Cl", "O")
    into: Literal["vacancy", "empty"] = "vacancy"
    max_distance_a: float = MAX_DISTANCE_A
    per_kind: int = 2
    n_images: int = 5
    fmax_ev_a: float = 0.05
    max_steps: int = 300
    checkpoint_interval: int = 10

    kind: ClassVar[str] = "neb"
    code_version: ClassVar[int] = 2
    needs_all_inputs: ClassVar[bool] = False

    @step_job(needs_all_inputs=False)
    def make(
        self,
        start: Structure | StepDocument | None,
        landscape: LandscapeDocument | None = None,
        parents: dict[str, str] | None = None,
    ) -> BarriersDocument | dict[str, Any]:
        """Look at the hops in `start`, a structure or the document of the step that made one.

        Parameters
        ----------
        start
            Its cell is kept.
        landscape
            Of MD of the same sample: bands start along its density where that has been at
            both sites.

        Raises
        ------
        InputError
            The step before broke down, or the structure has no hop to offer.
        AnalysisError
            The radius of an ion is not known.
        CoverageError
            The potential does not know an element.
        """
        if start is None:
            raise InputError("barriers need a structure", given="a step that failed")
        structure = start_structure(start)
        known = parents or parents_of(start) | (
            {"landscape": landscape.identity} if landscape is not None else {}
        )
        missing = () if landscape is not None else (known.get("landscape"),)
        used = [one for one in known.values() if one not in missing]
        return self.run_step(
            lambda context: self._barriers(structure, landscape, context), known, used
        )

    @property
    def settings_of_band(self) -> NebSettings:
        """How each band is relaxed."""
        return NebSettings(
            n_images=self.n_images,
            fmax_ev_a=self.fmax_ev_a,
            max_steps=self.max_steps,
            checkpoint_interval=self.checkpoint_interval,
        )

    def _barriers(
        self, structure: Structure, landscape: LandscapeDocument | None, context: StepContext
    ) -> BarriersDocument:
        density = Density.of(landscape, context.files)
        host, host_note = self._relaxed(structure, context)
        around = self._around(host)
        possible = self._possible(around)
        chosen = chosen_hops(possible, self.per_kind)
        if not chosen:
            raise InputError(
                f"{self.mobile} has no hop of at most {self.max_distance_a:g} A here",
                given=f"{len(around.ions)} {self.mobile} in {len(around.symbols)} atoms, "
                f"hops into {self.into} sites",
                remedy="raise neb.max_distance_a, or take a larger cell",
            )
        found, files = [], []
        for number, hop in enumerate(chosen):
            route, said = self._route(density, around, hop)
            result = self._barrier(host, hop, number, route, context)
            found.append(self._document(hop, result, said))
            files.append(_images_file(result, number, context))
        bad = [one for one in found if one.barrier_ev.status is not Status.OK]
        return BarriersDocument(
            identity=context.identity,
            status=worst(
                Status.UNCONVERGED if host_note else Status.OK,
                *(one.barrier_ev.status for one in found),
            ),
            note="; ".join(
                filter(
                    None,
                    [
                        f"{len(bad)} of {len(found)} bands gave no sound barrier" if bad else "",
                        f"before the hops: {host_note}" if host_note else "",
                    ],
                )
            ),
            provenance=self.provenance(context),
            files=files,
            level=self._level_of(context),
            mobile=self.mobile,
            into=self.into,
            charge_note=self.charge_note,
            max_distance_a=self.max_distance_a,
            fmax_ev_a=self.fmax_ev_a,
            n_images=self.n_images,
            n_possible=_counted(possible),
            host_max_stress_gpa=_max_stress_gpa(host),
            hops=found,
        )

    @property
    def charge_note(self) -> str:
        """What is done about the charge of the ion."""
        return _VACANCY if self.into == "vacancy" else _FULL

    def _level_of(self, context: StepContext) -> str:
        return context.evaluated_by.level if context.evaluated_by else self.level

    def _relaxed(self, structure: Structure, context: StepContext) -> tuple[Atoms, str]:
        """Return the atoms at rest in their cell, and what is left to converge."""
        potential = context.load(self.level)
        require_coverage(potential.identity, {e.symbol for e in structure.elements})
        result = relax(
            AseAtomsAdaptor.get_atoms(structure, msonable=False),
            potential.calculator,
            context.directory / "host",
            self.settings_of_band.relaxation(),
            signature=context.identity,
            on_progress=context.progress(self.max_steps).stage("host", self.max_steps),
            walltime_s=context.walltime_s,
        )
        if result.status.is_broken:
            raise InputError(
                f"the structure that ions are to hop in ended as {result.status.value}",
                given=result.note,
                remedy="look at the step before",
            )
        context.n_resumes += result.n_resumes
        return result.atoms, result.note

    def _around(self, atoms: Atoms) -> Surroundings:
        return Surroundings(
            tuple(atoms.get_chemical_symbols()),
            atoms.get_scaled_positions(wrap=True),
            atoms.cell.array,
            self.mobile,
            self.anions,
        )

    def _possible(self, around: Surroundings) -> list[Hop]:
        if self.into == "vacancy":
            hops = vacancy_hops(around, self.max_distance_a)
        else:
            hops = empty_site_hops(around, empty_sites(around), self.max_distance_a)
        numbers = [sorted(set(around.symbols)).index(symbol) for symbol in around.symbols]
        found = spglib.get_symmetry((around.cell, around.fractional, numbers), symprec=_SYMPREC_A)
        operations = [(np.eye(3), np.zeros(3))]
        if found is not None:
            operations = list(zip(found["rotations"], found["translations"], strict=True))
        return distinct_hops(hops, around, operations)

    def _route(
        self, density: Density | None, around: Surroundings, hop: Hop
    ) -> tuple[FloatArray | None, str]:
        """Return places of the ion in A, and what they are."""
        if density is None:
            return None, _STRAIGHT
        start = around.fractional[hop.ion]
        places = least_resistance_route(
            density.counts, around.cell, start, hop.displacement, self.n_images + 2
        )
        if places is None:
            return None, f"{_STRAIGHT}; no ion dwelt at an end of it at {density.temperature_k:g} K"
        return places @ around.cell, _BY_DENSITY.format(density.temperature_k)

    def _barrier(
        self,
        host: Atoms,
        hop: Hop,
        number: int,
        route: FloatArray | None,
        context: StepContext,
    ) -> NebResult:
        potential = context.potential or context.load(self.level)
        total = 4 * self.max_steps
        result = find_barrier(
            ends_of(host, hop),
            hop.ion,
            potential.calculator,
            context.directory / f"hop-{number:03d}",
            self.settings_of_band,
            signature=f"{context.identity} hop {number}",
            route=route,
            walltime_s=lambda: context.walltime_s,
            on_progress=context.progress(total).stage(f"hop {number + 1}", total),
        )
        context.n_resumes += result.n_resumes
        return result

    def _document(self, hop: Hop, result: NebResult, route: str) -> HopBarrier:
        known = bool(result.energies_ev)
        doubts = self._doubts(result) if known else []
        target = "empty site" if hop.vacated is None else f"{self.mobile}{hop.vacated}"
        return HopBarrier(
            label=f"{self.mobile}{hop.ion} to {target}",
            kind=hop.kind,
            linkage=hop.linkage,
            shared=hop.shared,
            distance_a=hop.distance_a,
            n_alike=hop.n_alike,
            route=route,
            barrier_ev=_doubted(result.forward_ev, doubts),
            backward_barrier_ev=_doubted(result.backward_ev, doubts),
            difference_ev=result.difference_ev if known else None,
            path_a=result.path_a,
            energies_ev=result.energies_ev,
            window=list(self._window(result, hop)) if known else [],
            max_force_ev_a=result.max_force_ev_a if known else None,
            n_steps=result.n_steps,
        )

    def _doubts(self, result: NebResult) -> list[str]:
        """Say why a band tells little of this hop, however well it converged."""
        top, doubts = result.images[result.top], []
        thinnest = float(min(1 / np.linalg.norm(row) for row in np.linalg.inv(top.cell.array).T))
        if thinnest < _LEAST_CELL_A:
            doubts.append(
                f"the cell is {thinnest:.1f} A thin, less than {_LEAST_CELL_A:g}: "
                "the ion and the vacancy meet their own images"
            )
        domain = domain_of_level(self.level)
        if domain is not None and (grade := domain.grade(top)) > SELECT_GRADE:
            doubts.append(
                f"the top of the band has grade {grade:.3g}, above {SELECT_GRADE:g}: "
                "the model was not trained for it"
            )
        return doubts

    def _window(self, result: NebResult, hop: Hop) -> tuple[tuple[str, float], ...]:
        top = result.images[result.top]
        around = self._around(top)
        return window(around, around.fractional[hop.ion])


def ends_of(host: Atoms, hop: Hop) -> tuple[Atoms, Atoms]:
    """Return the atoms before and after a hop; the ion keeps its index."""
    first = host.copy()
    first.calc = None
    if hop.vacated is not None:
        del first[hop.vacated]
    last = first.copy()
    last.positions[hop.ion] += hop.displacement @ host.cell.array
    return first, last


def _doubted(barrier: Quantity, doubts: list[str]) -> Quantity:
    if not doubts:
        return barrier
    note = "; ".join(filter(None, [*doubts, barrier.note]))
    return replace(barrier, status=worst(barrier.status, Status.OUT_OF_DOMAIN), note=note)


def _max_stress_gpa(atoms: Atoms) -> float | None:
    """Return the largest component of the stress, where the calculator gave one."""
    known = atoms.calc.results.get("stress")
    return None if known is None else float(np.abs(known).max() / units.GPa)


def _counted(hops: list[Hop]) -> dict[str, int]:
    counts: Counter[str] = Counter()
    for hop in hops:
        counts[hop.kind] += hop.n_alike
    return dict(sorted(counts.items()))


def _images_file(result: NebResult, number: int, context: StepContext) -> FileReference:
    """Write the images of a band beside the document, as extended XYZ."""
    path = context.directory / f"hop-{number:03d}.extxyz"
    temporary = path.with_name(f"{path.name}.tmp")
    ase.io.write(temporary, result.images, format="extxyz")
    temporary.replace(path)
    return reference_to(path, f"band-{number + 1}", context)
