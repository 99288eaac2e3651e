"""The label of one frame by VASP, as a step of its own."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

from pymatgen.io.ase import AseAtomsAdaptor

from ..engines.labels import write_labelled
from ..engines.potentials import identify
from ..engines.vasp_failures import VaspFailedError
from ..engines.vasp_labels import labelled_by_vasp
from ..engines.vasp_relax import evaluate_with_vasp, tidy_step
from ..identity import structure_hash
from ..quantity import Quantity, Status
from ..stores.training import FrameLabelDocument
from .frame_sample import read_sample
from .references import reference_to
from .step import LevelMaker, step_job
from .vasp import files_of, note_of, vasp_task, with_origin

if TYPE_CHECKING:
    from ase import Atoms

    from ..engines.vasp_relax import VaspResult
    from ..stores.training import FrameSampleDocument
    from .step import StepContext

LABEL_ROLE = "label"
_DIGITS = 12


@dataclass
class VaspLabelMaker(LevelMaker):
    """Evaluate one frame of a sample: energy, forces and stress, with Gaussian smearing.

    A frame whose electrons do not converge, or that custodian's corrections do not mend, has a
    document without a label, which says so. Whatever else VASP dies of fails the step, which
    goes on when the sweep is run again.

    Attributes
    ----------
    level
        A level of theory of VASP.
    number
        Of the frame in its sample, from 1.
    """

    name: str = "label"
    level: str = "vasp-pbe-d3"
    number: int = 1

    kind: ClassVar[str] = "label"
    code_version: ClassVar[int] = 1

    def physics(self) -> dict[str, Any]:
        """Return what decides the result."""
        return super().physics() | {"engine": "vasp"}

    @step_job()
    def make(
        self, sample: FrameSampleDocument, parents: dict[str, str] | None = None
    ) -> FrameLabelDocument | dict[str, Any]:
        """Label a frame of `sample`; where it holds fewer, there is nothing to do.

        Raises
        ------
        CoverageError
            There is no POTCAR for an element.
        EngineError, PotentialError
            VASP failed, or cannot be used; names the cause.
        """
        return self.run_step(
            lambda context: self._label(sample, context), parents or {"sample": sample.identity}
        )

    def _label(self, sample: FrameSampleDocument, context: StepContext) -> FrameLabelDocument:
        frames = read_sample(sample, context.files)
        if self.number > len(frames):
            return self._document(sample, context, note=f"the sample holds {len(frames)} frames")
        frame = frames[self.number - 1]
        bare = frame.copy()
        bare.info.clear()
        structure = AseAtomsAdaptor.get_structure(bare)
        task = vasp_task(self.level, structure, context)
        # a sample that was made again may hold another frame here
        folder = context.directory / f"frame-{structure_hash(structure)[:_DIGITS]}"
        folder.mkdir(exist_ok=True)
        try:
            result = evaluate_with_vasp(structure, replace(task, directory=folder), labels=True)
        except VaspFailedError as error:
            if not error.is_of_structure:
                raise
            tidy_step(folder)
            return self._document(sample, context, frame, failure=error.problem)
        context.n_resumes = result.n_resumes
        return self._document(
            sample,
            context,
            frame,
            result=result,
            failure="" if result.status is Status.OK else result.note,
            note=note_of(result),
        )

    def _document(
        self,
        sample: FrameSampleDocument,
        context: StepContext,
        frame: Atoms | None = None,
        *,
        result: VaspResult | None = None,
        failure: str = "",
        note: str = "",
    ) -> FrameLabelDocument:
        known = identify(self.level)
        files = [] if result is None else files_of(result, context)
        found: dict[str, Any] = {}
        if frame is not None and result is not None and not failure:
            labelled = labelled_by_vasp(frame, result)
            labelled.info["level"] = known.level
            path = context.directory / "label.xyz"
            write_labelled(path, [labelled])
            files.append(reference_to(path, LABEL_ROLE, context))
            energy = float(labelled.get_potential_energy()) / len(labelled)
            found = {
                "energy_ev_per_atom": Quantity(energy),
                "max_force_ev_a": result.outcome.max_force_ev_a,
                "max_stress_gpa": result.outcome.max_stress_gpa,
            }
        return FrameLabelDocument(
            identity=context.identity,
            status=Status.UNCONVERGED if failure else Status.OK,
            note=note or failure,
            provenance=self.provenance(context)
            if result is None
            else with_origin(self, result.outcome, context),
            files=files,
            level=known.level,
            level_sha256=known.weights_sha256,
            sample_hash=sample.content_hash,
            number=self.number,
            trajectory="" if frame is None else frame.info["trajectory"],
            failure=failure,
            **found,
        )
