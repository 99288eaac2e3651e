"""Trajectories of other codes: every format says the same, and what cannot be read says why."""

from __future__ import annotations

import gzip

import numpy as np
import pytest
import sample_trajectories
from ase import Atoms
from ase.io import write

from haloflow.errors import AnalysisError, InputError
from haloflow.workflows.analyze import Request, analyze
from haloflow.workflows.trajectories import open_trajectory

FRAMES = sample_trajectories.walk(60, 4)


def write_dump(path, frames, *, columns="id type element x y z", shuffled=True):
    """Write a LAMMPS text dump; its cell is turned so that a lies along x."""
    rng = np.random.default_rng(1)
    types = {"Na": 1, "Ta": 2, "O": 3, "Cl": 4}
    lines = []
    for index, (positions, cell) in enumerate(zip(frames.wrapped, frames.cells, strict=True)):
        (xx, _, _), (xy, yy, _), (xz, yz, zz) = cell
        low, high = min(0, xy, xz, xy + xz), max(0, xy, xz, xy + xz)
        lines += ["ITEM: TIMESTEP", str(index), "ITEM: NUMBER OF ATOMS", str(len(positions))]
        lines += [
            "ITEM: BOX BOUNDS xy xz yz pp pp pp",
            f"{low} {xx + high} {xy}",
            f"{min(0, yz)} {yy + max(0, yz)} {xz}",
            f"0 {zz} {yz}",
        ]
        lines.append(f"ITEM: ATOMS {columns}")
        order = rng.permutation(len(positions)) if shuffled else range(len(positions))
        for atom in order:
            name = frames.species[atom]
            x, y, z = positions[atom]
            values = {"id": atom + 1, "type": types[name], "element": name, "mass": 1.0}
            values |= {"x": f"{x:.6f}", "y": f"{y:.6f}", "z": f"{z:.6f}"}
            values |= dict(zip(("xu", "yu", "zu"), frames.positions[index, atom], strict=True))
            lines.append(" ".join(str(values[column]) for column in columns.split()))
    path.write_text("\n".join(lines) + "\n")


def write_vasprun(path, frames):
    """Write what ASE needs of a vasprun.xml."""
    rows = "".join(f"<rc><c>{name}</c><c>1</c></rc>" for name in frames.species)
    steps = []
    for positions, cell in zip(frames.wrapped, frames.cells, strict=True):
        fractions = positions @ np.linalg.inv(cell)
        basis = "".join(f"<v>{a} {b} {c}</v>" for a, b, c in cell)
        places = "".join(f"<v>{a:.9f} {b:.9f} {c:.9f}</v>" for a, b, c in fractions)
        zeros = "<v>0 0 0</v>" * len(fractions)
        steps.append(
            "<calculation><scstep><energy>"
            '<i name="e_fr_energy">-1.0</i><i name="e_wo_entrp">-1.0</i>'
            '<i name="e_0_energy">-1.0</i></energy></scstep>'
            f'<structure><crystal><varray name="basis">{basis}</varray></crystal>'
            f'<varray name="positions">{places}</varray></structure>'
            f'<varray name="forces">{zeros}</varray>'
            '<varray name="stress"><v>0 0 0</v><v>0 0 0</v><v>0 0 0</v></varray>'
            "<energy>"
            '<i name="e_fr_energy">-1.0</i><i name="e_wo_entrp">-1.0</i>'
            '<i name="e_0_energy">-1.0</i></energy></calculation>'
        )
    first = steps[0].partition("<structure>")[2].partition("</structure>")[0]
    path.write_text(
        '<?xml version="1.0"?><modeling><kpoints><generation/><varray name="kpointlist">'
        '<v>0 0 0</v></varray><varray name="weights"><v>1</v></varray></kpoints><atominfo><atoms>'
        f'{len(frames.species)}</atoms><array name="atoms"><set>{rows}</set></array></atominfo>'
        f'<structure name="initialpos">{first}</structure>{"".join(steps)}</modeling>'
    )


def write_changing_xdatcar(path, frames):
    """Write an XDATCAR as VASP does when the cell changes: a header before every frame."""
    text = []
    for index, atoms in enumerate(frames.images(), start=1):
        lines = [" ".join(map(str, row)) for row in atoms.cell[:]]
        counts = "Na Ta O Cl\n" + " ".join(
            str(int((frames.species == name).sum())) for name in ("Na", "Ta", "O", "Cl")
        )
        places = "\n".join(
            " ".join(f"{x:.9f}" for x in row) for row in atoms.get_scaled_positions()
        )
        head = "\n".join(["run", "1.0", *lines, counts, f"Direct configuration= {index:5d}"])
        text.append(f"{head}\n{places}\n")
    path.write_text("".join(text))


def written(folder, name, frames=FRAMES):
    path = folder / name
    images = frames.images()
    if name.startswith("XDATCAR"):
        write(path, images, format="vasp-xdatcar")
    elif name.endswith("dump"):
        write_dump(path, frames)
    elif name == "vasprun.xml":
        write_vasprun(path, frames)
    elif name.endswith("gz"):
        plain = folder / "plain.extxyz"
        write(plain, images)
        path.write_bytes(gzip.compress(plain.read_bytes()))
    elif name == "run":
        frames.store(path / "production" / "trajectory")
    else:
        write(path, images)
    return path


def msd_of(path, **options):
    request = Request(path, frame_ps=0.1, only=("transport",), **options)
    return analyze(request).sections["transport"].msd_self_a2


@pytest.mark.parametrize(
    "name",
    ["md.extxyz", "md.traj", "XDATCAR", "md.dump", "vasprun.xml", "md.extxyz.gz", "run", "md.xyz"],
)
def test_every_format_gives_the_same_displacement(tmp_path, name):
    expected = FRAMES.positions[:, :4] - FRAMES.positions[:, 4:].mean(axis=1, keepdims=True)
    lag_3 = np.square(expected[3:] - expected[:-3]).sum(axis=2).mean()
    found = msd_of(written(tmp_path, name))
    assert found[2] == pytest.approx(lag_3, rel=1e-4)
    assert len(found) == 59


def test_a_cell_that_changes_is_read_from_every_header(tmp_path):
    frames = sample_trajectories.walk(60, 4, breathing=0.01)
    write_changing_xdatcar(tmp_path / "XDATCAR", frames)
    trajectory = open_trajectory(tmp_path / "XDATCAR")
    positions, cells = next(trajectory.blocks())
    np.testing.assert_allclose(cells, frames.cells, atol=1e-9)
    np.testing.assert_allclose(positions, frames.wrapped, atol=1e-6)


def test_blocks_hold_a_part_of_the_frames(tmp_path, monkeypatch):
    monkeypatch.setattr("haloflow.workflows.trajectories._COORDINATES_PER_BLOCK", 28 * 3 * 25)
    for name in ("md.traj", "run"):
        trajectory = open_trajectory(written(tmp_path, name))
        lengths = [len(positions) for positions, _ in trajectory.blocks()]
        assert lengths == [25, 25, 10]


def test_our_own_folders_tell_time_and_temperature(tmp_path):
    for folder in (tmp_path / "run", tmp_path / "run" / "production"):
        if not folder.exists():
            written(tmp_path, "run")
        trajectory = open_trajectory(folder)
        assert trajectory.unwrapped
        assert trajectory.n_frames == 60
        assert trajectory.frame_ps == pytest.approx(0.1)
        assert trajectory.temperature_k == pytest.approx(600.0)
    found = analyze(Request(tmp_path / "run", only=("transport",)))
    assert found.trajectory["duration_ps"] == pytest.approx(5.9)
    assert found.sections["transport"].sigma_ne_ms_cm is not None
    with pytest.raises(InputError, match="frame_ps does not agree with the trajectory") as error:
        analyze(Request(tmp_path / "run", frame_ps=0.2))
    assert "0.1 ps, as stored with the frames" in str(error.value)


def test_a_dump_of_unwrapped_coordinates_is_known_as_one(tmp_path):
    frames = sample_trajectories.walk(60, 4, drift_a=0.4)
    path, wrapped = tmp_path / "unwrapped.dump", tmp_path / "wrapped.dump"
    write_dump(path, frames, columns="id type element xu yu zu")
    write_dump(wrapped, frames)
    assert open_trajectory(path).unwrapped
    assert not open_trajectory(wrapped).unwrapped
    read = np.concatenate([positions for positions, _ in open_trajectory(path).blocks()])
    moved = np.linalg.norm(read[-1] - read[0], axis=1)
    exact = np.linalg.norm(frames.positions[-1] - frames.positions[0], axis=1)
    np.testing.assert_allclose(moved, exact, atol=1e-4)


def test_an_atom_type_that_is_no_element_is_named(tmp_path):
    path = tmp_path / "md.dump"
    write_dump(path, FRAMES, columns="id type x y z")
    with pytest.raises(InputError, match=r"an atom type names no element\. Given: Xx"):
        open_trajectory(path, types=("Na", "Xx", "O", "Cl"))


def test_types_of_a_dump_need_names(tmp_path):
    path = tmp_path / "md.dump"
    write_dump(path, FRAMES, columns="id type x y z")
    with pytest.raises(InputError, match="the LAMMPS dump names no elements") as error:
        open_trajectory(path)
    assert "pass --types" in str(error.value)
    named = open_trajectory(path, ("Na", "Ta", "O", "Cl"))
    assert named.species.tolist() == FRAMES.species.tolist()
    assert msd_of(path, types=("Na", "Ta", "O", "Cl"))[0] > 0


def test_a_file_that_is_no_trajectory_says_so(tmp_path):
    with pytest.raises(InputError, match="there is no trajectory here"):
        open_trajectory(tmp_path / "nothing.extxyz")
    strange = tmp_path / "notes.txt"
    strange.write_text("bread, milk")
    with pytest.raises(InputError, match="the format of the trajectory is not known"):
        open_trajectory(strange)
    cut = written(tmp_path, "md.extxyz")
    cut.write_text(cut.read_text()[:-200])
    with pytest.raises(InputError, match="the trajectory cannot be read") as error:
        msd_of(cut)
    assert "md.extxyz after 59 frames" in str(error.value)
    for name, message in (("XDATCAR", "a trajectory has no frames"), ("md", "is not known")):
        (tmp_path / name).write_text("")
        with pytest.raises(InputError, match=message):
            open_trajectory(tmp_path / name)


def test_atoms_that_change_are_refused(tmp_path):
    images = FRAMES.images()
    images[7] = images[7][:-1]
    write(tmp_path / "fewer.extxyz", images)
    with pytest.raises(InputError, match="the atoms change within the trajectory") as error:
        msd_of(tmp_path / "fewer.extxyz")
    assert "frame 7 of fewer.extxyz has Cl15 Na4 O4 Ta4" in str(error.value)
    images = FRAMES.images()
    images[5] = images[5][::-1]
    write(tmp_path / "swapped.extxyz", images)
    with pytest.raises(InputError, match="the same atoms in the same order in every frame"):
        msd_of(tmp_path / "swapped.extxyz")


def test_a_frame_without_a_cell_is_refused(tmp_path):
    images = FRAMES.images()
    images[4] = Atoms(images[4].symbols, positions=images[4].positions)
    write(tmp_path / "mixed.extxyz", images)
    with pytest.raises(InputError, match="a frame has no periodic cell") as error:
        msd_of(tmp_path / "mixed.extxyz")
    assert "frame 4 of mixed.extxyz" in str(error.value)


def jumping(images):
    for atoms in images[20:]:
        atoms.positions[3] += 0.48 * atoms.cell[1]
    return images


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda images: images[:1], "too few frames for a displacement"),
        (jumping, "an atom jumps by half a box or more"),
    ],
)
def test_data_that_do_not_allow_transport_are_refused(tmp_path, change, message):
    write(tmp_path / "md.traj", change(FRAMES.images()))
    with pytest.raises(AnalysisError, match=message):
        msd_of(tmp_path / "md.traj")


def test_positions_that_are_not_numbers_are_refused(tmp_path):
    images = FRAMES.images()
    images[9].positions[2, 1] = np.nan
    write(tmp_path / "md.traj", images)
    with pytest.raises(AnalysisError, match="first in frame 9"):
        msd_of(tmp_path / "md.traj")
