"""How numbers read."""

from __future__ import annotations

import math

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from haloflow.dashboard import wording
from haloflow.dashboard.panels import Fact
from haloflow.dashboard.view import unique_titles
from haloflow.quantity import Quantity, Status
from haloflow.stores.documents import HullProduct, LiteratureValue
from haloflow.workflows.levels import level_error_ev_per_atom


@pytest.mark.parametrize(
    ("quantity", "text"),
    [
        (None, "–"),
        (Quantity(), "–"),
        (Quantity(9.3), "9.30"),
        (Quantity(math.nan), "–"),
        (Quantity(0.0453, 0.0031), "0.0453 ± 0.0031"),
        (Quantity(0.216, 0.0123), "0.216 ± 0.012"),
        (Quantity(12345.0, 210.0), "(1.234 ± 0.021)e4"),
        (Quantity(1234.0, 21.0), "1234 ± 21"),
        (Quantity(1.23e-5, 2e-6), "(1.23 ± 0.20)e−5"),
        (Quantity(0.0, 0.5), "0.0 ± 0.5"),
        (Quantity(2.3, 1.2, 0.8, 6.1), "2.3 [0.80, 6.1]"),
        (Quantity(2.0, 0.1, 1.8, 2.2), "2.00 ± 0.10"),
        (Quantity(5.0, 20.0, None, 9.0), "5.0 (≤ 9.0)"),
        (Quantity(lower=0.1), "≥ 0.10"),
        (Quantity(upper=3e-6), "≤ 3.0e−6"),
        (Quantity(lower=0.1, upper=3.0), "0.10 … 3.0"),
    ],
)
def test_quantities_read_with_their_error_or_bound(quantity, text):
    assert wording.quantity_text(quantity) == text


def ascii_of(text):
    """Return a number as Python reads it; no other character than the minus sign is changed."""
    assert "-" not in text
    return text.replace("−", "-")


def test_nothing_is_a_negative_zero():
    assert wording.energy_text(Quantity(-1e-5)) == "0"
    assert wording.with_minus("-0.00 ± 0.04") == "0.00 ± 0.04"
    assert wording.with_minus("-0.03 ± 0.04") == "−0.03 ± 0.04"


def test_evidence_reads_as_words_with_units():
    numbers = {"msd_Ta_a2": 5.02, "nearest_neighbour_Ta_a": 1.88, "q_inv_a": 1.49, "n_blocks": 3}
    assert wording.evidence_text(numbers) == (
        "MSD Ta 5.02 Å², nearest neighbour Ta 1.88 Å, q 1.49 Å⁻¹, blocks 3.00"
    )


def test_energies_read_in_mev():
    assert wording.energy_text(Quantity(-0.0226)) == "−23"
    assert wording.energy_text(Quantity(0.0453, 0.0031)) == "45.3 ± 3.1"


@settings(deadline=None, max_examples=200)
@given(st.floats(-1e30, 1e30).filter(lambda x: abs(x) > 1e-30), st.integers(1, 6))
def test_a_number_is_within_half_of_its_last_digit(value, digits):
    assert float(ascii_of(wording.number(value, digits))) == pytest.approx(
        value, rel=0.5001 * 10 ** (1 - digits)
    )


@settings(deadline=None, max_examples=200)
@given(st.floats(-1e8, 1e8), st.floats(1e-8, 1e8))
def test_a_value_is_rounded_within_its_error(value, sd):
    assume(sd > 1e-9 * abs(value))
    text = ascii_of(wording.quantity_text(Quantity(value, sd)))
    mantissas, _, power = text.partition(")e")
    shown, error = (float(part.strip("() ")) for part in mantissas.split("±"))
    factor = 10.0 ** int(power or 0)
    assert abs(shown * factor - value) <= 0.5001 * sd
    assert error * factor == pytest.approx(sd, rel=0.26)


def test_every_status_has_a_word_and_a_meaning():
    assert set(wording.STATUS_LABELS) == set(wording.STATUS_MEANINGS) == set(Status)
    assert wording.status_label(None) == "–"


def test_a_reason_stands_wherever_a_number_is_not_ok():
    assert wording.reason(Quantity(1.0)) == ""
    assert wording.reason(Quantity(1.0, status=Status.UNCONVERGED, note="3 hops")) == "3 hops"
    assert "too short" in wording.reason(Quantity(status=Status.UNCONVERGED))


def test_products_stand_with_the_largest_first():
    products = [
        HullProduct(phase_id="a", formula="NaCl", amount=0.25),
        HullProduct(phase_id="b", formula="TaOCl3", amount=0.75),
    ]
    assert wording.decomposition_text(products) == "0.75 TaOCl3 + 0.25 NaCl"
    assert wording.decomposition_text([]) == "–"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(3.21, "3.2 s"), (59.6, "1 min 00 s"), (185, "3 min 05 s"), (7620, "2 h 07 min")],
)
def test_durations(seconds, text):
    assert wording.duration_text(seconds) == text


@pytest.mark.parametrize(
    ("n_bytes", "text"), [(12, "12 B"), (12345, "12.3 kB"), (5e6, "5.0 MB"), (7e9, "7.0 GB")]
)
def test_sizes(n_bytes, text):
    assert wording.size_text(n_bytes) == text


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("sigma_300k_ms_cm", "σ(300 K) (mS/cm)"),
        ("energy_above_hull_ev_per_atom", "E_hull (eV/atom)"),
        ("hop_distance_a", "hop distance (Å)"),
        ("oxygen_per_ta", "oxygen per ta"),
    ],
)
def test_published_quantities_have_names_and_units(name, label):
    row = LiteratureValue(
        quantity=name, value=1.0, kind="computed", phases_present="glass", source="X"
    )
    assert wording.literature_label(row) == label


def test_footnotes_say_levels_their_error_rates_and_cautions(views):
    notes = " ".join(wording.footnotes(view.summary for view in views))
    error_mev = 1000 * level_error_ev_per_atom("chgnet-r2scan")
    assert f"E_hull: level chgnet-r2scan. Its error is some {error_mev:.0f} meV/atom" in notes
    assert "Transport: level chgnet-r2scan-d3." in notes
    assert "quenched at 4.0e14 K/s" in notes
    assert "NaTaCl6 crystal: searched model" in notes


@pytest.mark.parametrize("level", ["chgnet-0.3.0", "mace-medium", "sevennet-0", "mace:my.model"])
def test_the_error_of_e_hull_is_not_measured_at_other_levels_and_each_says_so(views, level):
    other = views[0].summary.model_copy(update={"levels": {"hull": level}})
    note = wording.footnotes([other])[0]
    assert note.startswith(f"E_hull: level {level}. Its error is not measured")
    assert "let DFT decide" in note


def test_products_that_are_models_or_unverified_carry_a_dagger_and_a_footnote(views):
    product = HullProduct(phase_id="NaTaCl6_P21c", formula="NaTaCl6", amount=1.0)
    sound = HullProduct(phase_id="TaO2_of_mine", formula="TaO2", amount=0.5)
    assert wording.decomposition_text([product, sound]) == "1.00 NaTaCl6† + 0.50 TaO2"
    assert wording.formula_units_text([product, sound]) == "NaTaCl6† + 0.500 TaO2"
    summary = views[0].summary.model_copy(update={"decomposition": [product, sound]})
    notes = wording.footnotes([summary])
    assert "† NaTaCl6_P21c: searched model, not a measured structure." in notes
    assert not [note for note in notes if "TaO2_of_mine" in note]


def test_several_quench_rates_are_given_as_a_range(views):
    rates = [views[0].summary.model_copy(update={"quench_rate_k_s": r}) for r in (1e13, 4e14)]
    assert "1.0e13 K/s to 4.0e14 K/s" in " ".join(wording.footnotes(rates))


def test_titles_are_unique(views):
    twin = views[0].summary.model_copy(update={"candidate_id": "other-id"})
    titles = unique_titles([views[0].summary, twin, views[1].summary])
    assert len(set(titles.values())) == 3
    assert titles["other-id"].endswith("[other-id]")
    assert titles[views[1].summary.candidate_id] == views[1].summary.label


def test_facts_claim_nothing_of_what_is_not_known():
    unknown = Fact("D(800 K)", Quantity(), unit="cm²/s").row()
    assert (unknown["text"], unknown["status"]) == ("–", None)
    assert unknown["reason"] == "not computed"
    lost = Fact("D(800 K)", Quantity(status=Status.DIVERGED, note="it blew up")).row()
    assert (lost["status"], lost["reason"]) == (Status.DIVERGED, "it blew up")
    small = Fact("E", Quantity(-3.2e-9, 4e-10)).row()
    assert small["text"] == "(−3.2 ± 0.4)e−9"
    assert Fact("E", Quantity(-0.0924, 0.0041), energy=True).row()["text"] == "−92 ± 4"


def test_screens_say_what_they_ask():
    screen = {"energy_above_hull_ev_per_atom": 0.1, "sigma_300k_ms_cm": 1.0}
    assert wording.screen_text(screen) == "E_hull ≤ 100 meV/atom and σ(300 K) ≥ 1.00 mS/cm"
    assert wording.screen_text({}) == ""
