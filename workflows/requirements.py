"""What a sweep must fulfil before it is planned."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..engines.potentials import identify, require_coverage
from ..engines.vasp_levels import is_vasp
from ..errors import InputError, SweepError
from ..makers.ensemble import place_of, shares
from .models import AUTO
from .steps import chain_former

if TYPE_CHECKING:
    from .candidates import Candidate
    from .sweep import Sweep


def require_levels(sweep: Sweep, candidates: list[Candidate]) -> None:
    """Refuse levels that were not made for the elements of the candidates.

    Raises
    ------
    CoverageError, UnknownNameError
        Naming the stage.
    """
    elements = {e.symbol for c in candidates for e in c.mixture.composition.elements}
    for where, level in sweep.levels().items():
        if where.endswith(".teacher") and level == AUTO:
            continue  # refused where its section is planned
        try:
            require_coverage(identify(level), elements)
        except InputError as error:
            error.problem = f"{where}: {error.problem}"
            raise


def require_protocol(sweep: Sweep, candidates: list[Candidate]) -> None:
    """Refuse what a sweep asks of candidates or levels that cannot give it.

    Raises
    ------
    SweepError
        VASP is to do what it does not here, no candidate has what is tethered, or none chains.
    """
    _require_vasp_fits(sweep)
    _require_tethers(sweep, candidates)
    _require_chains(sweep, candidates)
    _require_run_of_ensemble(sweep, candidates)


def _require_vasp_fits(sweep: Sweep) -> None:
    """Refuse what VASP does not run here."""
    asked: dict[str, str] = {}
    if sweep.registries:
        asked["relax, with registries"] = sweep.stages.relax
    if sweep.md.tether is not None:
        asked["md, with md.tether"] = sweep.stages.md
    for stage, level in asked.items():
        if is_vasp(level):
            raise SweepError(
                f"stages.{stage}: VASP relaxes, melts and quenches, and runs MD without springs",
                given=level,
                allowed="the name of a potential",
                remedy="name a potential for this stage, e.g. chgnet-r2scan-d3",
            )


def _require_tethers(sweep: Sweep, candidates: list[Candidate]) -> None:
    tethered = sweep.md.tether.species if sweep.md.tether else []
    for candidate in candidates:
        elements = {element.symbol for element in candidate.mixture.composition.elements}
        if strange := sorted(set(tethered) - elements):
            raise SweepError(
                f"md.tether.species: {candidate.label} holds no {' or '.join(strange)}",
                given=tethered,
                allowed=sorted(elements),
                remedy="tether species that every candidate holds, or make a sweep of its own",
            )


def _require_chains(sweep: Sweep, candidates: list[Candidate]) -> None:
    if sweep.registries and not any(chain_former(candidate) for candidate in candidates):
        raise SweepError(
            "registries: no candidate is a crystal of chains",
            given=[candidate.label for candidate in candidates],
            allowed="crystals of chains of M linked by O, e.g. NaTaOCl4",
            remedy="add {family: namocl4, phase: crystal}, or leave registries out",
        )


def _require_run_of_ensemble(sweep: Sweep, candidates: list[Candidate]) -> None:
    if sweep.ensemble is None:
        return
    if not any(candidate.phase == "glass" for candidate in candidates):
        raise SweepError(
            "ensemble: no candidate is a glass",
            given=[candidate.label for candidate in candidates],
            allowed="frames of amorphous MD",
            remedy="add a glass, or leave ensemble out",
        )
    kelvin = sweep.ensemble.temperature_k
    if kelvin is not None and kelvin not in sweep.md.temperatures_k:
        raise SweepError(
            "ensemble.temperature_k: there is no MD run at this temperature",
            given=f"{kelvin:g}",
            allowed=[f"{t:g}" for t in sweep.md.temperatures_k],
            remedy="add it to md.temperatures_k, or leave it out for the hottest",
        )
    n_asked = sweep.ensemble.n_frames
    n_stored = sweep.md.production_steps // sweep.md.trajectory_interval
    if len({place_of(share, n_stored) for share in shares(n_asked)}) < n_asked:
        raise SweepError(
            "ensemble.n_frames: frames would be the same ones of a run again and again",
            given=f"{n_asked} of {n_stored} stored frames",
            allowed="fewer than the frames of a production",
            remedy="lower ensemble.n_frames, lengthen md.production_steps, or store frames more "
            "often by md.trajectory_interval",
        )
