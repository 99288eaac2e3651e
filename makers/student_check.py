"""A student held against its teacher: density, structure, diffusion, and runs that last."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, ClassVar

from pymatgen.io.ase import AseAtomsAdaptor

from ..engines.potentials import identify
from ..engines.vasp_levels import is_vasp
from ..errors import InputError
from ..quantity import Status, worst
from ..stores.student_checks import ComparedRun, LongRun, StudentCheck, StudentCheckDocument
from ..units import FS_PER_PS
from .agreement import Tolerances, compare_runs, judged_together
from .frames import frame_at, reduced_formula
from .md import MDMaker
from .run_data import part_of
from .step import StepContext, StepMaker, step_job
from .trained_models import bring_model

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from ase import Atoms

    from ..stores.documents import MDDocument
    from ..stores.models import TrainedModelDocument
    from ..stores.step_files import StepFiles

_SETTINGS = {field.name for field in fields(MDMaker)} - {"name", "level"}


@dataclass
class StudentCheckMaker(StepMaker):
    """Repeat the teacher's runs by the student, from the same atoms, and compare; run on alone.

    Attributes
    ----------
    density_tolerance
        Of the difference of densities, over the teacher's.
    peak_tolerance_a, coordination_tolerance
        Of first peaks between cations and anions, and of neighbours within the teacher's
        first minimum.
    long_steps, timestep_fs
        Length of the student's own runs, at the volume that the teacher's had: at no pressure
        the hottest liquids boil.
    long_temperatures_k
        Their temperatures, from the teacher's run of each formula that is nearest.
    seed
        Of these.
    """

    name: str = "student_check"
    density_tolerance: float = 0.02
    peak_tolerance_a: float = 0.03
    coordination_tolerance: float = 0.15
    long_steps: int = 100_000
    long_temperatures_k: tuple[float, ...] = ()
    timestep_fs: float = 2.0
    seed: int = 1

    kind: ClassVar[str] = "student_check"
    code_version: ClassVar[int] = 3
    needs_all_inputs: ClassVar[bool] = False

    @step_job(needs_all_inputs=False)
    def make(
        self,
        student: TrainedModelDocument | None,
        runs: list[MDDocument | None],
        diffusion: list[MDDocument | None] | None = None,
        parents: dict[str, str] | None = None,
    ) -> StudentCheckDocument | dict[str, Any]:
        """Hold `student` against its teacher.

        Parameters
        ----------
        student
            As it was trained; ``None`` for one that was not.
        runs
            MD of the teacher; ``None`` stands for one that failed.
        diffusion
            Further ones, long enough for a diffusivity.

        Raises
        ------
        InputError
            There is no student, no run that can be repeated, or one that is not the teacher's.
        """
        if student is None:
            raise InputError(
                "there is no student to check",
                given="its step failed",
                remedy="look at that step with `haloflow show`, and run the sweep again",
            )
        there = [run for run in runs if run is not None]
        moving = [run for run in diffusion or [] if run is not None]
        known = parents or {
            "student": student.identity,
            **{f"run{i}": run.identity for i, run in enumerate(there)},
            **{f"diffusion{i}": run.identity for i, run in enumerate(moving)},
        }
        used = {student.identity, *(run.identity for run in [*there, *moving])}
        return self.run_step(
            lambda context: self._check(student, there, moving, context),
            known,
            [identity for identity in known.values() if identity in used],
        )

    def _check(
        self,
        student: TrainedModelDocument,
        runs: Sequence[MDDocument],
        moving: Sequence[MDDocument],
        context: StepContext,
    ) -> StudentCheckDocument:
        _require_teacher(student, [*runs, *moving])
        sound = [run for run in [*runs, *moving] if not run.status.is_broken]
        starts = {run.identity: _start_of(run, context.files) for run in sound}
        name = bring_model(student, context.files).name
        context.evaluated_by = identify(name)
        progress = context.progress(len(sound) + len(self.long_temperatures_k))
        compared = []
        for number, run in enumerate(sound):
            progress.write(f"repeat {run.temperature_k:g} K", number)
            start = starts[run.identity]
            compared.append(self._repeat(run, start, name, context, moves=run in moving))
        compared = judged_together(compared)
        long_runs = []
        for number, (run, kelvin) in enumerate(self._long(sound, starts)):
            progress.write(f"run on at {kelvin:g} K", len(sound) + number)
            long_runs.append(self._run_on(_end_of(run, context.files), kelvin, name, context))
        check = StudentCheck(runs=compared, long_runs=long_runs)
        statuses = [
            *(one.status for run in compared for one in run.agreements),
            *(Status.UNCONVERGED for run in compared if not run.agreements),
            *(run.status for run in compared),
            *(run.status for run in long_runs),
        ]
        return StudentCheckDocument(
            identity=context.identity,
            status=Status.OUT_OF_DOMAIN if check.problems else worst(*statuses),
            note="; ".join([*check.problems, *_untold(compared)]),
            provenance=self.provenance(context),
            files=[],
            level=student.level,
            weights_sha256=student.weights_sha256,
            teacher=student.teacher,
            check=check,
        )

    def _repeat(
        self, run: MDDocument, start: Atoms, name: str, context: StepContext, *, moves: bool
    ) -> ComparedRun:
        settings = {k: v for k, v in run.provenance.parameters.items() if k in _SETTINGS}
        maker = MDMaker(level=name, **settings)
        own = maker.simulate(
            AseAtomsAdaptor.get_structure(start), _inside(context, f"repeat-{run.identity[:12]}")
        )
        tolerances = Tolerances(
            self.density_tolerance, self.peak_tolerance_a, self.coordination_tolerance
        )
        return ComparedRun(
            source=run.identity,
            formula=reduced_formula(start),
            temperature_k=run.temperature_k,
            n_atoms=len(start),
            duration_ps=own.n_steps * own.timestep_fs / FS_PER_PS,
            status=own.status,
            note=own.note,
            agreements=compare_runs(
                run, own, context.files, tolerances, mobile=maker.mobile if moves else None
            ),
        )

    def _long(
        self, runs: Sequence[MDDocument], starts: dict[str, Atoms]
    ) -> list[tuple[MDDocument, float]]:
        """Return what each long run starts from: the nearest temperature of each formula."""
        of_formula: dict[str, list[MDDocument]] = {}
        for run in runs:
            of_formula.setdefault(reduced_formula(starts[run.identity]), []).append(run)
        return [
            (min(own, key=lambda run, kelvin=kelvin: abs(run.temperature_k - kelvin)), kelvin)  # type: ignore[misc]  # mypy knows no default here
            for own in of_formula.values()
            for kelvin in self.long_temperatures_k
        ]

    def _run_on(self, start: Atoms, kelvin: float, name: str, context: StepContext) -> LongRun:
        maker = MDMaker(
            level=name,
            temperature_k=kelvin,
            timestep_fs=self.timestep_fs,
            equilibration_steps=0,
            production_steps=self.long_steps,
            trajectory_interval=max(1, self.long_steps // 1000),
            seed=self.seed,
        )
        formula = reduced_formula(start)
        own = maker.simulate(
            AseAtomsAdaptor.get_structure(start), _inside(context, f"{formula}-{kelvin:g}K")
        )
        return LongRun(
            formula=formula,
            temperature_k=kelvin,
            n_atoms=len(start),
            duration_ps=own.n_steps * self.timestep_fs / FS_PER_PS,
            asked_ps=self.long_steps * self.timestep_fs / FS_PER_PS,
            status=own.status,
            note=own.note,
            share_above=own.domain.share_above if own.domain else None,
        )


def _untold(runs: Sequence[ComparedRun]) -> list[str]:
    """Say what the runs cannot tell."""
    found = []
    for run in runs:
        names = [one.what for one in run.agreements if one.status is Status.UNCONVERGED]
        if names or not run.agreements:
            what = ", ".join(names) or "anything"
            at = f"{run.formula} at {run.temperature_k:g} K"
            found.append(f"{at} does not tell whether {what} agrees")
    return found


def _require_teacher(student: TrainedModelDocument, runs: Sequence[MDDocument]) -> None:
    """Refuse runs that are not the teacher's, and none at all."""
    others = sorted({run.level for run in runs} - {student.teacher})
    if others or not any(not run.status.is_broken for run in runs):
        raise InputError(
            "a student is checked by sound runs of its teacher",
            given=others or [run.status.value for run in runs],
            allowed=f"MD at {student.teacher}",
            remedy="name the teacher as the level of md (`stages`), and look at its runs",
        )


def _start_of(run: MDDocument, files: StepFiles) -> Atoms:
    """Return the first frame of a run.

    Raises
    ------
    InputError
        It is a run of VASP, whose settings are not those of a potential, or has no frames.
    """
    reader = part_of(run, "equilibration", files) or part_of(run, "production", files)
    if reader is None or is_vasp(run.level) or "production_steps" not in run.provenance.parameters:
        raise InputError(
            "a run of the teacher cannot be repeated",
            given=f"{run.identity[:12]} at {run.level}, {run.temperature_k:g} K",
            allowed="MD by a potential, with its trajectory",
            remedy="leave it out, or give others",
        )
    return frame_at(reader, 0)


def _end_of(run: MDDocument, files: StepFiles) -> Atoms:
    """Return the last frame of a run, which has the volume of its temperature."""
    reader = part_of(run, "production", files) or part_of(run, "equilibration", files)
    assert reader is not None  # or `_start_of` had refused the run
    return frame_at(reader, reader.n_frames - 1)


def _inside(context: StepContext, name: str) -> StepContext:
    """Return the context of a run inside of this step."""
    return replace(
        context, identity=f"{context.identity}/{name}", directory=context.directory / name
    )
