"""What analyses of a trajectory find, as documents and files hold it; units in the names.

Curves are lists of equal length; long ones are thinned before they come into a document.
Keys of pairs name the centre first.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from ..quantity import Quantity  # noqa: TC001  (pydantic reads it at run time)
from .documents import Model, StepDocument


class CurveAnalysis(Model):
    """A curve with its standard error."""

    x: list[float]
    y: list[float]
    sd: list[float | None] = Field(default_factory=list, description="Empty where unknown.")


class TransportAnalysis(Model):
    """How the mobile ions move at one temperature, alone and in concert."""

    mobile: str
    charge: float = Field(description="Of the mobile ion, e.")
    charge_model: str = Field("", description="Which displacements make sigma.")
    temperature_k: float | None
    n_mobile: int
    volume_a3: float
    frame_ps: float
    n_frames: int
    lags_frames: list[int]
    lags_ps: list[float]
    msd_self_a2: list[float]
    msd_collective_a2: list[float] = Field(description="|sum of displacements|^2 / n_mobile.")
    diffusivity_cm2_s: Quantity
    window_ps: tuple[float, float] | None
    loglog_slope: float | None
    n_effective_hops: float
    collective_diffusivity_cm2_s: Quantity | None = None
    collective_window_ps: tuple[float, float] | None = None
    sigma_ne_ms_cm: Quantity | None = Field(None, description="Of ions that move alone.")
    sigma_ms_cm: Quantity | None = Field(None, description="With their correlations.")
    haven_ratio: Quantity | None = Field(None, description="sigma_ne / sigma.")
    principal_axes: list[list[float]] = Field(
        default_factory=list, description="Of the diffusion tensor, unit vectors, slowest first."
    )
    principal_diffusivities_cm2_s: list[Quantity] = Field(default_factory=list)
    principal_sigmas_ms_cm: list[Quantity] = Field(
        default_factory=list, description="Collective, along the principal axes of diffusion."
    )
    msd_by_species_a2: dict[str, CurveAnalysis] = Field(
        default_factory=dict, description="Against the lag in ps, relative to the framework."
    )
    cross_displacement_a2: dict[str, CurveAnalysis] = Field(
        default_factory=dict,
        description="<S_a . S_b> / n_mobile against the lag in ps, in the barycentric frame; "
        "like pairs hold the self terms too.",
    )
    onsager_per_j_m_s: dict[str, Quantity] = Field(
        default_factory=dict, description="L_ab in the barycentric frame, 1/(J m s)."
    )


class RdfAnalysis(Model):
    """A pair distribution function."""

    r_a: list[float]
    g: list[float]
    running_coordination: list[float] = Field(
        default_factory=list, description="Mean number of the second species within r of a first."
    )


class CoordinationAnalysis(Model):
    """Mean number of partners up to the first minimum of g(r)."""

    n: float
    sd: float | None = None
    cutoff_a: float


class PatternAnalysis(Model):
    """A powder pattern, Cu K-alpha."""

    two_theta_deg: list[float]
    intensity_e2_per_atom: list[float]


class ScatteringAnalysis(Model):
    """What X-rays would see."""

    q_inv_a: list[float]
    s: list[float]
    r_a: list[float]
    g_inv_a2: list[float] = Field(description="Reduced pair distribution function G(r).")
    q_max_inv_a: float
    window: str
    method: str
    two_theta_deg: list[float]
    intensity_e2_per_atom: list[float] = Field(description="Powder pattern, Cu K-alpha.")
    crystals: dict[str, PatternAnalysis] = Field(
        default_factory=dict, description="Patterns to compare with: crystals at rest, by name."
    )


class StructureAnalysis(Model):
    """Pair structure and scattering."""

    n_frames: int
    cell_lengths_a: list[Quantity]
    cell_angles_deg: list[Quantity]
    rdf: dict[str, RdfAnalysis]
    coordination: dict[str, CoordinationAnalysis]
    scattering: ScatteringAnalysis | None = None


class PopulationAnalysis(Model):
    """A share, and what it would be with shorter and longer cut-offs."""

    value: float
    sd: float | None = None
    at_shorter: float
    at_longer: float


class ChainAnalysis(Model):
    """Connected sets of network formers."""

    rule: str
    lengths: dict[str, PopulationAnalysis] = Field(description="Formers in a set to its share.")
    endless: PopulationAnalysis
    mean_length: PopulationAnalysis | None = Field(description="Of those that end.")


class SpeciationAnalysis(Model):
    """Polyhedra around network formers and how they are joined."""

    cutoffs_a: dict[str, float]
    cutoff_shift_a: float
    n_frames: int
    populations: dict[str, PopulationAnalysis] = Field(description="E.g. TaO2Cl4.")
    coordination: dict[str, PopulationAnalysis]
    roles: dict[str, dict[str, PopulationAnalysis]] = Field(description="Bridging or not.")
    sharing: dict[str, PopulationAnalysis] = Field(description="Neighbours by corner, edge, face.")
    links: dict[str, PopulationAnalysis]
    chains_by_distance: ChainAnalysis
    chains_by_bridges: ChainAnalysis
    retention: dict[str, PopulationAnalysis] = Field(description="Ligands that stay.")
    retention_distance_a: float
    anion_bonds: dict[str, PopulationAnalysis | float] = Field(
        description="Mean number of O-O, Cl-Cl... bonds in the sample; a bare number in old stores."
    )


class OctahedraAnalysis(Model):
    """Octahedra of chains: how their axes agree and turn."""

    n_octahedra: int
    n_chains: int
    n_left_out: int
    intact_fraction: float
    correlation: dict[str, Quantity] = Field(
        description="<u_i . u_j> of bridge and terminal axes, <cos 4 (phi_i - phi_j)> of the roll "
        "(fourfold), each intra_ and inter_chain."
    )
    roll_deg: Quantity | None = None
    tilt_deg: Quantity | None = None
    ligand_angle_deg: list[float] = Field(default_factory=list)
    ligand_density_per_degree: list[float] = Field(default_factory=list)
    covered_fraction_of_a_ligand: float | None = None


class EnvironmentAnalysis(Model):
    """Where the mobile ions sit, and how much room there is."""

    octahedral: Quantity
    prismatic: Quantity
    other: Quantity
    shape_limit: float
    coordination: dict[str, Quantity]
    free_fraction: Quantity | None = Field(None, description="Outside all hard ions.")
    free_a3_per_mobile: Quantity | None = None
    mobile_fraction: Quantity | None = Field(None, description="Where a mobile ion fits.")
    largest_probe_a: Quantity | None = None


class PlaneAnalysis(Model):
    """Values on a plane across a cell vector; rows along the first vector of the plane."""

    across: str
    axes_a: list[list[float]]
    values: list[list[float | None]]


class LandscapeAnalysis(Model):
    """Free energy of the mobile ions, F = -kT ln P."""

    temperature_k: float
    note: str = Field("", description="That the cell changed, if so.")
    spacing_a: float
    shape: list[int]
    barrier_ev: dict[str, Quantity] = Field(description="Through the cell along a, b, c.")
    local_barrier_ev: Quantity | None = Field(
        None, description="Lowest pass from a site to another, mean over ions."
    )
    lower_bound_ev: float = Field(
        description="Of F where there was no visit, at 95 % for each voxel by itself."
    )
    visited_fraction: float
    histogram_ev: list[float]
    histogram_per_ev: list[float] = Field(description="Distribution of F over visited voxels.")
    slices_ev: list[PlaneAnalysis] = Field(description="Lowest F along each cell vector.")
    density_per_a2: list[PlaneAnalysis] = Field(description="Summed along each cell vector.")
    n_sites: int
    sites_per_mobile: float
    site_occupancy: list[float]
    sites_per_octahedron: Quantity | None = None


class HopsAnalysis(Model):
    """Hops between sites that the density shows."""

    n_hops: int
    core_share: float
    returned_fraction: float | None
    residence_time_ps: Quantity
    correlation_time_ps: Quantity
    jump_diffusivity_cm2_s: Quantity
    length_a: list[float]
    length_per_a: list[float]
    van_hove: dict[str, CurveAnalysis] = Field(
        default_factory=dict, description="Self part per A against r in A, by lag."
    )
    van_hove_distinct: dict[str, CurveAnalysis] = Field(default_factory=dict)
    t1_ms: dict[str, Quantity] = Field(
        default_factory=dict, description="By Larmor frequency in MHz; conditional on C_Q."
    )
    t1_note: str = Field("", description="Why there is no T1.")


class RelaxationPoint(Model):
    """Jump correlation time, and T1 of 23Na, where a law was asked for them."""

    temperature_k: float
    extrapolated: bool = Field(description="Outside the temperatures of the law.")
    correlation_time_ps: Quantity
    t1_ms: dict[str, Quantity] = Field(
        default_factory=dict, description="By Larmor frequency in MHz; conditional on C_Q."
    )


class JumpLawAnalysis(Model):
    """Arrhenius law of the jump correlation time over the runs of a sample."""

    activation_energy_ev: Quantity
    temperatures_used_k: list[float]
    points: list[RelaxationPoint]
    quadrupole_coupling_mhz: float | None = None
    asymmetry: float | None = None
    note: str = Field("", description="Why there is no T1.")


class BarcodeAnalysis(Model):
    """Persistent homology of one set of atoms in one dimension."""

    atoms: str
    dimension: int
    n_points: int
    n_frames: int | None = None
    limit_a: float | None = Field(None, description="Largest death that is told.")
    births_a: Quantity
    deaths_a: Quantity
    lifetimes_a: Quantity
    longest_lifetime_a: Quantity
    bars_a: list[tuple[float, float | None]] = Field(description="Of the first frame analysed.")
    betti_r_a: list[float]
    betti: list[float]


class TopologyAnalysis(Model):
    """Barcodes of the mobile ions and of the framework."""

    barcodes: list[BarcodeAnalysis]
    note: str = Field("", description="What was left out.")


class RegimeAnalysis(Model):
    """A range of temperature with one activation energy."""

    lower_k: float | None
    upper_k: float | None
    activation_energy_ev: Quantity
    n_points: int


class LawAnalysis(Model):
    """The law over temperature that the evidence supports."""

    name: str | None
    regimes: list[RegimeAnalysis]
    breaks_k: list[Quantity]
    sigma_300k_ms_cm: Quantity
    bic: dict[str, float] = Field(description="Less that of one Arrhenius law.")


class TransportDocument(StepDocument):
    """Collective transport at each temperature, and its law."""

    kind: Literal["transport"] = "transport"
    level: str
    points: list[TransportAnalysis]
    laws: dict[str, LawAnalysis] = Field(description="Of sigma_ne and of sigma.")
    left_out: dict[str, str]


class StructurePoint(Model):
    """Structure at one temperature; a part that the data do not allow is left out."""

    temperature_k: float
    structure: StructureAnalysis
    speciation: SpeciationAnalysis | None = None
    octahedra: OctahedraAnalysis | None = None
    environment: EnvironmentAnalysis | None = None


class StructureDocument(StepDocument):
    """Structure at each temperature."""

    kind: Literal["structure"] = "structure"
    level: str
    mobile: str
    points: list[StructurePoint]
    order_transition_k: Quantity | None = Field(
        None, description="Where the inter-chain correlation of the bridge axes jumps."
    )
    left_out: dict[str, str]


class LandscapePoint(Model):
    """Landscape of the mobile ions at one temperature."""

    landscape: LandscapeAnalysis
    hops: HopsAnalysis | None = None
    topology: TopologyAnalysis | None = None


class LandscapeDocument(StepDocument):
    """Landscape at each temperature; the grids lie in files."""

    kind: Literal["landscape"] = "landscape"
    level: str
    mobile: str
    points: list[LandscapePoint]
    jump_law: JumpLawAnalysis | None = None
    left_out: dict[str, str]
