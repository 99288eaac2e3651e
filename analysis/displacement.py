"""From positions to continuous paths: periodic images, changing cells, drift."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..errors import AnalysisError
from .frames import FloatArray, as_frames, as_mask

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

_MIN_FRAMES = 2
_COORDINATES_PER_BLOCK = 3_000_000
LARGEST_WRAPPED_STEP = 0.45
LARGEST_UNWRAPPED_STEP = 0.5


def displacement_steps(
    positions: ArrayLike, cells: ArrayLike, *, unwrapped: bool = False, first_frame: int = 0
) -> FloatArray:
    """Return the displacement of every atom from frame to frame.

    Differences are taken between fractional coordinates and mapped with the later frame's
    cell, so that a breathing cell moves nothing by itself (an unwrapped fraction times a
    changing cell would invent displacement).

    Parameters
    ----------
    positions
        Cartesian, A, shape (n_frames, n_atoms, 3).
    cells
        Row vectors, A, shape (n_frames, 3, 3) or (3, 3).
    unwrapped
        Whether `positions` are continuous already; otherwise the nearest periodic image of
        the previous frame is taken.
    first_frame
        Number of the first frame, for messages about a part of a trajectory.

    Returns
    -------
    FloatArray
        Steps in A, shape (n_frames - 1, n_atoms, 3).

    Raises
    ------
    AnalysisError
        For fewer than two frames, or a step of about half a box or more, where the periodic
        image is ambiguous.
    """
    frames, boxes = as_frames(positions, cells, first_frame)
    if len(frames) < _MIN_FRAMES:
        raise AnalysisError(
            "too few frames for a displacement",
            given=f"{len(frames)} frame",
            allowed=f"{_MIN_FRAMES} frames or more",
            remedy="run longer or save frames more often",
        )
    steps = np.diff(frames @ np.linalg.inv(boxes), axis=0)
    if not unwrapped:
        steps -= np.rint(steps)
    _check_steps(steps, unwrapped=unwrapped, first_frame=first_frame)
    moved: FloatArray = steps @ boxes[1:]
    return moved


def _check_steps(fractional_steps: FloatArray, *, unwrapped: bool, first_frame: int) -> None:
    limit = LARGEST_UNWRAPPED_STEP if unwrapped else LARGEST_WRAPPED_STEP
    if max(fractional_steps.max(), -fractional_steps.min()) <= limit:
        return
    size = np.abs(fractional_steps).max(axis=2)
    frame, atom = np.unravel_index(int(size.argmax()), size.shape)
    raise ambiguous_step(
        float(size.max()), int(atom), first_frame + int(frame), unwrapped=unwrapped
    )


def ambiguous_step(size: float, atom: int, frame: int, *, unwrapped: bool) -> AnalysisError:
    """Return the error for an `atom` that moves by `size` of a cell length after `frame`."""
    limit = LARGEST_UNWRAPPED_STEP if unwrapped else LARGEST_WRAPPED_STEP
    return AnalysisError(
        "an atom jumps by half a box or more between two frames",
        given=f"atom {atom} moves by {size:.2f} of a cell length after frame {frame}",
        allowed=f"at most {limit:.2f} of a cell length",
        remedy="these positions look wrapped: do not say that they are unwrapped"
        if unwrapped
        else "save frames more often, or unwrapped positions and say so (--unwrapped)",
    )


def remove_drift(steps: FloatArray, reference: ArrayLike) -> FloatArray:
    """Subtract the mean step of the reference atoms, unweighted, from every atom.

    Parameters
    ----------
    steps
        A, shape (n_steps, n_atoms, 3).
    reference
        Boolean mask (n_atoms,) of the atoms that stand still by definition, usually all
        atoms but the mobile ones.

    Returns
    -------
    FloatArray
        Steps relative to the reference, same shape.

    Raises
    ------
    AnalysisError
        If the mask does not fit or selects no atom.
    """
    mask = as_mask(reference, steps.shape[1], "framework")
    if not mask.any():
        raise AnalysisError(
            "the framework has no atoms, so its drift is not defined",
            remedy="select at least one framework atom, or leave the drift in",
        )
    drift: FloatArray = steps[:, mask].mean(axis=1, keepdims=True)
    return steps - drift


def accumulate(steps: FloatArray) -> FloatArray:
    """Sum steps to paths that start at the origin, shape (n_steps + 1, n_atoms, 3)."""
    path = np.zeros((len(steps) + 1, *steps.shape[1:]))
    np.cumsum(steps, axis=0, out=path[1:])
    return path


def mobile_paths(
    positions: ArrayLike,
    cells: ArrayLike,
    mobile: ArrayLike,
    framework: ArrayLike | None = None,
    *,
    unwrapped: bool = False,
) -> FloatArray:
    """Return continuous paths of the mobile ions relative to the framework.

    Parameters
    ----------
    positions, cells, unwrapped
        As in :func:`displacement_steps`.
    mobile
        Boolean mask (n_atoms,) of the mobile ions.
    framework
        Boolean mask (n_atoms,) of the atoms whose mean motion is drift; default: all that
        are not mobile. Where that is no atom, nothing is subtracted.

    Returns
    -------
    FloatArray
        A, shape (n_frames, n_mobile, 3), starting at the origin.

    Raises
    ------
    AnalysisError
        If there is no mobile ion, or as in :func:`displacement_steps`.
    """
    frames = np.asarray(positions)
    boxes = np.asarray(cells)
    per_block = max(_MIN_FRAMES, _COORDINATES_PER_BLOCK // max(1, frames[:1].size))
    blocks = []
    for start in range(0, max(1, len(frames) - 1), per_block):
        part = slice(start, start + per_block + 1)
        steps = displacement_steps(
            frames[part],
            boxes[part] if boxes.ndim == frames.ndim else boxes,
            unwrapped=unwrapped,
            first_frame=start,
        )
        blocks.append(_mobile_steps(steps, mobile, framework))
    return accumulate(np.concatenate(blocks))


def _mobile_steps(steps: FloatArray, mobile: ArrayLike, framework: ArrayLike | None) -> FloatArray:
    selected = as_mask(mobile, steps.shape[1], "mobile")
    if not selected.any():
        raise AnalysisError(
            "there are no mobile ions",
            given=f"0 of {steps.shape[1]} atoms are marked as mobile",
            remedy="check the name of the mobile species",
        )
    reference = ~selected if framework is None else as_mask(framework, len(selected), "framework")
    if framework is not None or reference.any():
        return remove_drift(steps, reference)[:, selected]
    return steps[:, selected]
