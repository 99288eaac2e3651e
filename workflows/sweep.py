"""The sweep file: what to screen, at which level of theory, how long, and what passes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from ..engines.vasp_levels import is_vasp
from ..errors import InputError, SweepError
from ..makers.ensemble import EnsembleProtocol
from ..makers.finetune_protocol import FineTuneProtocol
from ..makers.neb_protocol import NebProtocol
from ..makers.nmr import NmrProtocol
from ..makers.protocol import MeltQuenchProtocol
from ..makers.student_protocol import StudentProtocol
from ..stores.retention import Retention
from ..stores.trajectory_places import parse_place
from ..systems.mixture import DEFAULT_N_MOBILE
from .validation import sweep_error

if TYPE_CHECKING:
    from pathlib import Path

Stage = Literal["relax", "hull", "melt_quench", "md"]
Phase = Literal["crystal", "glass"]
ResourceStage = Literal["relax", "melt_quench", "md", "analysis"]
DEFAULT_STATIC_LEVEL = "chgnet-r2scan"
DEFAULT_DYNAMIC_LEVEL = "chgnet-r2scan-d3"


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Stages(_Section):
    """Level of theory of each stage; the name of a potential is a level.

    `auto` in a dynamic stage is the fastest trained model of the store that covers the candidate.
    """

    relax: str = Field(DEFAULT_STATIC_LEVEL, description="Relaxation that feeds the hull.")
    hull: str = Field(DEFAULT_STATIC_LEVEL, description="Energies on the convex hull.")
    melt_quench: str = Field(DEFAULT_DYNAMIC_LEVEL, description="Melt, quench, settle; or auto.")
    md: str = Field(DEFAULT_DYNAMIC_LEVEL, description="MD for transport; or auto.")


class GridRange(_Section):
    """An evenly spaced sweep of x, both ends included."""

    start: float = Field(description="First value.")
    stop: float = Field(description="Last value, if a whole number of steps leads there.")
    step: float = Field(gt=0, description="Distance between values.")

    @model_validator(mode="after")
    def _ordered(self) -> GridRange:
        if self.stop < self.start:
            raise ValueError(f"stop {self.stop} lies below start {self.start}")
        return self

    def values(self) -> list[float]:
        """Return the values, rounded to 1e-9."""
        count = int((self.stop - self.start) / self.step + 1e-9) + 1
        return [round(self.start + index * self.step, 9) for index in range(count)]


class SystemEntry(_Section):
    """One line of chemistry: a family, a crystal of the library, or own components."""

    family: str | None = Field(None, description="A family of `haloflow systems`.")
    crystal: str | None = Field(None, description="A phase of the library, by id.")
    components: dict[str, float | str] | None = Field(
        None, description="Formula to amount; 'x', '1-x'... may stand for an amount."
    )
    oxidation_states: dict[str, dict[str, float]] | None = Field(
        None, description="Per component that haloflow does not know: element to state."
    )
    volumes_a3: dict[str, Annotated[float, Field(gt=0)]] | None = Field(
        None, description="Per component without a phase in the library: A^3 per formula unit."
    )
    x: list[float] | GridRange | Literal["published"] | None = Field(
        None, description="Values of the sweep variable; default: the published ones."
    )
    former: list[str] | None = Field(None, description="Network formers M of the family to take.")
    phase: Phase | list[Phase] | None = Field(
        None, description="crystal, glass or both; default: all the family has."
    )
    until: Literal["relax"] | None = Field(
        None,
        description="Relax a crystal in its primitive cell and leave the rest out, whatever it "
        "holds; default: all stages.",
    )

    @model_validator(mode="after")
    def _one_kind(self) -> SystemEntry:
        kinds = [k for k in ("family", "crystal", "components") if getattr(self, k) is not None]
        if len(kinds) != 1:
            raise ValueError(
                "give exactly one of family, crystal, components; "
                f"this entry gives {' and '.join(kinds) or 'none'}"
            )
        return self

    def phases(self) -> list[Phase] | None:
        """Return the phases asked for, or ``None`` for all there are."""
        if self.phase is None or isinstance(self.phase, list):
            return self.phase
        return [self.phase]


class Size(_Section):
    """How large the simulated samples are."""

    glass_n_mobile: int = Field(
        DEFAULT_N_MOBILE, ge=1, description="Mobile ions in a glass, at least."
    )
    glass_n_atoms: int | None = Field(None, ge=8, description="Atoms in a glass; overrides.")
    crystal_n_mobile: int = Field(
        DEFAULT_N_MOBILE, ge=1, description="Mobile ions in a crystal, at least."
    )
    crystal_max_atoms: int = Field(400, ge=2, description="Largest supercell of a crystal.")


class RelaxSettings(_Section):
    """Relaxation of cell and atoms."""

    fmax_ev_a: float = Field(0.05, gt=0, description="Largest force at convergence, eV/A.")
    max_steps: int = Field(500, ge=1, description="Steps until it counts as unconverged.")


class HullSettings(_Section):
    """Which phases of the library compete."""

    include_hypothetical: bool = Field(
        default=False, description="Let phases without an experimental report compete."
    )
    phases: str | None = Field(
        None,
        description="Snapshot of `haloflow phases fetch`, whose phases compete in place of the "
        "library's; from the sweep file's folder.",
    )


class TetherSection(_Section):
    """Springs that hold species at their places in production, E = alpha dr^2 / 2."""

    species: list[str] = Field(min_length=1, description="Chemical symbols, e.g. [Ta].")
    alpha_ev_a2: float = Field(gt=0, description="Spring constant in eV/A^2.")


class MDSection(_Section):
    """Molecular dynamics for transport: NPT equilibration, then NVT production."""

    temperatures_k: list[Annotated[float, Field(gt=0, le=5000)]] = Field(
        default=[500.0, 600.0, 700.0, 800.0, 900.0],
        min_length=1,
        description="One run at each, for glasses and crystals.",
    )
    crystal_temperatures_k: list[Annotated[float, Field(gt=0, le=5000)]] | None = Field(
        None, min_length=1, description="For crystals; default: temperatures_k."
    )
    timestep_fs: float = Field(2.0, gt=0, le=10, description="Time step.")
    equilibration_steps: int = Field(10_000, ge=0, description="NPT steps before production.")
    production_steps: int = Field(500_000, ge=1, description="NVT steps that are analysed.")
    tether: TetherSection | None = Field(None, description="Springs on species; default: none.")
    trajectory_interval: int = Field(50, ge=1, description="Steps between stored frames.")
    seed: int = Field(1, ge=0, description="Of start velocities and thermostat noise.")

    @field_validator("temperatures_k", "crystal_temperatures_k")
    @classmethod
    def _distinct(cls, temperatures: list[float] | None) -> list[float] | None:
        if len(set(temperatures or ())) < len(temperatures or ()):
            raise ValueError("a temperature stands twice")
        return temperatures


class StageResources(_Section):
    """What the jobs of a stage get in a queue; what is left out comes from the estimate."""

    cores: int | None = Field(None, ge=1, description="Processors; set the threads alike.")
    gpus: int | None = Field(None, ge=0, description="GPUs.")
    memory_gb: float | None = Field(None, gt=0, description="Memory; default: the queue's.")
    walltime_h: float | None = Field(
        None, gt=0, description="Time limit; melts and MD go on after it in a job of their own."
    )
    replicas_per_gpu: int | None = Field(
        None, ge=1, description="Jobs that share a GPU in one allocation; default: by memory."
    )


class Budget(_Section):
    """What the sweep may cost; `run` refuses a plan above it."""

    core_hours: float | None = Field(None, gt=0, description="Processor time, one thread.")
    disk_gb: float | None = Field(None, gt=0, description="Trajectories and documents.")


class Screen(_Section):
    """What passes; the ranking is by the lower bound of sigma(300 K)."""

    energy_above_hull_ev_per_atom: float = Field(0.1, description="Largest energy above hull.")
    sigma_300k_ms_cm: float | None = Field(
        None, ge=0, description="Least lower end of the interval of sigma(300 K); default: none."
    )


class Sweep(_Section):
    """A sweep file. Unknown keys are refused."""

    name: str = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$",
        description="Letters, digits, dot, underscore, hyphen.",
    )
    description: str = Field("", description="For readers.")
    level: str | None = Field(None, description="Shorthand: one level for every stage.")
    stages: Stages = Field(default_factory=Stages, description="Level of theory per stage.")
    systems: list[SystemEntry] = Field(min_length=1, description="What to screen.")
    size: Size = Field(default_factory=Size, description="How large the samples are.")
    seeds: list[Annotated[int, Field(ge=0)]] = Field(
        default=[1, 2, 3], min_length=1, description="One independent glass per seed."
    )
    relax: RelaxSettings = Field(default_factory=RelaxSettings, description="Relaxation.")
    hull: HullSettings = Field(default_factory=HullSettings, description="Competing phases.")
    melt_quench: MeltQuenchProtocol = Field(
        default_factory=MeltQuenchProtocol, description="How glasses are made."
    )
    md: MDSection = Field(default_factory=MDSection, description="Molecular dynamics.")
    registries: bool = Field(
        default=False,
        description="Relax the chain registries of crystals of corner-sharing chains, at the "
        "level of relax.",
    )
    nmr: NmrProtocol | None = Field(None, description="T1 of 23Na; default: none.")
    neb: NebProtocol | None = Field(
        None, description="Barriers of single hops by nudged elastic bands; default: none."
    )
    ensemble: EnsembleProtocol | None = Field(
        None, description="Energies above hull of relaxed frames of glasses; default: none."
    )
    fine_tune: FineTuneProtocol | None = Field(
        None, description="A foundation potential fine-tuned on the sweep's runs; default: none."
    )
    student: StudentProtocol | None = Field(
        None, description="A NEP student of the sweep's teacher; default: none."
    )
    budget: Budget = Field(default_factory=Budget, description="Limits of cost.")
    resources: dict[ResourceStage, StageResources] = Field(
        default_factory=dict, description="Per stage, of jobs in a queue; see `haloflow submit`."
    )
    screen: Screen = Field(default_factory=Screen, description="What passes.")
    trajectory_store: str | None = Field(
        None,
        description="Where all machines find trajectories: a folder that they share, `gridfs`, or "
        "`s3://bucket/prefix`; default: where the store's went so far, at first its folder of "
        "files.",
    )

    retention: Retention | None = Field(
        None,
        description="Which trajectories `haloflow db prune` need not keep; default: all are kept.",
    )

    def levels(self) -> dict[str, str]:
        """Return the levels that the file names, by field; `auto` may be among them."""
        found = {f"stages.{stage}": level for stage, level in self.stages.model_dump().items()}
        for section, field in (
            ("neb", "level"),
            ("ensemble", "level"),
            ("fine_tune", "teacher"),
            ("fine_tune", "parent"),
            ("student", "teacher"),
        ):
            level = getattr(getattr(self, section), field, None)
            if level is not None:
                found[f"{section}.{field}"] = level
        if self.fine_tune is not None and self.fine_tune.mace is not None:
            del found["fine_tune.parent"]
        return found

    @field_validator("trajectory_store")
    @classmethod
    def _known_place(cls, text: str | None) -> str | None:
        if text is None:
            return None
        try:
            return parse_place(text).text
        except InputError as error:
            raise ValueError(str(error)) from None

    @model_validator(mode="before")
    @classmethod
    def _shorthands(cls, data: Any) -> Any:  # noqa: ANN401  (raw input of a validator)
        if not isinstance(data, dict):
            return data
        data = dict(data)
        if isinstance(data.get("level"), str):
            stages = data.get("stages") or {}
            if isinstance(stages, dict):
                every = dict.fromkeys(Stages.model_fields, data["level"])
                data["stages"] = every | stages
        neb, stages = data.get("neb"), data.get("stages")
        if isinstance(neb, dict) and "into" not in neb:
            level = neb.get("level") or (stages.get("md") if isinstance(stages, dict) else None)
            if isinstance(level, str) and is_vasp(level):
                data["neb"] = neb | {"into": "empty"}  # a neutral vacancy leaves a hole in DFT
        return data

    @field_validator("seeds", mode="before")
    @classmethod
    def _number_of_seeds(cls, seeds: object) -> object:
        if isinstance(seeds, list):
            return seeds
        if not isinstance(seeds, int) or isinstance(seeds, bool) or seeds < 1:
            raise ValueError("give a number of seeds from 1 on, or a list of them")
        return list(range(1, seeds + 1))

    @field_validator("seeds")
    @classmethod
    def _distinct_seeds(cls, seeds: list[int]) -> list[int]:
        if len(set(seeds)) < len(seeds):
            raise ValueError("a seed stands twice")
        return seeds


def parse_sweep(data: object, source: str = "sweep") -> Sweep:
    """Validate `data` read from `source`.

    Raises
    ------
    SweepError
        Listing every wrong field with its value, what is allowed and what to do.
    """
    if not isinstance(data, dict):
        raise SweepError(
            f"{source} holds no mapping",
            given=type(data).__name__,
            allowed="keys " + ", ".join(Sweep.model_fields),
            remedy="start from examples/quickstart.yaml",
        )
    try:
        return Sweep.model_validate(data)
    except ValidationError as error:
        raise sweep_error(error, Sweep, source) from None


def load_sweep(path: Path) -> Sweep:
    """Read the sweep file at `path`.

    Raises
    ------
    SweepError
        If the file is missing, is not YAML, or does not validate.
    """
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not text in UTF-8"
        raise SweepError(
            "the sweep file cannot be read",
            given=f"{path} ({reason})",
            remedy="give the path of a YAML file, e.g. examples/quickstart.yaml",
        ) from None
    except yaml.YAMLError as error:
        raise SweepError(
            f"{path.name} is not valid YAML",
            given=" ".join(str(error).split()),
            remedy="mend the line named; indent with spaces, one '- ' per list item",
        ) from None
    sweep = parse_sweep(data, path.name)
    if sweep.hull.phases is None:
        return sweep
    phases = str((path.parent / sweep.hull.phases).absolute())
    return sweep.model_copy(update={"hull": sweep.hull.model_copy(update={"phases": phases})})
