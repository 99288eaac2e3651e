"""Synthetic trajectories whose answers are known."""

from __future__ import annotations

import numpy as np
import pytest

TRICLINIC = np.array([[9.0, 0.0, 0.0], [2.5, 8.0, 0.0], [-1.5, 2.0, 10.0]])


@pytest.fixture(scope="session")
def triclinic():
    return TRICLINIC.copy()


@pytest.fixture(scope="session")
def brownian():
    """Return a maker of Brownian paths with a vibration on top, (n_frames, n_ions, 3)."""

    def make(seed, *, n_ions, n_frames, d_a2_ps, frame_ps, rattle_a=0.0):
        rng = np.random.default_rng(seed)
        steps = rng.normal(0.0, np.sqrt(2.0 * d_a2_ps * frame_ps), (n_frames, n_ions, 3))
        return np.cumsum(steps, axis=0) + rng.normal(0.0, rattle_a, steps.shape)

    return make


@pytest.fixture(scope="session")
def hopping():
    """Return a maker of random hops of one length between vibrations."""

    def make(seed, *, n_ions, n_frames, d_a2_ps, frame_ps, hop_a=3.7, rattle_a=0.3):
        rng = np.random.default_rng(seed)
        number = rng.poisson(6.0 * d_a2_ps * frame_ps / hop_a**2, (n_frames, n_ions))
        steps = np.zeros((n_frames, n_ions, 3))
        for done in range(number.max(initial=0)):
            direction = rng.normal(size=steps.shape)
            direction *= hop_a / np.linalg.norm(direction, axis=2, keepdims=True)
            steps += direction * (number > done)[..., None]
        return np.cumsum(steps, axis=0) + rng.normal(0.0, rattle_a, steps.shape)

    return make


@pytest.fixture(scope="session")
def back_jumping():
    """Return a maker of hops on a cubic lattice that often go back: paths and true D in A2/ps.

    An ion repeats its last jump backwards with a probability such that the correlation factor
    (1 + <cos>) / (1 - <cos>) of its walk is `factor`; D = factor * hops_ps * hop_a^2 / 6.
    """
    axes = np.concatenate([np.eye(3), -np.eye(3)])

    def make(seed, *, n_ions, n_frames, hops_ps, factor, frame_ps=0.1, hop_a=3.7, rattle_a=0.2):
        rng = np.random.default_rng(seed)
        goes_back = (1.0 - factor) / (1.0 + factor)
        steps = np.zeros((n_frames, n_ions, 3))
        for ion in range(n_ions):
            frames = 1 + np.flatnonzero(rng.random(n_frames - 1) < hops_ps * frame_ps)
            back = rng.random(len(frames)) < goes_back
            ways = rng.integers(6, size=len(frames))
            for k in range(1, len(frames)):
                if back[k]:
                    ways[k] = (ways[k - 1] + 3) % 6
            steps[frames, ion] = axes[ways]
        path = hop_a * np.cumsum(steps, axis=0) + rng.normal(0.0, rattle_a, steps.shape)
        return path, factor * hops_ps * hop_a**2 / 6.0

    return make


@pytest.fixture(scope="session")
def nacl():
    """Return a maker of rock-salt supercells: positions, cell, species."""

    def make(repeats, *, a=5.64, rattle_a=0.0, seed=0, n_frames=1):
        half = np.array([[0, 0, 0], [0, 1, 1], [1, 0, 1], [1, 1, 0]]) / 2.0
        basis = np.concatenate([half, half + np.array([0.5, 0.0, 0.0])]) * a
        shifts = np.stack(np.meshgrid(*[np.arange(n) for n in repeats], indexing="ij"), -1)
        positions = (shifts.reshape(-1, 1, 3) * a + basis).reshape(-1, 3)
        species = (["Na"] * 4 + ["Cl"] * 4) * int(np.prod(repeats))
        noise = np.random.default_rng(seed).normal(0.0, rattle_a, (n_frames, *positions.shape))
        return positions + noise, np.diag(np.array(repeats) * a), species

    return make
