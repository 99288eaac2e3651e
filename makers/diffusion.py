"""Diffusion over temperature: from trajectories to sigma(300 K)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import combinations_with_replacement
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ..analysis.arrhenius import fit_arrhenius, nernst_einstein_ms_cm
from ..analysis.diffusion import estimate_diffusivity
from ..analysis.rdf import partial_rdfs
from ..errors import InputError
from ..quantity import Quantity, Status, worst
from ..stores.documents import DiffusionDocument, MDDocument, MsdCurve, RdfCurve, TransportPoint
from ..stores.learned_runs import shared_level
from ..systems.mixture import DEFAULT_N_MOBILE
from ..units import FS_PER_PS
from .run_data import kink_of, production_of
from .step import StepContext, StepMaker, step_job

if TYPE_CHECKING:
    from ..analysis.diffusion import DiffusivityEstimate
    from ..engines.trajectory import TrajectoryReader

_N_CURVE_POINTS = 120
_N_RDF_FRAMES = 100
_RDF_RANGE_A = 8.0
_TARGET_K = 300.0


@dataclass
class DiffusionMaker(StepMaker):
    """Diffusivity at each temperature, its Arrhenius law and sigma(300 K).

    Attributes
    ----------
    mobile
        The mobile ion.
    charge
        Its charge in e.
    known_glass_transition_k
        Measured glass transition, used where the runs' own densities and enthalpies show
        none.
    """

    name: str = "diffusion"
    mobile: str = "Na"
    charge: float = 1.0
    known_glass_transition_k: float | None = None

    kind: ClassVar[str] = "diffusion"
    code_version: ClassVar[int] = 3
    needs_all_inputs: ClassVar[bool] = False

    @step_job(needs_all_inputs=False)
    def make(
        self, runs: list[MDDocument | None], parents: dict[str, str] | None = None
    ) -> DiffusionDocument | dict[str, Any]:
        """Analyse `runs` at different temperatures; ``None`` stands for one that failed.

        In the order from cold to hot a ``None`` before the first result is the coldest asked
        for: what is extrapolated past it is `unconverged`.

        Raises
        ------
        InputError
            If none is left, or they are of different levels.
        """
        present = [run for run in runs if run is not None]
        if not present or shared_level(present) is None:
            raise InputError(
                "diffusion needs MD runs of one level of theory",
                given=[f"{run.temperature_k:g} K at {run.level}" for run in present],
                remedy="look at the md steps with `haloflow show`",
            )
        n_lost_cold = next(index for index, run in enumerate(runs) if run is not None)
        present.sort(key=lambda run: run.temperature_k)
        known = parents or {f"{run.temperature_k:g}K": run.identity for run in present}
        used = [run.identity for run in present]
        return self.run_step(
            lambda context: self._analyse(present, len(runs), n_lost_cold, context), known, used
        )

    def _analyse(
        self, runs: list[MDDocument], n_asked: int, n_lost_cold: int, context: StepContext
    ) -> DiffusionDocument:
        points, curves, rdfs = [], [], []
        for run in runs:
            reader = production_of(run, context.files)
            if reader is None:
                points.append(_broken_point(run))
                continue
            estimate = self._estimate(run, reader)
            points.append(self._point(run, estimate))
            curves.append(_msd_curve(run, estimate))
            rdfs += _rdf_curves(run, reader)
        transition = kink_of(runs, context.files)
        law = fit_arrhenius(
            [point.temperature_k for point in points],
            [point.sigma_ms_cm for point in points],
            extrapolate_to_k=_TARGET_K,
            tg_k=transition.value or self.known_glass_transition_k,
        )
        sigma_300k = without_coldest(law.extrapolated, n_lost_cold)
        status = worst(sigma_300k.status, *(run.status for run in runs))
        lost = n_asked - len(runs)
        return DiffusionDocument(
            identity=context.identity,
            status=status,
            note=f"{lost} of {n_asked} MD runs failed" if lost else sigma_300k.note,
            provenance=self.provenance(context),
            level=shared_level(runs) or runs[0].level,
            mobile=self.mobile,
            charge=self.charge,
            points=points,
            activation_energy_ev=law.activation_energy_ev,
            sigma_300k_ms_cm=sigma_300k,
            glass_transition_k=transition,
            msd=curves,
            rdf=rdfs,
        )

    def _estimate(self, run: MDDocument, reader: TrajectoryReader) -> DiffusivityEstimate:
        return estimate_diffusivity(
            reader.positions(),
            reader.cells(),
            np.asarray(reader.species) == self.mobile,
            frame_ps=run.trajectory_interval_steps * run.timestep_fs / FS_PER_PS,
            unwrapped=True,
        )

    def _point(self, run: MDDocument, estimate: DiffusivityEstimate) -> TransportPoint:
        diffusivity = judged(estimate.diffusivity_cm2_s, run, estimate.n_mobile)
        sigma = nernst_einstein_ms_cm(
            diffusivity,
            n_mobile=estimate.n_mobile,
            volume_a3=float(run.structure.volume),
            temperature_k=run.temperature_k,
            charge=self.charge,
        )
        return TransportPoint(
            temperature_k=run.temperature_k,
            diffusivity_cm2_s=diffusivity,
            sigma_ms_cm=sigma,
            n_effective_hops=estimate.n_effective_hops,
            n_mobile=estimate.n_mobile,
            loglog_slope=estimate.loglog_slope,
            duration_ps=estimate.duration_ps,
        )


def without_coldest(sigma: Quantity, n_lost: int) -> Quantity:
    """Return sigma as it stands when the coldest runs asked for gave nothing."""
    if not n_lost:
        return sigma
    note = f"the {n_lost} coldest MD runs failed" if n_lost > 1 else "the coldest MD run failed"
    return replace(
        sigma,
        lower=None,
        status=worst(sigma.status, Status.UNCONVERGED),
        note="; ".join(filter(None, [note, sigma.note])),
    )


def judged(diffusivity: Quantity, run: MDDocument, n_mobile: int) -> Quantity:
    """Lower the status of a number whose run, density or size does not carry it."""
    doubts = []
    status = diffusivity.status
    if run.status is not Status.OK:
        status, doubts = worst(status, run.status), [run.note]
    if n_mobile < DEFAULT_N_MOBILE:
        status = worst(status, Status.UNCONVERGED)
        doubts.append(f"{n_mobile} mobile ions, {DEFAULT_N_MOBILE} needed")
    if run.density_g_cm3.status is Status.UNCONVERGED:
        status = worst(status, Status.UNCONVERGED)
        doubts.append(f"density not settled: {run.density_g_cm3.note}")
    note = "; ".join(part for part in (diffusivity.note, *doubts) if part)
    return replace(diffusivity, status=status, note=note)


def _broken_point(run: MDDocument) -> TransportPoint:
    nothing = Quantity(status=worst(run.status, Status.UNCONVERGED), note=run.note)
    return TransportPoint(
        temperature_k=run.temperature_k,
        diffusivity_cm2_s=nothing,
        sigma_ms_cm=nothing,
        n_effective_hops=0.0,
        n_mobile=0,
        duration_ps=0.0,
    )


def _msd_curve(run: MDDocument, estimate: DiffusivityEstimate) -> MsdCurve:
    longest = len(estimate.lag_ps) - 1
    lags = np.unique(np.geomspace(1, max(longest, 1), _N_CURVE_POINTS).astype(np.int64))
    return MsdCurve(
        temperature_k=run.temperature_k,
        lag_ps=estimate.lag_ps[lags].tolist(),
        msd_a2=estimate.msd_a2[lags].tolist(),
        window_ps=estimate.window_ps,
    )


def _rdf_curves(run: MDDocument, reader: TrajectoryReader) -> list[RdfCurve]:
    stride = max(1, reader.n_frames // _N_RDF_FRAMES)
    pairs = list(combinations_with_replacement(sorted(set(reader.species.tolist())), 2))
    found = partial_rdfs(
        reader.positions(stride=stride),
        reader.cells(stride=stride),
        reader.species.tolist(),
        pairs,
        r_max_a=_RDF_RANGE_A,
    )
    return [
        RdfCurve(
            pair=f"{a}-{b}",
            temperature_k=run.temperature_k,
            r_a=curve.r_a.round(4).tolist(),
            g=curve.g.round(4).tolist(),
        )
        for (a, b), curve in found.items()
    ]
