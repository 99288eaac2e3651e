"""Files of VASP 6 as the stand-in reads and writes them; all that it writes is stamped."""

from __future__ import annotations

import re
import time

import numpy as np
from ase import Atoms, units
from ase.calculators.calculator import Calculator, all_changes
from ase.stress import full_3x3_to_voigt_6_stress

STAMP = "stand-in of haloflow's tests; no VASP"
TITLES = {
    "Na": "PAW_PBE Na_pv 19Sep2006", "Cl": "PAW_PBE Cl 06Sep2000", "O": "PAW_PBE O 08Apr2002",
    "Ta": "PAW_PBE Ta_pv 07Sep2000", "Nb": "PAW_PBE Nb_pv 08Apr2002", "S": "PAW_PBE S 06Sep2000",
    "Zr": "PAW_PBE Zr_sv 04Jan2005", "Hf": "PAW_PBE Hf_pv 06Sep2000",
    "Y": "PAW_PBE Y_sv 25May2007", "Al": "PAW_PBE Al 04Jan2001",
}  # fmt: skip
ZVAL = {
    "Na": 7, "Cl": 7, "O": 6, "Ta": 11, "Nb": 11, "S": 6, "Zr": 12, "Hf": 10, "Y": 11, "Al": 3,
}  # fmt: skip
"""Valence electrons of these POTCARs."""
A_FS = 1 / units.fs
"""A velocity of 1 A/fs in the unit of ASE."""
KBAR_PER_EV_A3 = 1602.1766
N_BANDS = 8


def read_incar(path):
    found = {}
    for line in re.split(r"[\n;]", path.read_text()):
        key, equals, text = line.partition("=")
        if equals:
            found[key.strip().upper()] = _value(text.strip())
    return found


def _value(text):
    if text.lower().strip(".") in {"true", "t"}:
        return True
    if text.lower().strip(".") in {"false", "f"}:
        return False
    for convert in (int, float):
        try:
            return convert(text)
        except ValueError:  # the next kind, or text
            continue
    return text


def read_poscar(path):
    lines = path.read_text().splitlines()
    scale = float(lines[1])
    cell = scale * np.array([[float(x) for x in line.split()] for line in lines[2:5]])
    names, counts = lines[5].split(), [int(n) for n in lines[6].split()]
    n_atoms = sum(counts)
    if not lines[7].lower().startswith("d"):
        raise SystemExit("the stand-in reads direct coordinates")
    frac = _rows(lines[8 : 8 + n_atoms])
    symbols = [name for name, count in zip(names, counts, strict=True) for _ in range(count)]
    atoms = Atoms(symbols, scaled_positions=frac, cell=cell, pbc=True)
    rest = lines[8 + n_atoms :]
    while rest and not rest[0].strip():
        rest = rest[1:]
    if len(rest) >= n_atoms:
        atoms.set_velocities(_rows(rest[:n_atoms]) * A_FS)
    return atoms


def _rows(lines):
    return np.array([[float(x) for x in line.split()[:3]] for line in lines])


def calculator(name):
    if name == "pair":
        return Salt()
    if name == "emt":
        from ase.calculators.emt import EMT

        return EMT()
    from haloflow.engines.potentials import load_potential

    return load_potential(name).calculator


class Salt(Calculator):
    """A smoothly cut pair potential, deeper between different elements, summed over images."""

    implemented_properties = ("energy", "forces", "stress")
    size_a, depth_ev, cutoff_a = 2.5, 0.05, 5.5

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        cell = self.atoms.get_cell().array
        reach = np.ceil(self.cutoff_a * np.linalg.norm(np.linalg.inv(cell), axis=0)).astype(int)
        images = np.stack(np.meshgrid(*[np.arange(-n, n + 1) for n in reach]), -1).reshape(-1, 3)
        places = self.atoms.get_positions(wrap=True)
        vectors = places[None, :, None] - places[:, None, None] + (images @ cell)[None, None]
        distances = np.linalg.norm(vectors, axis=-1)
        distances[(distances < 1e-8) | (distances > self.cutoff_a)] = np.inf
        numbers = self.atoms.numbers
        depth = np.where(numbers[:, None] == numbers, 0.25, 1.0)[..., None] * self.depth_ev
        near = np.isfinite(distances)
        x = np.where(near, distances / self.cutoff_a, 1.0)
        s6 = (self.size_a / distances) ** 6
        window, slope = (1 - x**2) ** 2, -4 * x * (1 - x**2) / self.cutoff_a
        well = 4 * depth * (s6**2 - s6)
        steepness = 4 * depth * (6 * s6 - 12 * s6**2) / np.where(near, distances, 1.0)
        pull = ((steepness * window + well * slope) / np.where(near, distances, 1.0))[..., None]
        pairs = pull * vectors
        self.results = {
            "energy": 0.5 * float((well * window).sum()),
            "forces": pairs.sum(axis=(1, 2)),
            "stress": full_3x3_to_voigt_6_stress(
                0.5 * np.einsum("ijka,ijkb->ab", pairs, vectors) / self.atoms.get_volume()
            ),
        }


def stop_asked(here):
    path = here / "STOPCAR"
    if not path.exists() or ".TRUE." not in path.read_text().upper():
        return False
    path.unlink()
    return True


class Outputs:
    """The files of one run, written as it goes, so that a kill leaves what VASP would leave."""

    def __init__(self, here, incar, atoms):
        self._here, self._incar, self._atoms = here, incar, atoms
        self._xml = (here / "vasprun.xml").open("w")
        self._outcar = (here / "OUTCAR").open("w")
        self._oszicar = (here / "OSZICAR").open("w")
        self._started = time.time()

    def begin(self):
        incar = self._incar
        self._outcar.write(
            f" vasp.6.4.2 {STAMP}\n running    1 mpi-ranks, on    1 nodes\n"
            f"   number of dos      NEDOS = 301   number of ions     NIONS = {len(self._atoms)}\n"
            f"   k-points           NKPTS =      1   number of bands    NBANDS=      {N_BANDS}\n"
            f" total plane-waves  NPLWV =      1000\n   IBRION =     {incar.get('IBRION', -1)}\n"
            f" number of electron {self._electrons():14.7f} magnetization       0.0000000\n"
        )
        self._outcar.flush()
        self._write(
            '<?xml version="1.0" encoding="ISO-8859-1"?>\n<modeling>\n<generator>\n'
            ' <i name="program" type="string">vasp </i>\n'
            ' <i name="version" type="string">6.4.2  </i>\n'
            f' <i name="subversion" type="string">{STAMP}</i>\n</generator>\n'
        )
        self._write("<incar>\n" + "".join(_item(k, v) for k, v in incar.items()) + "</incar>\n")
        self._write(
            '<kpoints>\n <generation param="Gamma">\n'
            f'  <v type="int" name="divisions"> {self._mesh()} </v>\n'
            '  <v name="usershift"> 0.0 0.0 0.0 </v>\n </generation>\n'
            ' <varray name="kpointlist"><v> 0.0 0.0 0.0 </v></varray>\n'
            ' <varray name="weights"><v> 1.0 </v></varray>\n</kpoints>\n'
        )
        known = {
            "NSW": 0, "IBRION": -1, "NELM": 60, "NELMIN": 2, "EDIFF": 1e-4, "EDIFFG": 1e-3,
            "LORBIT": 0, "LCHIMAG": False, "LUSE_VDW": False, "LHFCALC": False, "LDAU": False,
            "ISPIN": 1, "ENMAX": 520.0, "GGA": "--", "NELECT": self._electrons(),
            "NBANDS": N_BANDS, "ISIF": 2,
        }  # fmt: skip
        known["ENMAX"] = float(incar.get("ENCUT", known["ENMAX"]))
        parameters = known | {k: v for k, v in incar.items() if k in known}
        self._write(
            "<parameters>\n"
            + "".join(_item(k, v) for k, v in parameters.items())
            + "</parameters>\n"
        )
        self._write(self._atominfo() + self._structure("initialpos"))

    def _electrons(self):
        return float(sum(ZVAL[symbol] for symbol in self._atoms.get_chemical_symbols()))

    def _mesh(self):
        path = self._here / "KPOINTS"
        if path.exists():
            return path.read_text().splitlines()[3]
        reciprocal = 2 * np.pi * np.linalg.norm(np.linalg.inv(self._atoms.get_cell()), axis=0)
        divisions = np.ceil(reciprocal / self._incar.get("KSPACING", 0.5)).astype(int)
        return " ".join(str(n) for n in np.maximum(divisions, 1))

    def _atominfo(self):
        symbols = self._atoms.get_chemical_symbols()
        kinds = list(dict.fromkeys(symbols))
        atoms = "".join(f"<rc><c>{s}</c><c>{kinds.index(s) + 1}</c></rc>\n" for s in symbols)
        types = "".join(
            f"<rc><c>{symbols.count(k)}</c><c>{k}</c><c>1.0</c><c>{ZVAL[k]}</c><c>{TITLES[k]}</c></rc>\n"
            for k in kinds
        )
        return (
            f"<atominfo>\n<atoms> {len(symbols)} </atoms>\n<types> {len(kinds)} </types>\n"
            '<array name="atoms">\n<dimension dim="1">ion</dimension>\n'
            '<field type="string">element</field>\n<field type="int">atomtype</field>\n<set>\n'
            f'{atoms}</set>\n</array>\n<array name="atomtypes">\n'
            '<dimension dim="1">type</dimension>\n'
            '<field type="int">atomspertype</field>\n<field type="string">element</field>\n'
            "<field>mass</field>\n<field>valence</field>\n"
            f'<field type="string">pseudopotential</field>\n<set>\n{types}</set>\n</array>\n'
            "</atominfo>\n"
        )

    def step(self, number, energy, forces, stress, *, n_scf, last, learned, kinetic):
        """Write one step; `stress` as ASE gives it, (3, 3) in eV/A^3."""
        kbar = -stress * KBAR_PER_EV_A3
        moving = kinetic is not None
        total = _energies(energy) + (
            "".join(
                f'  <i name="{name}"> {value:.8f}</i>\n'
                for name, value in (("kinetic", kinetic), ("total", energy + kinetic))
            )
            if moving
            else ""
        )
        body = (
            self._structure(None) + _varray("forces", forces) + _varray("stress", kbar)
        ) + f" <energy>\n{total} </energy>\n"
        if learned:
            self._write(body)
        else:
            scf = "".join(
                f" <scstep>\n  <energy>\n{_energies(energy + 0.1 ** (i + 1))}  </energy>\n"
                " </scstep>\n"
                for i in range(n_scf)
            )
            end = _bands() if last else ""
            self._write(f"<calculation>\n{scf}{body}{end}</calculation>\n")
            for i in range(n_scf):
                self._oszicar.write(
                    f"DAV: {i + 1:3d}    {energy:.12E}   -0.1E-05   -0.1E-05   100   0.1E-03\n"
                )
        if moving:
            kelvin = 2 * kinetic / (3 * len(self._atoms) * units.kB)
            self._oszicar.write(
                f" {number:5d} T= {kelvin:6.0f}. E= {energy + kinetic:.8E} F= {energy:.8E} "
                f"E0= {energy:.8E}  EK= {kinetic:.5E} SP= 0.00E+00 SK= 0.00E+00\n"
            )
        else:
            self._oszicar.write(f" {number:3d} F= {energy:.8E} E0= {energy:.8E}  d E ={0.0:.6E}\n")
        self._oszicar.flush()
        self._outcar.write(
            f" E-fermi :   0.0000     XC(G=0):  -1.0000     alpha+bet : -1.0000\n"
            f"  free  energy   TOTEN  =      {energy:.8f} eV\n\n"
            f"  energy  without entropy=    {energy:.8f}  energy(sigma->0) =    {energy:.8f}\n"
            f"    total drift:                0.000000      0.000000      0.000000\n"
            f"     LOOP+:  cpu time    0.10: real time    0.10\n"
        )
        self._outcar.flush()

    def chain_force(self, forces):
        """Write the forces across a band as VTST does."""
        sizes = np.linalg.norm(forces, axis=1)
        rms = np.sqrt((sizes**2).mean())
        self._outcar.write(f"  FORCES: max atom, RMS {sizes.max():12.6f} {rms:12.6f}\n")
        self._outcar.flush()

    def contcar(self):
        """Write the positions that come next, whole or not at all."""
        atoms = self._atoms
        symbols = atoms.get_chemical_symbols()
        kinds = list(dict.fromkeys(symbols))
        rows = [
            "stand-in", "1.0", *(_row(v) for v in atoms.get_cell()), " ".join(kinds),
            " ".join(str(symbols.count(k)) for k in kinds), "Direct",
            *(_row(v) for v in atoms.get_scaled_positions(wrap=True)),
        ]  # fmt: skip
        velocities = atoms.get_velocities()
        if np.any(velocities):
            rows += ["", *(_row(v / A_FS) for v in velocities)]
        temporary = self._here / "CONTCAR.part"
        temporary.write_text("\n".join(rows) + "\n")
        temporary.replace(self._here / "CONTCAR")

    def soft_stop(self):
        self._outcar.write(" soft stop encountered!  aborting job ...\n")
        print(" soft stop encountered!  aborting job ...", flush=True)

    def end(self):
        self.contcar()
        for name in ("WAVECAR", "CHGCAR"):
            (self._here / name).write_text("stand-in\n")
        self._write(self._structure("finalpos") + "</modeling>\n")
        spent = time.time() - self._started
        self._outcar.write(
            "\n General timing and accounting informations for this job:\n"
            " ========================================================\n\n"
            f"                  Total CPU time used (sec):       {spent:.3f}\n"
            f"                            User time (sec):       {spent:.3f}\n"
            f"                         Elapsed time (sec):       {spent:.3f}\n"
            "                   Maximum memory used (kb):       1000.\n"
        )
        for file in (self._xml, self._outcar, self._oszicar):
            file.close()

    def _structure(self, name):
        atoms = self._atoms
        label = f' name="{name}"' if name else ""
        crystal = f"<crystal>\n{_varray('basis', atoms.get_cell())}"
        crystal += f' <i name="volume"> {atoms.get_volume():.8f} </i>\n'
        crystal += _varray("rec_basis", np.linalg.inv(atoms.get_cell()).T) + "</crystal>\n"
        positions = _varray("positions", atoms.get_scaled_positions(wrap=True))
        return f"<structure{label}>\n{crystal}{positions}</structure>\n"

    def _write(self, text):
        self._xml.write(text)
        self._xml.flush()


def _row(vector):
    return " ".join(f"{x:.16f}" for x in vector)


def _varray(name, rows):
    body = "".join(f"  <v> {' '.join(f'{x:.10f}' for x in row)} </v>\n" for row in rows)
    return f' <varray name="{name}">\n{body} </varray>\n'


def _energies(energy):
    names = ("e_fr_energy", "e_wo_entrp", "e_0_energy")
    return "".join(f'  <i name="{name}"> {energy:.8f}</i>\n' for name in names)


def _item(name, value):
    if isinstance(value, bool):
        return f' <i type="logical" name="{name}"> {"T" if value else "F"} </i>\n'
    if isinstance(value, int):
        return f' <i type="int" name="{name}"> {value} </i>\n'
    if isinstance(value, float):
        return f' <i name="{name}"> {value:.8f} </i>\n'
    return f' <i type="string" name="{name}">{value}</i>\n'


def _bands():
    occupied = "".join(
        f"<r> {-8.0 + i:.4f} {float(i < N_BANDS - 1):.4f} </r>\n" for i in range(N_BANDS)
    )
    dos = "".join(f"<r> {e:.4f} 0.0 0.0 </r>\n" for e in np.linspace(-10, 5, 31))
    return (
        '<eigenvalues>\n<array>\n<dimension dim="1">band</dimension>\n'
        '<dimension dim="2">kpoint</dimension>\n<dimension dim="3">spin</dimension>\n'
        '<field>eigene</field>\n<field>occ</field>\n<set>\n<set comment="spin 1">\n'
        f'<set comment="kpoint 1">\n{occupied}</set>\n</set>\n</set>\n</array>\n</eigenvalues>\n'
        '<dos>\n<i name="efermi"> -1.5 </i>\n<total>\n<array>\n'
        '<dimension dim="1">gridpoints</dimension>\n'
        '<dimension dim="2">spin</dimension>\n<field>energy</field>\n<field>total</field>\n'
        f'<field>integrated</field>\n<set>\n<set comment="spin 1">\n{dos}</set>\n</set>\n</array>\n'
        "</total>\n</dos>\n"
    )
