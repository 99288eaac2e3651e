"""Every family against formulae counted by hand, and the rules of its declaration."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.core import Composition

from haloflow.errors import CompositionError, InputError, UnknownNameError
from haloflow.stores.documents import LiteratureValue
from haloflow.systems.components import component
from haloflow.systems.families import crystal_literature, custom_family, get_family, list_families
from haloflow.systems.formulae import formula_of
from haloflow.systems.mixture import Mixture
from haloflow.systems.phases import get_phase

POINTS = [
    (family, former, value)
    for family in list_families()
    for former in family.formers or (None,)
    for value in (
        (*family.variable.published, family.variable.upper) if family.variable else (None,)
    )
]


@pytest.mark.parametrize(
    ("family", "value", "former", "atoms"),
    [
        ("namocl4", None, "Ta", {"Na": 1, "Ta": 1, "O": 1, "Cl": 4}),
        ("namocl4", None, "Nb", {"Na": 1, "Nb": 1, "O": 1, "Cl": 4}),
        ("na2o-natacl6", 1.0, "NaTaCl6", {"Na": 3, "Ta": 1, "O": 1, "Cl": 6}),
        ("na2o-natacl6", 0.5, "NaTaCl6", {"Na": 2, "Ta": 1, "O": 0.5, "Cl": 6}),
        ("na2o-natacl6", 1.0, "TaCl5", {"Na": 2, "Ta": 1, "O": 1, "Cl": 5}),
        ("na2o2-mcly", 1.2, "Hf", {"Na": 2.4, "Hf": 1, "O": 2.4, "Cl": 4}),
        ("na2o2-mcly", 0.8, "Hf", {"Na": 1.6, "Hf": 1, "O": 1.6, "Cl": 4}),
        ("na2o2-mcly", 1.0, "Zr", {"Na": 2, "Zr": 1, "O": 2, "Cl": 4}),
        ("na2o2-mcly", 1.0, "Ta", {"Na": 2, "Ta": 1, "O": 2, "Cl": 5}),
        ("tacl5-na2s", 0.5, None, {"Na": 1, "Ta": 1, "S": 0.5, "Cl": 5}),
        ("tacl5-na2s", 0.25, "Ta", {"Na": 0.5, "Ta": 1, "S": 0.25, "Cl": 5}),
        ("nayzrcl", 0.0, None, {"Na": 2.25, "Y": 0.25, "Zr": 0.75, "Cl": 6}),
        ("nayzrcl", 1.625, None, {"Na": 0.625, "Y": 0.25, "Zr": 0.75, "Cl": 4.375}),
        ("nayzrcl", 2.0, None, {"Na": 0.25, "Y": 0.25, "Zr": 0.75, "Cl": 4}),
    ],
)
def test_compositions_equal_hand_counted_formulae(family, value, former, atoms):
    mixture = get_family(family).mixture(value, former=former)
    assert mixture.composition.as_dict() == pytest.approx(atoms)
    assert mixture.net_charge() == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize(
    ("family", "value", "former", "states"),
    [
        ("namocl4", None, "Ta", {"Na": [1], "Ta": [5], "O": [-2], "Cl": [-1]}),
        ("na2o2-mcly", 1.0, "Hf", {"Na": [1], "Hf": [4], "O": [-1], "Cl": [-1]}),
        ("tacl5-na2s", 0.5, None, {"Na": [1], "Ta": [5], "S": [-2], "Cl": [-1]}),
        ("nayzrcl", 1.0, None, {"Na": [1], "Y": [3], "Zr": [4], "Cl": [-1]}),
    ],
)
def test_oxidation_states_are_those_of_the_chemistry(family, value, former, states):
    assert get_family(family).mixture(value, former=former).element_oxidation_states() == states


@pytest.mark.parametrize(("family", "former", "value"), POINTS)
def test_every_published_point_can_be_made_of_whole_units(family, former, value):
    mixture = family.mixture(value, former=former)
    assert set(mixture.anions()) <= set(family.anions)
    units = mixture.integer_units()
    assert units.n_mobile >= 24
    assert units.max_deviation < 0.01


@settings(deadline=None, max_examples=40)
@given(st.data())
def test_every_family_is_neutral_all_over_its_range(data):
    family = data.draw(st.sampled_from(list_families()))
    former = data.draw(st.sampled_from(family.formers or (None,)))
    variable = family.variable
    value = data.draw(st.floats(variable.lower, variable.upper)) if variable else None
    mixture = family.mixture(value, former=former)
    assert mixture.net_charge() == pytest.approx(0.0, abs=1e-9)
    assert set(mixture.composition.as_dict()) <= {"Na", *mixture.formers(), *family.anions}


def test_the_five_families_declare_their_published_values():
    assert {f.id: f.variable.published if f.variable else () for f in list_families()} == {
        "namocl4": (),
        "na2o-natacl6": (1.0,),
        "na2o2-mcly": (0.8, 0.9, 1.0, 1.1, 1.2),
        "tacl5-na2s": (0.25, 0.5, 0.75, 1.0),
        "nayzrcl": (0.0, 1.375, 1.5, 1.625, 1.75, 1.875, 2.0),
    }
    assert get_family("na2o2-mcly").variable.published_range == (0.8, 1.2)


def test_crystals_belong_to_their_former_and_value_and_have_the_mobile_ion():
    def ids(family, *args, **kwargs):
        return [c.phase_id for c in get_family(family).crystals_for(*args, **kwargs)]

    assert ids("namocl4", former="Nb") == ["NaNbOCl4_polar", "NaNbOCl4_Cmc21"]
    assert ids("namocl4", former="Ta")[0] == "NaTaOCl4_Cm"
    assert ids("nayzrcl", 0.0) == ["Na2.25Y0.25Zr0.75Cl6_ordered"]
    assert ids("nayzrcl", 1.5) == []
    for family in list_families():
        for crystal in family.crystals:
            phase = get_phase(crystal.phase_id)
            assert "Na" in phase.elements
            assert component(phase.formula, phase_id=phase.id).oxidation_states["Na"] == 1


@pytest.mark.parametrize("former", ["Nb", "Ta"])
def test_first_crystals_have_the_composition_of_the_glass(former):
    family = get_family("namocl4")
    crystal = get_phase(family.crystals_for(former=former)[0].phase_id)
    mixture = family.mixture(former=former)
    assert formula_of(crystal.composition) == mixture.formula


def test_literature_rows_are_whole_and_fit_the_stored_document():
    n_rows = 0
    for family in list_families():
        for row in family.literature:
            value = LiteratureValue.model_validate(row.as_document())
            assert value.phases_present
            assert value.source
            assert any(x is not None for x in (value.value, value.lower, value.upper))
            n_rows += 1
    assert n_rows > 80


def test_milled_namocl4_stands_in_neither_column():
    family = get_family("namocl4")
    rows = [row for row in family.literature if row.kind == "experiment"]
    assert {row.value for row in rows if row.quantity == "sigma_300k_ms_cm"} == {1.2, 1.5}
    assert all(row.phase is None for row in rows)
    assert all("neither the crystal nor the glass" in row.phases_present for row in rows)


@pytest.mark.parametrize(
    ("family", "point", "phase", "quantity", "expected"),
    [
        ("namocl4", (None, "Ta"), "glass", "sigma_300k_ms_cm", {9.36, 1.5}),
        ("namocl4", (None, "Nb"), "crystal", "energy_above_hull_ev_per_atom", {0.0116}),
        ("namocl4", (None, "Ta"), "glass", "energy_above_hull_ev_per_atom", {0.0449}),
        ("na2o-natacl6", (1.0, "TaCl5"), "glass", "sigma_300k_ms_cm", {1.54}),
        ("na2o-natacl6", (0.0, "NaTaCl6"), "crystal", "sigma_300k_ms_cm", {0.11}),
        ("na2o2-mcly", (1.0, "Ta"), "glass", "activation_energy_ev", {0.30}),
        ("na2o2-mcly", (1.1, "Ta"), "glass", "activation_energy_ev", set()),
        ("tacl5-na2s", (0.5, None), "glass", "glass_transition_k", {466.0}),
        ("tacl5-na2s", (0.5, None), "glass", "sigma_300k_ms_cm", {2.9, 9.31}),
        ("nayzrcl", (1.625, None), "glass", "sigma_300k_ms_cm", {0.40}),
        ("nayzrcl", (0.0, None), "crystal", "activation_energy_ev", {0.664}),
    ],
)
def test_published_values_are_found_for_a_candidate(family, point, phase, quantity, expected):
    value, former = point
    rows = get_family(family).literature_for(value, former=former, phase=phase)
    assert {row.value for row in rows if row.quantity == quantity} == expected


def test_published_values_of_a_crystal_come_from_all_its_families():
    rows = crystal_literature("NaTaCl6_P21c")
    assert {row.source for row in rows} == {"Jin et al.", "Ojelade et al."}
    assert {row.value for row in rows if row.quantity == "sigma_300k_ms_cm"} == {0.11}
    assert {row.value for row in rows if row.quantity == "hop_distance_a"} == {5.13}
    assert crystal_literature("NaTaSCl4_model") == []
    hafnium = crystal_literature("Na2HfCl6_P21n")
    assert [row.value for row in hafnium] == [0.02, 0.42]
    assert crystal_literature("NaCl_B1") == []


def test_the_one_to_one_oxychloride_is_not_called_homogeneous():
    (best,) = (row for row in get_family("na2o-natacl6").literature if row.value == 4.41)
    assert "not a homogeneous Na3TaOCl6" in best.phases_present
    assert "NaCl" in best.phases_present


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda: get_family("namocl5"), UnknownNameError, "What to do: did you mean namocl4"),
        (
            lambda: get_family("namocl4").mixture(),
            CompositionError,
            "family namocl4 needs a network former of its list. Given: no former. Allowed: Nb, Ta.",
        ),
        (
            lambda: get_family("nayzrcl").mixture(1.0, former="Hf"),
            CompositionError,
            "family nayzrcl has no choice of network former. Given: Hf.",
        ),
        (
            lambda: get_family("tacl5-na2s").mixture(3.0),
            CompositionError,
            (
                "x is out of the range of family tacl5-na2s. Given: 3.0. Allowed: 0.05 to 2.5. "
                "What to do: published: 0.25, 0.5, 0.75, 1.0."
            ),
        ),
        (
            lambda: get_family("tacl5-na2s").mixture(float("nan")),
            CompositionError,
            "x is out of the range",
        ),
        (
            lambda: get_family("tacl5-na2s").mixture(),
            CompositionError,
            "the variables of family tacl5-na2s do not match. Given: no value.",
        ),
        (
            lambda: get_family("namocl4").mixture(0.5, former="Ta"),
            CompositionError,
            "Given: {'x': 0.5}. Allowed: a value for each of: none.",
        ),
        (
            lambda: custom_family({"Na2S": "y"}, variables={"x": (0, 1)}),
            CompositionError,
            (
                "the amount of Na2S cannot be read. Given: 'y'. Allowed: numbers, + - * /, "
                "parentheses and the variable x. What to do: write it like 2.25 - x."
            ),
        ),
        (
            lambda: custom_family({"Na2S": "1 +"}),
            CompositionError,
            (
                "the amount of Na2S cannot be read. Given: '1 +'. Allowed: numbers, + - * /, "
                "parentheses and no variable."
            ),
        ),
        (
            lambda: custom_family({"Na2S": "x", "NaCl": "x ** 2"}, variables={"x": (0, 1)}),
            CompositionError,
            "the amount of NaCl cannot be read. Given: 'x ** 2'.",
        ),
        (
            lambda: custom_family({"NaCl": "1 / (x - 1)"}, variables={"x": (0, 2)}).mixture(1.0),
            CompositionError,
            "the amount of NaCl cannot be read. Given: '1 / (x - 1)'.",
        ),
        (lambda: custom_family({}), InputError, "family custom is not consistent at components."),
        (lambda: custom_family({"KCl": 1}), CompositionError, "the oxidation states of KCl"),
        (
            lambda: custom_family({"Na2S": "x"}, variables={"x": (1.0, 0.5)}),
            InputError,
            "Value error, upper must not be below lower",
        ),
        (
            lambda: custom_family(
                [{"formula": {"Hf": "HfCl4"}, "amount": 1}], formers=["Hf", "Zr"]
            ),
            InputError,
            "component {'Hf': 'HfCl4'} needs a formula for every former",
        ),
        (
            lambda: custom_family({"NaCl": 1}, crystals=[{"phase_id": "NaCl_B1", "former": "Ta"}]),
            InputError,
            "names an unknown former or variable",
        ),
        (
            lambda: custom_family({"NaCl": 1}, crystals=[{"phase_id": "NaCl_B2"}]),
            UnknownNameError,
            "unknown phase. Given: NaCl_B2.",
        ),
        (
            lambda: custom_family({"NaCl": "x"}, variables=None, variables_=1),
            InputError,
            "Extra inputs are not permitted",
        ),
        (
            lambda: custom_family({"NaCl": "1 - x"}, variables={"x": (0, 2)}).mixture(1.5),
            CompositionError,
            "the amount of NaCl is not possible. Given: -0.5.",
        ),
    ],
)
def test_wrong_choices_are_errors_that_say_what_is_allowed(call, kind, message):
    with pytest.raises(kind) as caught:
        call()
    assert message in str(caught.value)


def test_published_values_outside_the_range_are_refused():
    row = get_family("tacl5-na2s").variable.model_dump() | {"published": (9.0,)}
    with pytest.raises(ValueError, match="published values must lie between lower and upper"):
        type(get_family("tacl5-na2s").variable).model_validate(row)


def test_a_pseudo_binary_of_the_user_takes_one_call():
    family = custom_family({"Na2S": "x", "NbCl5": 1}, variables={"x": (0.1, 1.0)})
    mixture = family.mixture(0.5)
    assert mixture == Mixture({"NbCl5": 1, "Na2S": 0.5})
    assert mixture.composition == Composition("NaNbS0.5Cl5")


def test_a_pseudo_ternary_of_the_user_has_two_variables():
    family = custom_family(
        {"NaCl": "1 - x - y", "Na2O": "x", "ZrCl4": "y"},
        id="ternary",
        variables={"x": (0.0, 0.5), "y": (0.1, 0.5)},
    )
    mixture = family.mixture({"x": 0.25, "y": 0.5})
    assert mixture.composition == Composition("Na0.75O0.25Zr0.5Cl2.25")
    assert family.mixture({"x": 0.3, "y": 0.4}).net_charge() == pytest.approx(0.0, abs=1e-12)


def test_amounts_that_vanish_by_rounding_leave_the_component_out():
    family = custom_family({"NaCl": "0.3 - x", "ZrCl4": 1, "Na2O": 1}, variables={"x": (0.0, 0.5)})
    assert family.mixture(0.1 + 0.2).label == "Na2O + ZrCl4"


def test_unknown_compounds_of_the_user_come_with_states_and_volume():
    family = custom_family(
        [
            {
                "formula": "NaF",
                "amount": 1,
                "oxidation_states": {"Na": 1, "F": -1},
                "volume_a3": 25,
            },
            {"formula": {"Zr": "ZrCl4", "Hf": "HfCl4"}, "amount": 0.5},
        ],
        formers=["Zr", "Hf"],
    )
    assert family.mixture(former="Hf").composition == Composition("NaFHf0.5Cl2")
    assert family.mixture(former="Zr").density_g_cm3() > 1
