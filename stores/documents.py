"""The documents that steps return: versioned, typed, with units in the field names.

Arrays of more than a few hundred numbers stay in files; documents hold a `FileReference`.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pymatgen.core import Structure

from ..quantity import Quantity, Status
from ..systems.declarations import PublishedValue
from .domain_report import DomainReport
from .learned_runs import OfSeveralModels

SCHEMA_VERSION = 1


class Model(BaseModel):
    """Base of all documents and their parts: unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", arbitrary_types_allowed=True)


class Release(Model):
    """That a file is no longer kept: by which rule, who applied it, and when."""

    rule: str
    by: str
    at: datetime


class FileReference(Model):
    """A file of a step, relative to the store's files folder; where it lies is not said."""

    path: str
    sha256: str
    n_bytes: int
    role: str = Field(description="trajectory, checkpoint, thermo, structure...")
    n_frames: int | None = Field(None, description="Of a chunk of a trajectory.")
    released: Release | None = None


class PotentialRecord(Model):
    """Which potential made a number, exactly."""

    name: str
    level: str = Field(description="Level of theory the potential stands for.")
    package: str
    package_version: str
    weights_sha256: str


class Provenance(Model):
    """Where a document comes from."""

    haloflow_version: str
    code_version: int
    python_version: str
    packages: dict[str, str] = Field(default_factory=dict)
    potential: PotentialRecord | None = None
    parents: list[str] = Field(default_factory=list, description="Identities of input steps.")
    parameters: dict[str, Any] = Field(default_factory=dict)
    threads: int = 1
    device: str = "cpu"
    runner: str = Field("ase", description="What evaluated the potential: ase or torch-sim.")
    started_at: datetime = Field(default_factory=lambda: datetime.now(UTC))
    wall_s: float = 0.0
    n_resumes: int = 0


class StepDocument(Model):
    """What every step returns."""

    schema_version: int = SCHEMA_VERSION
    kind: str
    identity: str
    status: Status = Status.OK
    note: str = ""
    provenance: Provenance
    files: list[FileReference] = Field(default_factory=list)


class OxygenStates(Model):
    """Oxidation states of oxygen, read off the O-O bonds of a structure."""

    n_oxide: int
    n_peroxide: int
    n_superoxide: int = Field(0, description="O of isolated O2 units shorter than a peroxide's.")
    peroxide_fraction: float


class RelaxDocument(StepDocument):
    """A relaxed structure and its energy."""

    kind: Literal["relax"] = "relax"
    structure: Structure
    level: str
    energy_ev_per_atom: Quantity
    max_force_ev_a: float
    max_stress_gpa: float | None = None
    n_steps: int
    density_g_cm3: float
    oxygen: OxygenStates | None = None


class StaticDocument(StepDocument):
    """The energy of a structure as it is."""

    kind: Literal["static"] = "static"
    structure: Structure
    level: str
    energy_ev_per_atom: Quantity
    max_force_ev_a: float
    max_stress_gpa: float | None = None


class HullProduct(Model):
    """One product of a decomposition or reaction."""

    phase_id: str
    formula: str
    amount: float = Field(description="Fraction of atoms (decomposition) or formula units.")


class HullEntry(Model):
    """A phase on or near the hull, for plots."""

    phase_id: str
    formula: str
    role: str
    energy_ev_per_atom: float
    formation_energy_ev_per_atom: float
    energy_above_hull_ev_per_atom: float


class RedoxState(Model):
    """What a candidate becomes between two voltages, in equilibrium."""

    mobile_per_formula: float = Field(description="Mobile ions per formula unit.")
    lower_v: float
    upper_v: float | None = Field(description="None above the last voltage.")
    products: list[HullProduct]


class StabilityWindow(Model):
    """Voltages, against the metal, between which no mobile ion is taken up or given off."""

    mobile: str
    reduction_limit_v: Quantity
    oxidation_limit_v: Quantity
    reduction_products: list[HullProduct]
    oxidation_products: list[HullProduct]
    is_metastable: bool = Field(description="The window is that of the decomposition's phases.")
    states: list[RedoxState]


class SplitOff(Model):
    """A candidate after an amount of salt has left it, the rest in equilibrium."""

    amount: float
    energy_ev_per_atom: float = Field(description="Relative to the candidate.")
    products: list[HullProduct]


class Segregation(Model):
    """Whether a salt such as NaCl leaves a candidate, and what is gained by it."""

    salt: str
    largest_amount: float = Field(description="Formula units of salt per formula unit.")
    equilibrium_amount: float = Field(description="In the candidate's equilibrium mixture.")
    driving_force_ev_per_atom: Quantity | None = Field(
        description="Gained by that split; none where the mixture holds no salt."
    )
    splits: list[SplitOff]


class HullDocument(StepDocument):
    """Stability of a candidate against competing phases at one level of theory."""

    kind: Literal["hull"] = "hull"
    formula: str
    level: str
    energy_ev_per_atom: float
    formation_energy_ev_per_atom: float
    energy_above_hull_ev_per_atom: Quantity
    decomposition: list[HullProduct]
    reaction_energy_ev_per_atom: Quantity
    reaction_components: list[HullProduct]
    energy_above_crystal_ev_per_atom: Quantity | None = None
    crystal_phase_id: str | None = None
    oxidation_states: dict[str, list[float]]
    roles: list[str]
    entries: list[HullEntry]
    window: StabilityWindow | None = None
    segregation: Segregation | None = None


class GlassEvidence(Model):
    """Why a sample counts as molten or as a glass."""

    holds: bool
    criterion: str
    numbers: dict[str, float]


class MeltQuenchDocument(StepDocument):
    """A glass made by melting and quenching, with its history."""

    kind: Literal["melt_quench"] = "melt_quench"
    structure: Structure
    level: str
    seed: int
    energy_ev_per_atom: Quantity
    melt_temperature_k: float
    final_temperature_k: float
    quench_rate_k_s: float
    density_g_cm3: Quantity
    density_blocks_g_cm3: list[float]
    density_crystal_g_cm3: float | None = None
    density_components_g_cm3: float
    density_ratio: float = Field(description="Glass over crystal, else over component sum.")
    density_warning: str = ""
    melted: GlassEvidence
    amorphous: GlassEvidence
    oxygen: OxygenStates | None = None
    bonds: dict[str, int] = Field(default_factory=dict, description="Counts, e.g. Cl-Cl, O-O.")
    domain: DomainReport | None = None


class MDDocument(OfSeveralModels, StepDocument):
    """One molecular dynamics run at one temperature."""

    kind: Literal["md"] = "md"
    level: str
    ensemble: str
    temperature_k: float
    temperature_mean_k: float | None = None
    timestep_fs: float
    n_steps: int
    n_steps_target: int
    seed: int
    density_g_cm3: Quantity
    trajectory_interval_steps: int
    structure: Structure
    domain: DomainReport | None = None


class MsdCurve(Model):
    """A thinned mean squared displacement, for plots."""

    temperature_k: float
    lag_ps: list[float]
    msd_a2: list[float]
    window_ps: tuple[float, float] | None = None


class TransportPoint(Model):
    """Transport at one temperature."""

    temperature_k: float
    diffusivity_cm2_s: Quantity
    sigma_ms_cm: Quantity
    n_effective_hops: float
    n_mobile: int
    loglog_slope: float | None = None
    duration_ps: float


class RdfCurve(Model):
    """A partial pair distribution function."""

    pair: str
    temperature_k: float
    r_a: list[float]
    g: list[float]


class DiffusionDocument(StepDocument):
    """Transport over temperature, and its extrapolation to 300 K."""

    kind: Literal["diffusion"] = "diffusion"
    level: str
    mobile: str
    charge: float
    points: list[TransportPoint]
    activation_energy_ev: Quantity
    sigma_300k_ms_cm: Quantity
    glass_transition_k: Quantity | None = None
    msd: list[MsdCurve]
    rdf: list[RdfCurve]


class LiteratureValue(PublishedValue, Model):
    """A published number and the phases that were present."""


class CandidateDocument(Model):
    """A candidate of a sweep and the steps that answer for it."""

    schema_version: int = SCHEMA_VERSION
    candidate_id: str
    label: str
    family: str
    formula: str
    phase: Literal["crystal", "glass"]
    phase_id: str | None = None
    phase_note: str = Field("", description="E.g. 'searched model'; shown with the candidate.")
    variables: dict[str, float] = Field(default_factory=dict)
    components: dict[str, float]
    units: dict[str, int] = Field(default_factory=dict, description="Of a glass as it is made.")
    variables_made: dict[str, float] = Field(
        default_factory=dict, description="Values of the sweep variables that these units have."
    )
    composition_deviation: float = Field(
        0.0, description="Largest difference of a component's share of the units from the asked."
    )
    levels: dict[str, str] = Field(description="Stage to level of theory.")
    sweeps: list[str] = Field(default_factory=list)
    n_atoms: int
    n_mobile: int
    steps: dict[str, str] = Field(description="Step name, e.g. 'md-seed1-600K', to identity.")
    screen: dict[str, float] = Field(default_factory=dict)
    literature: list[LiteratureValue] = Field(default_factory=list)


class StepState(Model):
    """State of one step, for status and reports."""

    name: str
    kind: str
    identity: str
    state: Literal["waiting", "running", "done", "failed", "skipped"]
    status: Status | None = None
    note: str = ""
    wall_s: float = 0.0
    files: list[FileReference] = Field(default_factory=list)
    potential: PotentialRecord | None = None


class CandidateSummary(Model):
    """One row of the ranked table: everything known about a candidate."""

    schema_version: int = SCHEMA_VERSION
    candidate_id: str
    label: str
    family: str
    formula: str
    chemsys: str
    elements: list[str] = Field(default_factory=list, description="Those of `chemsys`.")
    phase: Literal["crystal", "glass"]
    phase_id: str | None = None
    phase_note: str = ""
    variables: dict[str, float] = Field(default_factory=dict)
    levels: dict[str, str]
    sweeps: list[str] = Field(default_factory=list)
    n_atoms: int
    n_mobile: int
    n_seeds: int = 1
    energy_above_hull_ev_per_atom: Quantity
    energy_above_crystal_ev_per_atom: Quantity | None = None
    ensemble_above_hull_ev_per_atom: Quantity | None = None
    reaction_energy_ev_per_atom: Quantity
    decomposition: list[HullProduct] = Field(default_factory=list)
    reduction_limit_v: Quantity | None = None
    oxidation_limit_v: Quantity | None = None
    sigma_300k_ms_cm: Quantity
    sigma_collective_300k_ms_cm: Quantity | None = None
    haven_ratio: Quantity | None = None
    anisotropy: Quantity | None = Field(None, description="Fastest over slowest direction.")
    bridging_fraction: Quantity | None = Field(None, description="Of O, or S where there is none.")
    mean_chain_length: Quantity | None = None
    t1_ms: Quantity | None = None
    corner_barrier_chalcogenide_ev: Quantity | None = None
    corner_barrier_halide_ev: Quantity | None = None
    activation_energy_ev: Quantity
    diffusivity_cm2_s: dict[str, Quantity] = Field(
        default_factory=dict, description="Keyed by temperature, e.g. '600K'."
    )
    density_g_cm3: Quantity | None = None
    density_ratio: float | None = None
    quench_rate_k_s: float | None = None
    melted: bool | None = None
    amorphous: bool | None = None
    peroxide_fraction: float | None = None
    passes_screen: bool | None = None
    warnings: list[str] = Field(default_factory=list)
    steps: list[StepState] = Field(default_factory=list)
    literature: list[LiteratureValue] = Field(default_factory=list)
    complete: bool = False
    wall_s: float = 0.0
    last_updated: datetime = Field(default_factory=lambda: datetime.now(UTC))

    @model_validator(mode="after")
    def _elements(self) -> Self:
        self.elements = self.chemsys.split("-")
        return self
