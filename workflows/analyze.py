"""The analyses of one trajectory, without a store."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from .. import __version__
from ..analysis.glass import Crystal
from ..analysis.passage import Passage, read_passage
from ..errors import HaloflowError, InputError, UnknownNameError
from ..makers.landscape import (
    host_paths_of,
    mean_cell_note,
    measure_hops,
    measure_landscape,
    measure_topology,
    path_stride,
)
from ..makers.nmr import NmrProtocol, with_relaxation
from ..makers.structure import (
    measure_environment,
    measure_octahedra,
    measure_speciation,
    measure_structure,
)
from ..makers.transport import measure_transport
from ..quantity import Quantity
from ..stores.documents import Model
from .trajectories import Trajectory, open_trajectory

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from ..analysis.density import DensityGrid
    from ..analysis.host_paths import HostPaths
    from ..stores.analyses import LandscapeAnalysis

SAMPLE_FRAMES = 200
_TOLERANCE = 0.01
_LARGEST_HEATING = 0.1


@dataclass(frozen=True)
class Request:
    """What to analyse, and how.

    Attributes
    ----------
    path
        The trajectory.
    mobile
        The mobile species.
    temperature_k, frame_ps
        Of the run; needed where the trajectory does not tell them.
    charges
        Element to charge in e: of the mobile species alone, or of all.
    lags
        Lags of the displacement curves, frames; ``None`` for all.
    only
        Names of the sections wanted; empty for all that the data allow.
    types
        Elements of the atom types of a LAMMPS dump that names none.
    nmr
        Quadrupole coupling and Larmor frequencies of 23Na, for T1.
    unwrapped
        Whether the positions are continuous already; our own trajectories always are.
    crystal
        Whether the sample is a crystal: its powder pattern has sharp reflections.
    reference
        Structure of a crystal whose powder pattern is to stand beside the sample's.
    """

    path: Path
    mobile: str = "Na"
    temperature_k: float | None = None
    frame_ps: float | None = None
    charges: Mapping[str, float] = field(default_factory=dict)
    lags: tuple[int, ...] | None = None
    only: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    nmr: NmrProtocol | None = None
    unwrapped: bool = False
    crystal: bool = False
    reference: Path | None = None


@dataclass(frozen=True)
class Run:
    """A trajectory that was read, with what it is called and how it ran."""

    request: Request
    trajectory: Trajectory
    passage: Passage
    temperature_k: float | None
    frame_ps: float | None

    @property
    def unwrapped(self) -> bool:
        """Whether positions are continuous, as the file or the user tells."""
        return self.trajectory.unwrapped or self.request.unwrapped

    def require(self, name: str, value: float | None) -> float:
        """Return a number that the section needs, or say which option gives it."""
        return _require(self.request, name, value)

    @cached_property
    def paths(self) -> HostPaths:
        """Return where the mobile ions are, made once."""
        return host_paths_of(self.passage, self.trajectory.blocks, unwrapped=self.unwrapped)

    @cached_property
    def landscape(self) -> tuple[LandscapeAnalysis, DensityGrid]:
        """Return the landscape and the density behind it, made once."""
        temperature_k = self.require("temperature", self.temperature_k)
        return measure_landscape(self.paths, temperature_k, note=mean_cell_note(self.passage))


@dataclass(frozen=True)
class TrajectoryAnalysis:
    """What was found.

    Attributes
    ----------
    trajectory
        Facts about the trajectory: numbers with units in their names.
    sections
        Name to result.
    left_out
        Name of a section that the data do not allow to the reason.
    """

    trajectory: dict[str, Any]
    sections: dict[str, Model]
    left_out: dict[str, str]


def _transport(run: Run) -> Model:
    return measure_transport(
        run.passage,
        run.request.mobile,
        frame_ps=run.require("frame-ps", run.frame_ps),
        temperature_k=run.temperature_k,
        charges=run.request.charges,
        lags=run.request.lags,
    )


def _structure(run: Run) -> Model:
    path = run.request.reference
    references = {} if path is None else {path.name: _crystal(path)}
    return measure_structure(run.passage, crystal=run.request.crystal, references=references)


def _crystal(path: Path) -> Crystal:
    """Return the first structure of a file."""
    trajectory = open_trajectory(path)
    positions, cells = next(trajectory.blocks())
    return Crystal(positions[0], cells[0], tuple(trajectory.species.tolist()))


def _landscape(run: Run) -> Model:
    return run.landscape[0]


def _hops(run: Run) -> Model:
    found = measure_hops(
        run.paths,
        run.landscape[1],
        frame_ps=path_stride(run.passage) * run.require("frame-ps", run.frame_ps),
    )
    return with_relaxation(found, run.request.nmr)


SECTIONS: dict[str, Callable[[Run], Model]] = {
    "transport": _transport,
    "structure": _structure,
    "speciation": lambda run: measure_speciation(run.passage),
    "octahedra": lambda run: measure_octahedra(run.passage),
    "environment": lambda run: measure_environment(run.passage),
    "landscape": _landscape,
    "hops": _hops,
    "topology": lambda run: measure_topology(run.passage),
}
_ALWAYS = ("transport", "structure")
_NEED_TIME = ("transport", "hops")
_NEED_TEMPERATURE = ("landscape", "hops")


def analyze(
    request: Request, on_progress: Callable[[str, int, int | None], None] | None = None
) -> TrajectoryAnalysis:
    """Read a trajectory once and analyse it.

    Parameters
    ----------
    request
        What to analyse.
    on_progress
        Called with what is at work, the frames read and their number, where that is known.

    Raises
    ------
    InputError
        For a file that cannot be read, an unknown section, or a number that is needed.
    AnalysisError
        For data that do not allow an analysis asked for by name, or any at all.
    """
    _check(request)
    return analyze_trajectory(open_trajectory(request.path, request.types), request, on_progress)


def analyze_trajectory(
    trajectory: Trajectory,
    request: Request,
    on_progress: Callable[[str, int, int | None], None] | None = None,
) -> TrajectoryAnalysis:
    """Analyse a trajectory that is open; see :func:`analyze`."""
    temperature_k = _temperature_k(request, trajectory)
    frame_ps = _frame_ps(request, trajectory)
    for name in request.only or _ALWAYS:
        if name in _NEED_TIME:
            _require(request, "frame-ps", frame_ps)
        if name in _NEED_TEMPERATURE:
            _require(request, "temperature", temperature_k)
    passage = read_passage(
        trajectory.blocks(),
        trajectory.species.tolist(),
        request.mobile,
        unwrapped=trajectory.unwrapped or request.unwrapped,
        n_sample=SAMPLE_FRAMES,
        on_progress=None
        if on_progress is None
        else lambda n_frames: on_progress("reading", n_frames, trajectory.n_frames),
    )
    run = Run(request, trajectory, passage, temperature_k, frame_ps)
    sections, left_out = {}, {}
    for name in request.only or SECTIONS:
        if on_progress is not None:
            on_progress(name, run.passage.n_frames, run.passage.n_frames)
        try:
            sections[name] = SECTIONS[name](run)
        except HaloflowError as error:
            if name in request.only or name in _ALWAYS:
                raise
            left_out[name] = str(error)
    return TrajectoryAnalysis(_facts(run, trajectory), sections, left_out)


def _check(request: Request) -> None:
    for name in request.only:
        if name not in SECTIONS:
            raise UnknownNameError.of("section", name, SECTIONS)
    for name in ("temperature_k", "frame_ps"):
        value = getattr(request, name)
        if value is not None and not (value > 0 and math.isfinite(value)):
            raise InputError(f"{name} must be positive", given=value, allowed="a number above 0")


def _temperature_k(request: Request, trajectory: Trajectory) -> float | None:
    own, asked = trajectory.temperature_k, request.temperature_k
    if own is not None and asked is not None and abs(asked - own) > _LARGEST_HEATING * own:
        raise InputError(
            "the temperature does not agree with the trajectory",
            given=f"{asked:g} K",
            allowed=f"about {own:.0f} K, the mean of the run",
            remedy="leave --temperature out",
        )
    return asked or own


def _frame_ps(request: Request, trajectory: Trajectory) -> float | None:
    own, asked = trajectory.frame_ps, request.frame_ps
    if own is not None and asked is not None and abs(asked - own) > _TOLERANCE * own:
        raise InputError(
            "frame_ps does not agree with the trajectory",
            given=f"{asked:g} ps",
            allowed=f"{own:g} ps, as stored with the frames",
            remedy="leave --frame-ps out",
        )
    return own or asked


def _require(request: Request, name: str, value: float | None) -> float:
    """Return a number that a section needs, or say which option gives it."""
    if value is None:
        raise InputError(
            f"this analysis needs the {name.replace('-', ' ')}",
            given=request.path.name,
            remedy=f"pass --{name}",
        )
    return value


def _facts(run: Run, trajectory: Trajectory) -> dict[str, Any]:
    names = trajectory.species.tolist()
    n_frames = run.passage.n_frames
    return {
        "path": str(trajectory.path),
        "n_frames": n_frames,
        "n_atoms": len(names),
        "species": {name: names.count(name) for name in dict.fromkeys(names)},
        "volume_a3": run.passage.volume_a3,
        "temperature_k": run.temperature_k,
        "frame_ps": run.frame_ps,
        "duration_ps": None if run.frame_ps is None else (n_frames - 1) * run.frame_ps,
        "unwrapped_by_nearest_image": not run.unwrapped,
    }


def as_json(analysis: TrajectoryAnalysis) -> dict[str, Any]:
    """Return plain values: quantities with value, sd, ci95, status and note, no NaN."""
    body = {
        "haloflow_version": __version__,
        "trajectory": analysis.trajectory,
        **{name: _plain(section) for name, section in analysis.sections.items()},
        "left_out": analysis.left_out,
    }
    if "transport" in body:
        transport = body["transport"]
        transport["diffusivity_cm2_s"]["window_ps"] = transport.pop("window_ps")
    finite: dict[str, Any] = _finite(body)
    return finite


def _plain(value: Any) -> Any:  # noqa: ANN401  (JSON has no narrower type)
    if isinstance(value, Quantity):
        known = value.lower is not None or value.upper is not None
        return {
            "value": value.value,
            "sd": value.sd,
            "ci95": [value.lower, value.upper] if known else None,
            "status": value.status.value,
            "note": value.note,
        }
    if isinstance(value, Model):
        return {name: _plain(getattr(value, name)) for name in type(value).model_fields}
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value


def _finite(value: Any) -> Any:  # noqa: ANN401  (idem)
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
