"""A stand-in for VASP 6: reads its inputs, writes its outputs, evaluates something cheaper.

It proves how runs are started, watched, mended, read and chained; its numbers are those of a
pair potential or of CHGNet, its bands and densities of states are invented, and all it writes
is stamped. Called as ``vasp_std`` or ``vasp_gam`` in a folder with INCAR and POSCAR.

Environment: ``VASP_STAND_IN_POTENTIAL`` (``pair``, ``emt`` or the name of a level), and
``VASP_STAND_IN_FAULTS``, a JSON file of faults by name, see `Faults`.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path

HERE = Path.cwd()
OUTPUTS = ("OUTCAR", "OSZICAR", "vasprun.xml", "CONTCAR", "CHGCAR", "CHG", "WAVECAR", "XDATCAR")
IMAGES = [path for path in sorted(HERE.glob("[0-9][0-9]")) if path.is_dir()][1:-1]
for _place in IMAGES or [HERE]:
    for _name in OUTPUTS:  # before the slow imports: custodian looks at what a previous run left
        (_place / _name).write_text("")
print(" running    1 mpi-ranks\n vasp.6.4.2 stand-in", flush=True)

import numpy as np  # noqa: E402  (see above)

sys.path.insert(0, str(Path(__file__).resolve().parent))
import stand_in_files as files  # noqa: E402  (found beside this one)
import stand_in_motion as motion  # noqa: E402  (idem)

N_SCF = 6


class Faults:
    """Faults that happen in the calculation, at the ionic step and as often as the file says.

    ``{"zbrent": {"calculation": "relax2", "step": 2, "times": 1, "value": 0}}``; all but the
    name may be left out.
    """

    def __init__(self):
        path = os.environ.get("VASP_STAND_IN_FAULTS")
        self._path = Path(path) if path else None
        self._wanted = json.loads(self._path.read_text()) if self._path else {}
        self._on = {}

    def due(self, name, step=1):
        """Return the fault's entry if it happens here and now."""
        found = self._wanted.get(name)
        if found is None or found.get("calculation", HERE.parent.name) != HERE.parent.name:
            return None
        if step < found.get("step", 1):
            return None
        if name not in self._on:  # once per process, and as many processes as it says
            count = self._path.with_suffix(f".{name}")
            done = len(count.read_bytes()) if count.exists() else 0
            self._on[name] = done < found.get("times", 1)
            if self._on[name]:
                with count.open("ab") as file:
                    file.write(b".")
        return {**found, "on": True} if self._on[name] else None


def main():
    incar = files.read_incar(HERE / "INCAR")
    if "IMAGES" in incar:
        Chain(incar).relax()
        return
    atoms = files.read_poscar(HERE / "POSCAR")
    if incar.get("ML_LMLFF"):
        motion.require_force_field(incar, HERE)
    run = Run(incar, atoms)
    nsw, ibrion = incar.get("NSW", 0), incar.get("IBRION", -1)
    if ibrion == 0 and nsw:
        run.dynamics(nsw)
    elif ibrion in {1, 2, 3} and nsw:
        run.relax(nsw)
    else:
        run.step(1, last=True)
    run.finish()


class Run:
    def __init__(self, incar, atoms, place=HERE):
        self.incar, self.atoms, self.faults = incar, atoms, Faults()
        self.out = files.Outputs(place, incar, atoms)
        self.atoms.calc = files.calculator(os.environ.get("VASP_STAND_IN_POTENTIAL", "pair"))
        self.out.begin()

    def step(self, number, *, last=False, learned=False, kinetic=None):
        """Evaluate and write one ionic step."""
        self._before(number)
        n_scf = self.incar.get("NELM", 60) if self.faults.due("electronic", number) else N_SCF
        energy = self.atoms.get_potential_energy()
        forces = self.atoms.get_forces()
        stress = self.atoms.get_stress(voigt=False)
        if not np.isfinite(energy):
            sys.exit("the potential gave no finite energy")
        self.out.step(
            number, energy, forces, stress,
            n_scf=n_scf, last=last, learned=learned, kinetic=kinetic,
        )  # fmt: skip
        return forces, stress

    def _before(self, number):
        if self.faults.due("zbrent", number):
            print(
                " ZBRENT: fatal error in bracketing\n please rerun with smaller EDIFF", flush=True
            )
            sys.exit(0)
        if self.faults.due("edddav", number):
            print(" Error EDDDAV: Call to ZHEGV failed. Returncode = 7", flush=True)
            sys.exit(0)
        if self.faults.due("memory", number):
            print("Allocation would exceed memory limit", file=sys.stderr, flush=True)
            sys.exit(1)
        if self.faults.due("full", number):
            print("forrtl: No space left on device", file=sys.stderr, flush=True)
            print("forrtl: severe (38): error during write, unit 12", file=sys.stderr, flush=True)
            sys.exit(38)
        if self.faults.due("segv", number):
            os.kill(os.getpid(), signal.SIGSEGV)
        if self.faults.due("hang", number):
            time.sleep(60)
        if (slow := self.faults.due("slow", number)) is not None:
            time.sleep(slow["value"])

    def relax(self, nsw):
        mover = motion.Relaxation(self.atoms, cell=self.incar.get("ISIF", 2) == 3)
        limit = abs(self.incar.get("EDIFFG", -0.02))
        for number in range(1, nsw + 1):
            converged = mover.converged(limit) and not self.faults.due("ionic", number)
            stopping = files.stop_asked(HERE)
            self.step(number, last=converged or stopping or number == nsw)
            if converged:
                print(" reached required accuracy - stopping structural energy minimisation")
            if stopping:
                self.out.soft_stop()
            if converged or stopping:
                return
            if not self.faults.due("ionic", number):
                mover.move()
            self.out.contcar()

    def dynamics(self, nsw):
        mover = motion.Dynamics(self.atoms, self.incar)
        learner = motion.Learner(self.incar, HERE)
        for number in range(1, nsw + 1):
            stopping = files.stop_asked(HERE)
            learned = learner.predicts(number)
            mover.move(number, nsw)
            last = stopping or number == nsw
            kinetic = self.atoms.get_kinetic_energy()
            self.step(number, last=last, learned=learned, kinetic=kinetic)
            self.out.contcar()
            if stopping:
                self.out.soft_stop()
                break
        learner.write()

    def finish(self):
        self.out.end()
        if self.faults.due("truncated"):
            path = HERE / "vasprun.xml"
            path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])


class Chain:
    """A band of images in one process, as VASP with VTST runs it."""

    def __init__(self, incar):
        if incar["IMAGES"] != len(IMAGES):
            sys.exit(f"IMAGES = {incar['IMAGES']}, and {len(IMAGES)} folders between the ends")
        self.incar = incar
        ends = (HERE / "00", HERE / f"{len(IMAGES) + 1:02d}")
        places = [ends[0], *IMAGES, ends[1]]
        self.images = [files.read_poscar(place / "POSCAR") for place in places]
        self.runs = [Run(incar, image, place) for image, place in
                     zip(self.images[1:-1], IMAGES, strict=True)]  # fmt: skip
        for end in (self.images[0], self.images[-1]):
            end.calc = files.calculator(os.environ.get("VASP_STAND_IN_POTENTIAL", "pair"))

    def relax(self):
        mover = motion.Elastic(self.images, climb=self.incar.get("LCLIMB", False))
        nsw, limit = self.incar["NSW"], abs(self.incar["EDIFFG"])
        for number in range(1, nsw + 1):
            across = mover.forces()
            converged = max(np.linalg.norm(across, axis=2).max(axis=1)) <= limit
            stopping = files.stop_asked(HERE)
            last = converged or stopping or number == nsw
            for run, force in zip(self.runs, across, strict=True):
                run.step(number, last=last)
                if not run.faults.due("no_vtst"):
                    run.out.chain_force(force)
            if converged or stopping:
                break
            mover.move()
            for run in self.runs:
                run.out.contcar()
        if stopping:
            self.runs[0].out.soft_stop()
        for run in self.runs:
            run.finish()


if __name__ == "__main__":
    main()
