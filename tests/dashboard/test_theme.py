"""Colours that tell high from low can be seen on light paper and on dark."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import pytest

from haloflow import dashboard
from haloflow.dashboard.theme import SCALE, temperature_colour

TOKENS = Path(dashboard.__file__).parent / "static" / "css" / "tokens.css"
PAPERS = re.search(r"--paper: light-dark\((#\w{6}), (#\w{6})\)", TOKENS.read_text()).groups()
LEAST_CONTRAST = 3.0  # of WCAG 2.2 for what is drawn


def luminance(colour):
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return sum(share * p for share, p in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(one, other):
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def test_contrast_is_that_of_its_definition():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#777777") == 1


@pytest.mark.parametrize("paper", PAPERS)
def test_no_colour_of_the_scale_vanishes(paper):
    for count in range(1, 12):
        for index in range(count):
            assert contrast(temperature_colour(index, count), paper) >= LEAST_CONTRAST


def test_the_scale_goes_from_blue_to_orange_for_the_colour_blind_too():
    # who lacks red or green cones sees what blue has more than yellow
    blues = [int(c[5:7], 16) - (int(c[1:3], 16) + int(c[3:5], 16)) / 2 for c in SCALE]
    assert blues == sorted(blues, reverse=True)
    assert min(one - other for one, other in pairwise(blues)) > 15
