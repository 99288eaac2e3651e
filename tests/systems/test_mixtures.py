"""Components and mixtures against hand counts and invariants."""

import pickle
from fractions import Fraction
from math import ceil

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.core import Composition

from haloflow.errors import CompositionError
from haloflow.systems.components import Component, component, known_oxidation_states
from haloflow.systems.expressions import evaluate, names
from haloflow.systems.mixture import Mixture

AMOUNTS = st.dictionaries(
    st.sampled_from([f for f in known_oxidation_states() if component(f).phase_id]),
    st.floats(0.05, 5.0).map(lambda x: round(x, 3)),
    min_size=1,
    max_size=4,
)
QUICK = settings(deadline=None, max_examples=60)


def test_peroxide_oxygen_is_minus_one():
    peroxide, oxide = component("Na2O2"), component("Na2O")
    assert peroxide.oxidation_states == {"Na": 1.0, "O": -1.0}
    assert peroxide.is_peroxide
    assert not oxide.is_peroxide
    mixed = Mixture({"Na2O2": 1, "Na2O": 1})
    assert mixed.element_oxidation_states() == {"Na": [1.0], "O": [-2.0, -1.0]}


def test_volumes_come_from_the_lowest_reference_polymorph_per_written_formula():
    nacl = component("NaCl")
    assert nacl.phase_id == "NaCl_B1"
    assert nacl.volume_a3_per_formula == pytest.approx(5.62254**3 / 4)
    assert component("Na2Cl2").volume_a3_per_formula == pytest.approx(5.62254**3 / 2)
    assert component("TaCl5", phase_id="TaCl5_P-1").phase_id == "TaCl5_P-1"


def test_every_known_component_is_neutral():
    for formula in known_oxidation_states():
        assert component(formula).composition.num_atoms >= 2


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: component("NaF"),
            "the oxidation states of NaF are not known and are never guessed",
        ),
        (lambda: component("Naa2O"), "a formula cannot be read. Given: 'Naa2O'"),
        (lambda: component(""), "a formula cannot be read. Given: ''"),
        (
            lambda: component("NaF", {"Na": 1}),
            "the oxidation states of NaF do not fit its elements",
        ),
        (lambda: component("Na2O2", {"Na": 1, "O": -2}), "leave a charge of -2. Given: {'Na': 1.0"),
        (lambda: component("NaCl", volume_a3=0), "the volume of NaCl is not positive. Given: 0"),
        (lambda: component("NaCl", phase_id="TaCl5_C2m"), "has another composition than NaCl"),
        (
            lambda: component("NaF", {"Na": 1, "F": -1}).volume_a3_per_formula,
            (
                "the volume of NaF is not known. Given: NaF. Allowed: components with a reference "
                "phase in the library. What to do: give volume_a3 (A3 per formula unit)"
            ),
        ),
        (lambda: Mixture({"NaCl": -0.1}), "the amount of NaCl is not possible. Given: -0.1"),
        (lambda: Mixture({"NaCl": float("nan")}), "the amount of NaCl is not possible. Given: nan"),
        (lambda: Mixture({"NaCl": 0.0}), "a mixture needs components, each formula once"),
        (
            lambda: Mixture({component("TaCl5"): 1, component("TaCl5", phase_id="TaCl5_P-1"): 1}),
            "a mixture needs components, each formula once. Given: TaCl5, TaCl5",
        ),
        (lambda: Mixture({"TaCl5": 1}).integer_units(), "TaCl5 holds no Na, the mobile ion"),
        (
            lambda: Mixture({"NaCl": 1}).integer_units(target_n_atoms=8, target_n_mobile=4),
            "two targets for the size are given. Given: 4 mobile ions and 8 atoms",
        ),
        (
            lambda: Mixture({"NaCl": 1, "TaCl5": 0.01}).integer_units(target_n_atoms=10),
            (
                "0.01 TaCl5 cannot be made of whole formula units at this size. Given: 10 atoms. "
                "Allowed: sizes that hold at least one formula unit of every component. "
                "What to do: ask for 206 or more."
            ),
        ),
        (lambda: evaluate("2.25 - y", {"x": 1.0}), "an amount cannot be read. Given: '2.25 - y'"),
        (lambda: evaluate("x +", {"x": 1.0}), "an amount cannot be read"),
        (lambda: evaluate("1 / (x - 1)", {"x": 1.0}), "an amount cannot be read"),
        (lambda: evaluate("x ** 2", {"x": 1.0}), "+ - * /, parentheses and the variable x"),
        (lambda: evaluate("__import__('os')", {}), "an amount cannot be read"),
    ],
)
def test_wrong_input_is_an_error_that_says_what_to_do(call, message):
    with pytest.raises(CompositionError) as caught:
        call()
    assert message in str(caught.value)
    assert "What to do: " in str(caught.value)


def test_expressions_are_arithmetic_of_the_variables():
    assert evaluate("2.25 - x", {"x": 1.625}) == pytest.approx(0.625)
    assert evaluate("-(1 - x - y) * 2 / 4", {"x": 0.2, "y": 0.3}) == pytest.approx(-0.25)
    assert evaluate(3, {}) == 3.0
    assert names("1 - x - 0.5*y") == {"x", "y"}


def test_a_component_of_the_user_needs_states_and_a_volume():
    fluoride = component("NaF", {"Na": 1, "F": -1}, volume_a3=24.9)
    mixture = Mixture({fluoride: 1.0, component("ZrCl4"): 2.0})
    assert mixture.volume_a3() == pytest.approx(24.9 + 2 * component("ZrCl4").volume_a3_per_formula)
    assert mixture.anions() == ["Cl", "F"]
    assert mixture.formers() == ["Zr"]
    assert pickle.loads(pickle.dumps(mixture)) == mixture  # noqa: S301  (our own bytes)


@QUICK
@given(AMOUNTS)
def test_every_mixture_is_neutral(amounts):
    mixture = Mixture(amounts)
    assert mixture.net_charge() == pytest.approx(0.0, abs=1e-9)
    counted = sum((Composition(f) * n for f, n in amounts.items()), Composition())
    assert mixture.composition.almost_equals(counted)
    assert 0.5 < mixture.density_g_cm3() < 11


@QUICK
@given(AMOUNTS, st.floats(0.1, 50), st.randoms(use_true_random=False))
def test_order_and_scale_do_not_change_the_canonical_form(amounts, scale, random):
    items = [(formula, amount * scale) for formula, amount in amounts.items()]
    random.shuffle(items)
    one, other = Mixture(amounts), Mixture(dict(items))
    assert one == other
    assert hash(one) == hash(other)
    assert one.canonical() == other.canonical()
    assert sum(one.fractions().values()) == pytest.approx(1.0)


def test_what_differs_has_another_canonical_form():
    base = Mixture({"NaCl": 1, "TaCl5": 1})
    assert base != Mixture({"NaCl": 1, "TaCl5": 1.01})
    assert base != Mixture({"NaTaCl6": 1})
    assert base != Mixture({component("NaCl", volume_a3=40.0): 1, component("TaCl5"): 1})
    assert base.canonical()["NaCl"]["fraction"] == "1/2"


@QUICK
@given(AMOUNTS, st.integers(4, 40))
def test_whole_units_are_neutral_near_the_asked_composition_and_large_enough(amounts, target):
    mixture = Mixture({**amounts, "NaCl": 1.0})
    per_unit = float(mixture.composition.num_atoms) / sum(mixture.amounts.values())
    least_units = 1 / min(mixture.fractions().values())
    n_atoms = max(20 * target, ceil(1.15 * per_unit * least_units))
    units = mixture.integer_units(target_n_atoms=n_atoms)
    charge = sum(
        n * units.counts[part.formula] * part.oxidation_states[symbol]
        for part in mixture.amounts
        for symbol, n in part.composition.get_el_amt_dict().items()
    )
    assert charge == 0
    total = sum(units.counts.values())
    asked = mixture.fractions()
    for formula, count in units.counts.items():
        assert abs(Fraction(count, total) - asked[formula]) < Fraction(1, total)
    assert abs(units.n_atoms - n_atoms) <= 0.12 * n_atoms
    assert mixture.integer_units(target_n_mobile=units.n_mobile).n_mobile >= units.n_mobile


def test_the_default_size_holds_24_mobile_ions_and_states_its_deviation():
    exact = Mixture({"NaCl": 0.625, "YCl3": 0.25, "ZrCl4": 0.75}).integer_units()
    assert exact.counts == {"NaCl": 25, "YCl3": 10, "ZrCl4": 30}
    assert exact.statement == "25 NaCl, 10 YCl3, 30 ZrCl4: exactly the asked composition"
    small = Mixture({"Na2O2": 1.2, "HfCl4": 1}).integer_units(target_n_atoms=40)
    assert small.counts == {"HfCl4": 4, "Na2O2": 5}
    assert small.n_atoms == 40
    assert small.n_mobile == 10
    assert small.max_deviation == pytest.approx(4 / 9 - 1 / 2.2 + 2 * abs(4 / 9 - 1 / 2.2))
    assert small.statement.endswith("within 1.01% of all formula units of the asked one")


def test_formulas_are_reduced_and_labels_keep_the_amounts():
    mixture = Mixture({"Na2O2": 1.2, "HfCl4": 1})
    assert Composition(mixture.formula) == Composition("Na12Hf5O12Cl20")
    assert mixture.label == "HfCl4 + 1.2 Na2O2"
    assert repr(mixture) == "Mixture(HfCl4 + 1.2 Na2O2)"


def test_the_density_is_that_of_the_unmixed_components():
    sodium_chloride = Mixture({"NaCl": 3})
    assert sodium_chloride.density_g_cm3() == pytest.approx(
        4 * 58.44277 / 5.62254**3 * 1.660539, 1e-5
    )
    assert Mixture({"NaCl": 1, "TaOCl3": 1}).density_g_cm3() == pytest.approx(3.77, abs=0.01)


def test_components_with_equal_contents_are_equal():
    assert component("NaCl") == Component("NaCl", {"Na": 1.0, "Cl": -1.0}, "NaCl_B1")
    assert len({component("NaCl"), component("NaCl")}) == 1
