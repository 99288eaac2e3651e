"""The fields of a summary by their short names: what can be filtered, sorted and shown."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from ..errors import UnknownNameError
from ..quantity import Status
from .columns import SEPARATOR

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from .documents import CandidateSummary

FieldType = Literal["number", "text", "flag", "list"]


@dataclass(frozen=True, slots=True)
class Field:
    """A field of :class:`~haloflow.stores.documents.CandidateSummary`.

    Attributes
    ----------
    name
        Short name in filters, ``--sort`` and ``--columns``.
    path
        Dotted path into the summary.
    label
        Heading of a column, without the unit.
    unit
        Of a number; empty where there is none.
    allowed
        The values a text can have; empty for any.
    """

    name: str
    path: str
    type: FieldType
    label: str
    description: str
    unit: str = ""
    allowed: tuple[str, ...] = ()

    @property
    def header(self) -> str:
        """Heading of a column with its unit."""
        return f"{self.label} ({self.unit})" if self.unit else self.label

    def of(self, summary: CandidateSummary) -> Any:
        """Return the value in `summary`, ``None`` where there is none."""
        value: Any = summary
        for part in self.path.split("."):
            value = value.get(part) if isinstance(value, dict) else getattr(value, part, None)
        return value


_STATUSES = tuple(status.value for status in Status)
_PARTS = {
    "": ("value", "", "best estimate"),
    "_sd": ("sd", " sd", "standard deviation"),
    "_lower": ("lower", " lower", "lower end of the 95 % interval"),
    "_upper": ("upper", " upper", "upper end of the 95 % interval"),
}


def _quantity(name: str, path: str, label: str, description: str, unit: str) -> list[Field]:
    numbers = [
        Field(
            name + suffix,
            f"{path}.{part}",
            "number",
            label + mark,
            f"{description}: {meaning}",
            unit,
        )
        for suffix, (part, mark, meaning) in _PARTS.items()
    ]
    trust = f"{description}: how far it can be trusted"
    status = Field(
        f"{name}_status", f"{path}.status", "text", f"{label} status", trust, allowed=_STATUSES
    )
    return [*numbers, status]


_FIELDS = [
    Field("id", "candidate_id", "text", "id", "identifier of the candidate"),
    Field("label", "label", "text", "candidate", "name of the candidate"),
    Field("family", "family", "text", "family", "family of electrolytes"),
    Field("formula", "formula", "text", "formula", "reduced formula"),
    Field("chemsys", "chemsys", "text", "system", "elements, sorted, joined by '-'"),
    Field("elements", "elements", "list", "elements", "symbols of the elements, sorted"),
    Field("phase", "phase", "text", "phase", "state of matter", allowed=("crystal", "glass")),
    Field("phase_id", "phase_id", "text", "crystal model", "phase of the library"),
    Field("sweep", "sweeps", "list", "sweeps", "names of the sweeps it belongs to"),
    Field("n_atoms", "n_atoms", "number", "atoms", "atoms in the simulation cell"),
    Field("n_mobile", "n_mobile", "number", "mobile ions", "mobile ions in the cell"),
    Field("n_seeds", "n_seeds", "number", "seeds", "independent glasses"),
    *_quantity(
        "e_hull", "energy_above_hull_ev_per_atom", "E_hull", "energy above the hull", "eV/atom"
    ),
    *_quantity(
        "e_crystal",
        "energy_above_crystal_ev_per_atom",
        "E above crystal",
        "energy of a glass above its crystal",
        "eV/atom",
    ),
    *_quantity(
        "e_ensemble",
        "ensemble_above_hull_ev_per_atom",
        "E_hull of frames",
        "energy above the hull of relaxed frames of MD, mean",
        "eV/atom",
    ),
    *_quantity(
        "e_reaction",
        "reaction_energy_ev_per_atom",
        "E_reaction",
        "energy of formation from the sweep's components",
        "eV/atom",
    ),
    *_quantity(
        "reduction_limit_v",
        "reduction_limit_v",
        "reduction limit",
        "voltage against the metal below which the mobile ion is taken up",
        "V",
    ),
    *_quantity(
        "oxidation_limit_v",
        "oxidation_limit_v",
        "oxidation limit",
        "voltage against the metal above which the mobile ion is given off",
        "V",
    ),
    *_quantity("sigma", "sigma_300k_ms_cm", "σ(300 K)", "Na conductivity at 300 K", "mS/cm"),
    *_quantity(
        "sigma_c",
        "sigma_collective_300k_ms_cm",
        "σ collective(300 K)",
        "Na conductivity at 300 K with the correlations of the ions",
        "mS/cm",
    ),
    *_quantity("haven", "haven_ratio", "H_R", "Haven ratio at the coldest temperature", ""),
    *_quantity(
        "anisotropy",
        "anisotropy",
        "anisotropy",
        "Na diffusivity of the fastest direction over the slowest, at the coldest temperature",
        "",
    ),
    *_quantity(
        "bridging",
        "bridging_fraction",
        "bridging",
        "share of O (or S, or Cl) between network formers, at the coldest temperature",
        "",
    ),
    *_quantity(
        "chain_length",
        "mean_chain_length",
        "chain length",
        "network formers in a set joined by bridges, mean, at the coldest temperature",
        "",
    ),
    *_quantity(
        "t1",
        "t1_ms",
        "T1",
        "relaxation time of 23Na at the first temperature asked for",
        "ms",
    ),
    *_quantity(
        "barrier_o",
        "corner_barrier_chalcogenide_ev",
        "barrier over O/S",
        "barrier of hops between sites that share a corner of O or S, mean",
        "eV",
    ),
    *_quantity(
        "barrier_cl",
        "corner_barrier_halide_ev",
        "barrier over halide",
        "barrier of hops between sites that share a corner of a halide, mean",
        "eV",
    ),
    *_quantity("e_a", "activation_energy_ev", "E_a", "activation energy of Na diffusion", "eV"),
    *_quantity("density", "density_g_cm3", "density", "mass density", "g/cm3"),
    Field(
        "density_ratio", "density_ratio", "number", "density ratio", "density over the crystal's"
    ),
    Field("quench_rate", "quench_rate_k_s", "number", "quench rate", "of the glass", "K/s"),
    Field("melted", "melted", "flag", "melted", "whether every melt was liquid"),
    Field("amorphous", "amorphous", "flag", "amorphous", "whether every glass is amorphous"),
    Field("peroxide", "peroxide_fraction", "number", "peroxide", "fraction of O in peroxide units"),
    Field("passes", "passes_screen", "flag", "passes", "whether it passes the sweep's screen"),
    Field("complete", "complete", "flag", "complete", "whether all steps are done"),
    Field("wall", "wall_s", "number", "wall time", "spent on all steps", "s"),
    Field("updated", "last_updated", "text", "updated", "time of the last change"),
]
FIELDS: dict[str, Field] = {field.name: field for field in _FIELDS}
FACET_PATHS = ",".join(
    (
        *("family", "phase", "chemsys", "elements", "sweeps", "levels.*"),
        *(f"{name}.status" for name in ("energy_above_hull_ev_per_atom", "sigma_300k_ms_cm")),
        *(f"{name}.status" for name in ("activation_energy_ev", "density_g_cm3")),
    )
)
"""What facets count."""
_READ_MOST = (
    *("candidate_id", "family", "phase", "chemsys", "complete", "passes_screen", "last_updated"),
    *(f"{name}.status" for name in ("energy_above_hull_ev_per_atom", "sigma_300k_ms_cm")),
    *("energy_above_hull_ev_per_atom.value", "sigma_300k_ms_cm.value", "sigma_300k_ms_cm.lower"),
    *("activation_energy_ev.value", "activation_energy_ev.status", FACET_PATHS),
)
"""What candidates are filtered, sorted and counted by most."""
SORTED = (
    "energy_above_hull_ev_per_atom.value",
    "sigma_300k_ms_cm.value",
    "activation_energy_ev.value",
    "density_g_cm3.value",
    "label",
    "last_updated",
)
"""What they are sorted by most, with the id to tell equal ones apart."""
SUMMARY_COLUMNS: dict[str, str] = {
    **{field.path: "list" if field.type == "list" else "scalar" for field in _FIELDS},
    **dict.fromkeys(("variables.*", "levels.*"), "pattern"),
    **dict.fromkeys((f"diffusivity_cm2_s.*.{part}" for part in ("value", "status")), "pattern"),
    FACET_PATHS: "group",
    SEPARATOR.join(_READ_MOST): "cover",
    **{SEPARATOR.join((path, "candidate_id")): "cover" for path in SORTED},
}
"""What the embedded store keeps beside summaries to filter and sort by: path to kind."""
DEFAULT_COLUMNS = ("label", "phase", "e_hull", "e_hull_status", "sigma", "sigma_status", "e_a")
_VARIABLE = re.compile(r"var\.(?P<name>\w+)")
_LEVEL = re.compile(r"level_(?P<stage>relax|hull|melt_quench|md)")
_DIFFUSIVITY = re.compile(r"d_(?P<kelvin>\d+)k(?P<part>_sd|_lower|_upper|_status|)", re.IGNORECASE)


def get_field(name: str) -> Field:
    """Return the field of a short name.

    ``var.x`` is the sweep variable x; ``d_600K``, ``d_600K_lower``... the diffusivity there;
    ``level_hull``, ``level_md``... the level of theory of a stage.

    Raises
    ------
    UnknownNameError
        There is no such field; near names are suggested.
    """
    if name in FIELDS:
        return FIELDS[name]
    if match := _VARIABLE.fullmatch(name):
        variable = match["name"]
        return Field(
            name, f"variables.{variable}", "number", variable, f"sweep variable {variable}"
        )
    if match := _LEVEL.fullmatch(name):
        stage = match["stage"]
        return Field(name, f"levels.{stage}", "text", f"level of {stage}", "level of theory")
    if match := _DIFFUSIVITY.fullmatch(name):
        kelvin, part = match["kelvin"], match["part"].lower()
        fields = _quantity(
            f"d_{kelvin}K",
            f"diffusivity_cm2_s.{kelvin}K",
            f"D({kelvin} K)",
            f"Na tracer diffusivity at {kelvin} K",
            "cm2/s",
        )
        return {field.name: field for field in fields}[f"d_{kelvin}K{part}"]
    raise UnknownNameError.of("field", name, [*FIELDS, "var.<name>", "d_<T>K", "level_<stage>"])


def get_fields(names: Iterable[str]) -> list[Field]:
    """Return the fields of several names."""
    return [get_field(name.strip()) for name in names]


def rows(
    summaries: Iterable[CandidateSummary], columns: Sequence[str] = DEFAULT_COLUMNS
) -> list[dict[str, Any]]:
    """Return one mapping per summary, short name to value, for JSON and CSV."""
    fields = get_fields(columns)
    return [{field.name: field.of(summary) for field in fields} for summary in summaries]
