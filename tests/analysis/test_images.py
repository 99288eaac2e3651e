from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from haloflow.analysis.frames import as_frames
from haloflow.analysis.images import contacts_within, lattice_shifts, to_fractions
from haloflow.analysis.neighbours import pairs_within


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 1000), cutoff=st.floats(1.0, 16.0))
def test_contacts_are_those_of_a_cell_list(seed, cutoff, triclinic):
    rng = np.random.default_rng(seed)
    frames, boxes = as_frames(rng.uniform(-2, 2, size=(2, 9, 3)) @ triclinic, triclinic)
    fractions = to_fractions(frames, boxes)
    own = contacts_within(fractions, None, boxes, cutoff)
    both = contacts_within(fractions[:, :4], fractions[:, 4:], boxes, cutoff)
    for number, frame in enumerate(frames):
        found = pairs_within(frame, triclinic, cutoff)
        mine = own.where(own.frame == number)
        twice = np.concatenate([mine.distance_a, mine.distance_a])
        np.testing.assert_allclose(np.sort(twice), np.sort(found.distance_a), atol=1e-9)
        mixed = both.where(both.frame == number)
        cross = found.distance_a[(found.first < 4) & (found.second >= 4)]
        np.testing.assert_allclose(np.sort(mixed.distance_a), np.sort(cross), atol=1e-9)
        image = frame[4:][mixed.second] + mixed.image @ triclinic
        apart = np.linalg.norm(image - frame[:4][mixed.first], axis=1)
        np.testing.assert_allclose(apart, mixed.distance_a, atol=1e-9)


@pytest.mark.parametrize(("reach", "number"), [(4.9, 1), (5.1, 27), (15.2, 125)])
def test_images_are_added_only_where_they_are_needed(reach, number):
    assert len(lattice_shifts(np.eye(3)[None] * 10.0, reach)) == number
