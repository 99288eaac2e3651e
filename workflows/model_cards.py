"""The card of a trained model in Markdown: what it learned, how wrong it is, where it ends."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import metadata
from typing import TYPE_CHECKING

from ..quantity import Status

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ..quantity import Quantity
    from ..stores.domain_report import ErrorTable
    from ..stores.models import TrainedModelDocument
    from ..stores.student_checks import StudentCheck
    from ..stores.training import TrainingSetDocument

_LIMITS = (
    (
        "It knows the compositions, temperatures and densities above. Runs beyond them end as "
        "`out_of_domain` when an atom's extrapolation grade passes {stop:g}, and count as such "
        "with more than 5 % of the frames above {select:g}."
    ),
    (
        "Surfaces, vacuum, other elements, charged cells and pressures that take the density out "
        "of its range were not learned. Energies of other compounds, and so hulls, are not for it."
    ),
    (
        "It repeats its teacher, with the teacher's own errors: what the teacher gets wrong about "
        "the material, it gets wrong as well."
    ),
    "Interactions end at its cutoff; there are no charges and no dispersion beyond it.",
)
_NOT_WATCHED = (
    "It keeps no domain: its runs are not watched, and nothing ends those that leave the "
    "compositions, temperatures and densities above."
)


@dataclass(frozen=True)
class ModelCard:
    """What a card is made of.

    Attributes
    ----------
    name
        Of the files beside it.
    potential
        Its name as a potential.
    document
        With the check and the errors by temperature, where they are known.
    data
        What it was trained on, where the store has it.
    """

    name: str
    potential: str
    document: TrainedModelDocument
    data: TrainingSetDocument | None = None

    def markdown(self) -> str:
        """Return the card."""
        sections = [
            f"# {self.name}",
            *self._what(),
            *self._errors(),
            *self._against_teacher(),
            *self._limits(),
            *self._again(),
            *self._licence(),
        ]
        return "\n\n".join(section for section in sections if section) + "\n"

    def _what(self) -> Iterable[str]:
        document, domain = self.document, self.document.domain
        yield (
            f"A {document.architecture.upper()} potential that repeats `{document.teacher}` for "
            f"{', '.join(domain.formulas)}."
        )
        frames = [f"{table.n_frames} {split}" for split, table in document.errors.items()]
        yield _table(
            ("", ""),
            [
                ("as a potential", f"`{self.potential}`"),
                ("sha256 of the weights", f"`{document.weights_sha256}`"),
                ("status", _with_note(document.status.value, document.note)),
                ("teacher", f"`{document.teacher}`, weights `{document.teacher_sha256[:12]}`"),
                ("elements", ", ".join(domain.elements)),
                ("compositions", ", ".join(domain.formulas)),
                ("temperatures / K", _range(domain.temperature_k)),
                ("densities / g/cm³", _range(domain.density_g_cm3)),
                ("processor time", f"{document.us_per_atom_step:.0f} µs per atom and step"),
                ("frames", ", ".join(frames)),
                ("data", f"`{document.data_hash[:12]}`{self._origins()}"),
            ],
        )

    def _origins(self) -> str:
        if self.data is None:
            return ""
        counts: dict[str, int] = {}
        for group in self.data.groups:
            counts[group.origin] = counts.get(group.origin, 0) + group.n_frames
        found = ", ".join(f"{n} of {origin}" for origin, n in sorted(counts.items()))
        added = sum(one.n_new for one in self.document.rounds)
        return f"; {found}; {added} that its own runs found" if added else f"; {found}"

    def _errors(self) -> Iterable[str]:
        document = self.document
        yield "## Errors against the teacher"
        yield f"Means of absolute values. {self._test_frames()}"
        yield _table(_ERROR_HEAD, [_error_row(*one) for one in document.errors.items()])
        by_temperature = dict(document.errors_by_temperature)
        if document.fine_tuning is not None:
            for one in document.fine_tuning.errors_at.get("test", ()):
                at = "at rest" if one.temperature_k is None else f"{one.temperature_k:g} K"
                by_temperature[at] = one.errors
        if by_temperature:
            rows = [_error_row(*named) for named in by_temperature.items()]
            yield _table(("test frames", *_ERROR_HEAD[1:]), rows)
        test = document.errors.get("test")
        if test is not None:
            by_element = test.force_mae_of_element_mev_a.items()
            rows = [(symbol, f"{error:.0f}") for symbol, error in by_element]
            yield _table(("element, test frames", "forces / meV/Å"), rows)
        if document.repulsion_ev_a:
            pair, force = min(document.repulsion_ev_a.items(), key=lambda one: one[1])
            yield f"Weakest repulsion of two atoms 0.5 to 1.2 Å apart: {pair}, {force:.0f} eV/Å."

    def _test_frames(self) -> str:
        """Say how far test frames are from what was learned."""
        alike = None if self.data is None else self.data.n_test_of_known_glasses
        seen = {
            None: "; some may be of glasses that it saw at other temperatures",
            0: ", nor any other of the same glass",
        }.get(alike, f"; {alike} of these are of glasses that it saw at other temperatures")
        return f"Test frames are of trajectories that no training saw{seen}."

    def _against_teacher(self) -> Iterable[str]:
        yield "## Runs against the teacher's"
        check = self.document.check
        if check is None:
            if self._is_student:
                yield "Not made: `check: {}` in a sweep's section `student` asks for them."
            else:
                yield "Not made."
            return
        yield from _check_tables(check)

    def _limits(self) -> Iterable[str]:
        document = self.document
        yield "## Known limits"
        said = []
        if document.status is not Status.OK:
            said.append(f"Its training ended as {document.status.value}: {document.note}.")
        if document.check is not None:
            said += [f"{problem}." for problem in document.check.problems]
        if document.rounds and document.rounds[-1].runs:
            worst = max(document.rounds[-1].runs, key=lambda run: run.share_above)
            said.append(
                f"Of its {len(document.rounds[-1].runs)} trial runs, {worst.name} left the domain "
                f"most: {worst.share_above:.1%} of the frames, largest grade "
                f"{worst.largest_grade:.2g}."
            )
        select, stop = document.select_grade, document.stop_grade
        graded = select is not None and stop is not None
        general = _LIMITS if graded else (_NOT_WATCHED, *_LIMITS[1:])
        said += [line.format(select=select, stop=stop) for line in general]
        yield "\n".join(f"- {line}" for line in said)

    def _again(self) -> Iterable[str]:
        made = self.document.provenance
        packages = ", ".join(f"{name} {number}" for name, number in sorted(made.packages.items()))
        yield "## Make it again"
        sweep = f"examples/students/{self.name}.yaml" if self._is_student else "SWEEP"
        yield (
            f"```bash\nhaloflow run {sweep}\n"
            f"haloflow models export {self.potential} --to FOLDER --name {self.name}\n```"
        )
        yield (
            f"Made by haloflow {made.haloflow_version}, Python {made.python_version}, {packages}; "
            f"{made.threads} thread(s) on {made.device}. The same weights come out bit for bit on "
            "the same kind of machine only."
        )

    def _licence(self) -> Iterable[str]:
        yield "## Licence"
        teacher = self.document.provenance.potential
        labels = ""
        if teacher is not None and teacher.name == self.document.teacher:
            licence = _licence_of(teacher.package)
            labels = f" Its labels are of {teacher.package} {teacher.package_version}{licence}."
        tools = (
            " NEP is evaluated by calorine (MPL-2.0) and was trained by torchnep "
            "(GPL-3.0-or-later); the files hold nothing of either."
        )
        begun = " Weights that a fine-tuning began with have a licence of their own."
        own = tools if self._is_student else begun
        yield f"These files: that of haloflow, {_LICENCE}.{labels}{own}"

    @property
    def _is_student(self) -> bool:
        return self.document.architecture == _NEP


_LICENCE = "BSD-3-Clause"
_NEP = "nep"
_ERROR_HEAD = (
    "frames",
    "number",
    "energy / meV/atom",
    "forces / meV/Å",
    "RMS of the teacher's forces",
    "stress / GPa",
)


def _error_row(name: str, table: ErrorTable) -> tuple[str, ...]:
    return (
        name,
        str(table.n_frames),
        f"{table.energy_mae_mev_per_atom:.1f}",
        f"{table.force_mae_mev_a:.0f}",
        f"{table.force_rms_mev_a:.0f}",
        f"{table.stress_mae_gpa:.2f}",
    )


def _check_tables(check: StudentCheck) -> Iterable[str]:
    rows = [
        (
            run.formula,
            f"{run.temperature_k:g}",
            one.what,
            _number(one.teacher),
            _number(one.student),
            "intervals overlap" if one.limit is None else f"{one.limit:.3g}",
            one.status.value,
        )
        for run in check.runs
        for one in run.agreements
    ]
    yield _table(("run", "T / K", "what", "teacher", "student", "allowed", "verdict"), rows)
    if check.long_runs:
        alone = [
            (
                run.formula,
                f"{run.temperature_k:g}",
                f"{run.duration_ps:g} of {run.asked_ps:g}",
                "-" if run.share_above is None else f"{run.share_above:.1%}",
                _with_note(run.status.value, run.note),
            )
            for run in check.long_runs
        ]
        yield _table(("its own run", "T / K", "ps", "frames above the grade", "verdict"), alone)


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', '/') for cell in line)} |" for line in lines)


def _number(quantity: Quantity) -> str:
    if quantity.value is None:
        return "-"
    if quantity.lower is not None and quantity.upper is not None:
        return f"{quantity.value:.3g} ({quantity.lower:.3g} to {quantity.upper:.3g})"
    error = f" ± {quantity.sd:.1g}" if quantity.sd else ""
    return f"{quantity.value:.4g}{error}"


def _with_note(status: str, note: str) -> str:
    return f"{status}: {note}" if note else status


def _range(ends: tuple[float, float] | None) -> str:
    return "-" if ends is None else f"{ends[0]:.4g} to {ends[1]:.4g}"


def _licence_of(package: str) -> str:
    try:
        known = metadata.metadata(package)
    except metadata.PackageNotFoundError:  # the card is made where the teacher is not installed
        return ""
    fields = ("License-Expression", "License")
    licence = next((known[field] for field in fields if field in known), "")
    return f" ({licence})" if licence and "\n" not in licence else ""
