"""Makers of the analyses of a candidate's MD runs: transport, structure, landscape."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ..analysis.axis_correlation import order_transition
from ..analysis.regimes import fit_regimes
from ..identity import structure_hash
from ..quantity import Quantity, Status
from ..stores.analyses import (
    LandscapeDocument,
    LandscapePoint,
    LawAnalysis,
    RegimeAnalysis,
    StructureDocument,
    StructurePoint,
    TransportAnalysis,
    TransportDocument,
)
from ..systems.phases import get_phase
from .chemistry import crystal_of
from .curves import if_possible, thinned
from .diffusion import judged, without_coldest
from .landscape import (
    SPACING_A,
    host_paths_of,
    mean_cell_note,
    measure_hops,
    measure_landscape,
    measure_topology,
    path_stride,
)
from .nmr import NmrProtocol, jump_law, with_relaxation
from .readings import Lost, Reading, RunsMaker
from .references import reference_to
from .run_data import kink_of
from .structure import (
    measure_environment,
    measure_octahedra,
    measure_speciation,
    measure_structure,
)
from .transport import measure_transport

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pymatgen.core import Structure

    from ..analysis.density import DensityGrid
    from ..analysis.glass import Crystal
    from ..analysis.host_paths import HostPaths
    from ..stores.analyses import HopsAnalysis
    from ..stores.documents import FileReference, MDDocument
    from .step import StepContext

_N_LAGS = 120
_TARGET_K = 300.0
_CARRIED = (
    "diffusivity_cm2_s",
    "collective_diffusivity_cm2_s",
    "sigma_ne_ms_cm",
    "sigma_ms_cm",
    "haven_ratio",
)
_ALONG = ("principal_diffusivities_cm2_s", "principal_sigmas_ms_cm")
_JUMPS = ("residence_time_ps", "correlation_time_ps", "jump_diffusivity_cm2_s")


@dataclass
class TransportMaker(RunsMaker):
    """Collective conductivity, Haven ratio and cross-displacements at each temperature.

    Attributes
    ----------
    mobile, charge
        The mobile ion and its charge in e.
    known_glass_transition_k
        Measured glass transition, used where the runs' own densities and enthalpies show
        none: points below it are of another law.
    """

    name: str = "transport"
    charge: float = 1.0
    known_glass_transition_k: float | None = None

    kind: ClassVar[str] = "transport"
    code_version: ClassVar[int] = 3

    def analyse(
        self, runs: Sequence[MDDocument], context: StepContext, lost: Lost
    ) -> TransportDocument:
        """Return transport at each temperature, and its laws."""
        left_out: dict[str, str] = {}
        points = self.each(runs, context, left_out, self._point)
        tg_k = kink_of(runs, context.files).value or self.known_glass_transition_k
        return TransportDocument(
            points=points,
            laws={
                name: law
                for name in ("sigma_ne_ms_cm", "sigma_ms_cm")
                if (law := if_possible(partial(_law, runs, points, name, lost, tg_k)))
            },
            **self.common(runs, context, lost, left_out),
        )

    def _point(self, reading: Reading) -> TransportAnalysis:
        found = measure_transport(
            reading.passage,
            self.mobile,
            frame_ps=reading.frame_ps,
            temperature_k=reading.run.temperature_k,
            charges={self.mobile: self.charge},
            lags=thinned(1, reading.passage.n_frames - 1, _N_LAGS).tolist(),
        )

        def own(number: Quantity) -> Quantity:
            return judged(number, reading.run, found.n_mobile)

        numbers: dict[str, Quantity | None] = {name: getattr(found, name) for name in _CARRIED}
        onsager = found.onsager_per_j_m_s.items()
        return found.model_copy(
            update={
                **{name: own(number) for name, number in numbers.items() if number is not None},
                **{name: [own(number) for number in getattr(found, name)] for name in _ALONG},
                "onsager_per_j_m_s": {pair: own(number) for pair, number in onsager},
            }
        )


def _law(
    runs: Sequence[MDDocument],
    points: Sequence[TransportAnalysis],
    quantity: str,
    lost: Lost,
    tg_k: float | None,
) -> LawAnalysis:
    nothing = Quantity(status=Status.UNCONVERGED, note="no transport")
    known = {point.temperature_k: getattr(point, quantity) for point in points}
    found = fit_regimes(
        [run.temperature_k for run in runs],
        [known.get(run.temperature_k) or nothing for run in runs],
        extrapolate_to_k=_TARGET_K,
        tg_k=tg_k,
    )
    return LawAnalysis(
        name=found.name,
        regimes=[
            RegimeAnalysis(
                lower_k=one.lower_k,
                upper_k=one.upper_k,
                activation_energy_ev=one.activation_energy_ev,
                n_points=one.n_points,
            )
            for one in found.regimes
        ],
        breaks_k=list(found.breaks_k),
        sigma_300k_ms_cm=without_coldest(found.extrapolated, lost.n_cold),
        bic=found.bic,
    )


@dataclass
class StructureMaker(RunsMaker):
    """Pairs, polyhedra, octahedra and surroundings at each temperature.

    Attributes
    ----------
    mobile
        The mobile ion.
    crystal
        Whether the powder pattern is that of a crystal.
    crystal_phase_id
        Crystal of this composition in the phase library, if there is one, whose powder
        pattern is to be compared with.
    """

    name: str = "structure"
    crystal: bool = False
    crystal_phase_id: str | None = None

    kind: ClassVar[str] = "structure"
    code_version: ClassVar[int] = 3

    def analyse(
        self, runs: Sequence[MDDocument], context: StepContext, lost: Lost
    ) -> StructureDocument:
        """Return the structure at each temperature."""
        left_out: dict[str, str] = {}
        references = {name: crystal_of(phase) for name, phase in self._references().items()}
        points = self.each(runs, context, left_out, lambda one: self._point(one, references))
        return StructureDocument(
            mobile=self.mobile,
            points=points,
            order_transition_k=_transition(points),
            **self.common(runs, context, lost, left_out),
        )

    def physics(self) -> dict[str, Any]:
        """Return what decides the result, with the crystal to compare with."""
        crystals = {name: structure_hash(phase) for name, phase in self._references().items()}
        return super().physics() | {"references": crystals}

    def _references(self) -> dict[str, Structure]:
        phase = get_phase(self.crystal_phase_id) if self.crystal_phase_id else None
        return {phase.id: phase.structure()} if phase else {}

    def _point(self, reading: Reading, references: Mapping[str, Crystal]) -> StructurePoint:
        passage = reading.passage
        return StructurePoint(
            temperature_k=reading.run.temperature_k,
            structure=measure_structure(passage, crystal=self.crystal, references=references),
            speciation=if_possible(lambda: measure_speciation(passage)),
            octahedra=if_possible(lambda: measure_octahedra(passage)),
            environment=if_possible(lambda: measure_environment(passage)),
        )


def _transition(points: Sequence[StructurePoint]) -> Quantity | None:
    known = [
        (point.temperature_k, point.octahedra.correlation["bridge_inter_chain"])
        for point in points
        if point.octahedra is not None
    ]
    usable = [(t, q) for t, q in known if q.value is not None and q.sd is not None]
    found = if_possible(lambda: order_transition([t for t, _ in usable], [q for _, q in usable]))
    return found.temperature_k if found and found.delta_bic is not None else None


@dataclass
class LandscapeMaker(RunsMaker):
    """Free energy, sites, hops and topology of the mobile ions at each temperature.

    Attributes
    ----------
    mobile
        The mobile ion.
    spacing_a
        Largest edge of a voxel, A.
    repeats, n_octahedra
        Cells of a crystal in the box and octahedra in it, to count sites per octahedron.
    known_glass_transition_k
        Measured glass transition, used where the runs' own densities and enthalpies show
        none: hops below it are of another law.
    nmr
        Where T1 of 23Na is wanted, and on which quadrupole coupling it rests.
    """

    name: str = "landscape"
    spacing_a: float = SPACING_A
    repeats: tuple[int, int, int] | None = None
    n_octahedra: int = 0
    known_glass_transition_k: float | None = None
    nmr: NmrProtocol | None = None

    kind: ClassVar[str] = "landscape"
    code_version: ClassVar[int] = 3

    def analyse(
        self, runs: Sequence[MDDocument], context: StepContext, lost: Lost
    ) -> LandscapeDocument:
        """Return the landscape at each temperature, its densities in files."""
        left_out: dict[str, str] = {}
        found = self.each(runs, context, left_out, self._point)
        nothing = Quantity(status=Status.UNCONVERGED, note="no jumps")
        times = {run.temperature_k: nothing for run in runs} | {
            point.landscape.temperature_k: point.hops.correlation_time_ps
            for point, _ in found
            if point.hops is not None
        }
        tg_k = kink_of(runs, context.files).value or self.known_glass_transition_k
        law = jump_law(times, self.nmr, tg_k=tg_k, n_lost_cold=lost.n_cold)
        return LandscapeDocument(
            mobile=self.mobile,
            points=[point for point, _ in found],
            jump_law=law,
            files=[_density_file(point, grid, context) for point, grid in found],
            **self.common(runs, context, lost, left_out),
        )

    def _point(self, reading: Reading) -> tuple[LandscapePoint, DensityGrid]:
        paths = host_paths_of(reading.passage, reading.blocks, unwrapped=True)
        step_ps = path_stride(reading.passage) * reading.frame_ps
        landscape, grid = measure_landscape(
            paths,
            reading.run.temperature_k,
            note=mean_cell_note(reading.passage),
            spacing_a=self.spacing_a,
            repeats=self.repeats,
            n_octahedra=self.n_octahedra,
        )
        point = LandscapePoint(
            landscape=landscape,
            hops=if_possible(lambda: self._hops(reading, paths, grid, step_ps)),
            topology=if_possible(lambda: measure_topology(reading.passage)),
        )
        return point, grid

    def _hops(
        self, reading: Reading, paths: HostPaths, grid: DensityGrid, step_ps: float
    ) -> HopsAnalysis:
        found = measure_hops(paths, grid, frame_ps=step_ps)
        times = {name: judged(getattr(found, name), reading.run, paths.n_mobile) for name in _JUMPS}
        return with_relaxation(found.model_copy(update=times), self.nmr)


def _density_file(point: LandscapePoint, grid: DensityGrid, context: StepContext) -> FileReference:
    """Write the counts of the density beside the document."""
    context.directory.mkdir(parents=True, exist_ok=True)
    path = context.directory / f"density-{point.landscape.temperature_k:g}K.npz"
    with path.open("wb") as file:
        np.savez_compressed(file, block_counts=grid.block_counts, cell_a=grid.cell)
    return reference_to(path, "density", context)
