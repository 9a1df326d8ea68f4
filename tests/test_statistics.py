"""Intervals, tests and verdicts against closed forms, brute force and other people's implementations."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from whylook.errors import UsageError
from whylook.statistics import (
    adjusted,
    assessable,
    compare,
    fewest_units,
    holm,
    mcnemar,
    mean_interval,
    needed_n,
    paired_rates,
    rate,
    sign_flip,
    sign_flips,
    spread,
    t_quantile,
    verdict,
    wilson,
)

some = st.lists(st.integers(-40, 40).map(lambda v: v / 8), min_size=1, max_size=9)


@pytest.mark.parametrize(
    ("p", "df", "expected"),
    [(0.975, 1, 12.7062047), (0.975, 2, 4.3026527), (0.95, 5, 2.0150484), (0.975, 29, 2.0452296), (0.995, 100, 2.6258905)],
)  # fmt: skip
def test_student_quantiles_are_those_of_the_tables(p: float, df: int, expected: float) -> None:
    assert t_quantile(p, df) == pytest.approx(expected, rel=1e-7)
    assert t_quantile(1 - p, df) == -t_quantile(p, df)
    assert t_quantile(0.5, df) == pytest.approx(0, abs=1e-12)


def test_student_quantiles_agree_with_scipy() -> None:
    stats = pytest.importorskip("scipy.stats")
    for p, df in itertools.product((0.6, 0.9, 0.975, 0.9999), (1, 2, 3, 4, 7, 30, 99, 1000)):
        assert t_quantile(p, df) == pytest.approx(stats.t.ppf(p, df), rel=1e-10)


def test_few_units_get_the_t_interval() -> None:
    values = [1.0, 2.0, 4.0, 4.5]
    estimate = mean_interval(values)
    half = t_quantile(0.975, 3) * np.std(values, ddof=1) / 2
    assert (estimate.kind, estimate.units, estimate.n) == ("t", 4, 4)
    assert (estimate.low, estimate.high) == pytest.approx((np.mean(values) - half, np.mean(values) + half))


def test_many_units_get_a_bootstrap_that_is_the_same_every_time() -> None:
    values = np.random.default_rng(3).normal(1, 2, 200)
    estimate = mean_interval(values, seed=5)
    assert estimate.kind == "bootstrap"
    assert estimate == mean_interval(values, seed=5)
    assert estimate != mean_interval(values, seed=6)
    half = t_quantile(0.975, 199) * values.std(ddof=1) / math.sqrt(200)
    assert (estimate.low, estimate.high) == pytest.approx((values.mean() - half, values.mean() + half), abs=0.04)


def test_a_missing_value_is_left_out_and_an_infinite_one_refused() -> None:
    assert mean_interval([1.0, math.nan, 3.0]) == mean_interval([1.0, 3.0])
    with pytest.raises(UsageError, match="infinite"):
        mean_interval([1.0, math.inf])


def test_copies_of_a_patients_picture_add_nothing() -> None:
    values = np.random.default_rng(0).normal(0.4, 1, 12)
    once = mean_interval(values)
    copied = mean_interval(np.repeat(values, 9), np.repeat(np.arange(12), 9))
    assert (copied.units, copied.n) == (12, 108)
    assert (copied.value, copied.low, copied.high) == pytest.approx((once.value, once.low, once.high))
    naive = mean_interval(np.repeat(values, 9))
    assert naive.high - naive.low < 0.5 * (copied.high - copied.low)
    assert sign_flip(np.repeat(values, 9), np.repeat(np.arange(12), 9)) == pytest.approx(sign_flip(values))


def test_a_missing_group_is_no_group() -> None:
    values, groups = [1.0, 2.0, 3.0, 4.0, 5.0], [None, None, float("nan"), "a", "a"]
    assert mean_interval(values, groups).units == 4
    assert sign_flip(values, groups) == sign_flip([1.0, 2.0, 3.0, 9.0])


def test_groups_must_be_one_per_value() -> None:
    with pytest.raises(UsageError, match="2 groups for 3 values"):
        mean_interval([1.0, 2.0, 3.0], ["a", "b"])


def test_what_cannot_be_estimated_says_why() -> None:
    assert mean_interval([]).reason == "there are no values"
    assert math.isnan(mean_interval([]).value)
    alone = mean_interval([1.0, 3.0], ["a", "a"])
    assert (alone.value, alone.low, alone.high, alone.reason) == (2.0, None, None, "one unit shows no spread")
    assert not alone.excludes_zero
    assert wilson(0, 0).reason


@pytest.mark.parametrize("n", [1, 3, 12, 13, 40])
def test_identical_models_differ_by_nothing(n: int) -> None:
    values = np.random.default_rng(n).random(n)
    same = compare(values, values)
    assert same.difference.value == 0
    assert same.p == 1
    if n > 1:
        assert (same.difference.low, same.difference.high) == (0, 0)
    (whole,) = adjusted([same])
    assert verdict("A", "A", [whole]).kind == ("not assessable" if n < 6 else "no difference")
    hits = compare(values > 0.5, values > 0.5, hits=True)
    assert (hits.difference.value, hits.p) == (0, 1)


@given(some)
@settings(max_examples=60, deadline=None)
def test_sign_flips_are_exact(values: list[float]) -> None:
    observed = abs(sum(values))
    reached = [abs(sum(s * v for s, v in zip(signs, values, strict=True))) >= observed
               for signs in itertools.product((1, -1), repeat=len(values))]  # fmt: skip
    assert sign_flip(values) == pytest.approx(np.mean(reached))
    assert sign_flip([-v for v in values]) == sign_flip(values)


def test_three_pictures_cannot_show_anything() -> None:
    assert sign_flip([5.0, 6.0, 7.0]) == 0.25
    assert not assessable(3)
    assert fewest_units(1) == 6
    assert fewest_units(28) == 11
    assert all(assessable(fewest_units(m), m) and not assessable(fewest_units(m) - 1, m) for m in (1, 2, 10, 500))


def test_random_sign_flips_come_near_the_exact_p_and_are_never_zero() -> None:
    values = np.random.default_rng(1).normal(0.5, 1, 13)
    signs = np.array(list(itertools.product((1, -1), repeat=13)))
    exact = float((abs(signs @ values) >= abs(values.sum()) - 1e-12).mean())
    assert sign_flip(values) == pytest.approx(exact, abs=4 * math.sqrt(exact / 20_000))
    assert sign_flip(np.ones(40)) == 1 / 20_000
    assert sign_flip(values, seed=1) == sign_flip(values, seed=1)


def test_sign_flips_keep_their_level() -> None:
    rng = np.random.default_rng(2)
    p = [sign_flip(rng.standard_t(3, 15), resamples=399, seed=i) for i in range(1500)]
    assert np.mean(np.array(p) <= 0.05) == pytest.approx(0.05, abs=3 * math.sqrt(0.05 * 0.95 / 1500))


def test_units_without_a_difference_change_no_p() -> None:
    values = [0.5, 1.0, -0.25, 2.0]
    assert sign_flip([*values, *[0.0] * 30]) == sign_flip(values)


def test_mcnemar_is_a_binomial_test_of_the_discordant_pairs() -> None:
    assert mcnemar(0, 0) == 1
    assert mcnemar(1, 0) == 1
    assert mcnemar(6, 0) == mcnemar(0, 6) == 2 / 64
    assert mcnemar(8, 2) == pytest.approx(2 * (1 + 10 + 45) / 1024)
    stats = pytest.importorskip("scipy.stats")
    for a, b in ((3, 9), (20, 20), (700, 600), (30, 2)):
        assert mcnemar(a, b) == pytest.approx(stats.binomtest(a, a + b).pvalue, rel=1e-9)


def test_mcnemar_equals_sign_flips_of_hits() -> None:
    a, b = np.array([1] * 7 + [0] * 2 + [1, 0]), np.array([0] * 7 + [1] * 2 + [1, 0])
    assert compare(a, b, hits=True).p == pytest.approx(compare(a, b).p)


def test_wilson_is_the_score_interval() -> None:
    for hits, n in ((0, 10), (3, 10), (10, 10), (81, 263)):
        estimate = wilson(hits, n)
        for end in (estimate.low, estimate.high):
            if end not in (0.0, 1.0):  # there the score test is exactly at its critical value
                assert abs(hits / n - end) / math.sqrt(end * (1 - end) / n) == pytest.approx(1.959964, rel=1e-6)
    assert (wilson(0, 10).low, wilson(10, 10).high) == (0, 1)
    assert (wilson(81, 263).low, wilson(81, 263).high) == pytest.approx((0.2553, 0.3662), abs=1e-4)  # Newcombe 1998
    with pytest.raises(UsageError, match="11 hits of 10"):
        wilson(11, 10)


def test_wilson_and_paired_rates_cover_on_average() -> None:
    covered = []
    for share in np.linspace(0.05, 0.95, 19):
        for hits in range(41):
            estimate = wilson(hits, 40)
            weight = math.comb(40, hits) * share**hits * (1 - share) ** (40 - hits)
            covered.append((estimate.low <= share <= estimate.high) * weight)
    assert sum(covered) / 19 == pytest.approx(0.95, abs=0.01)
    rng, inside = np.random.default_rng(0), []
    for more, less in itertools.product((0.02, 0.1, 0.3), repeat=2):
        for a, b, _ in rng.multinomial(40, [more, less, 1 - more - less], 300):
            estimate = paired_rates(a, b, 40)
            inside.append(estimate.low <= more - less <= estimate.high)
    assert 0.94 < np.mean(inside) < 0.985


def test_paired_rates_are_those_of_statpsych() -> None:
    estimate = paired_rates(26, 4, 48)  # the example of its ci.prop.ps
    assert (estimate.low, estimate.high) == pytest.approx((0.2548067, 0.6251933), abs=1e-7)
    assert estimate.value == 22 / 48
    assert paired_rates(0, 0, 5).low < 0 < paired_rates(0, 0, 5).high  # five agreeing pictures prove no equality


def test_holm_by_hand_and_by_statsmodels() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []
    assert holm([0.9, 0.8]) == [1, 1]
    multitest = pytest.importorskip("statsmodels.stats.multitest")
    p = np.random.default_rng(0).random(17) ** 3
    assert holm(p) == pytest.approx(multitest.multipletests(p, method="holm")[1])


def test_needed_n_gives_the_power_it_promises() -> None:
    rng = np.random.default_rng(0)
    n = needed_n(0.6, 1.0)
    draws = rng.normal(0.6, 1, (4000, n))
    t = draws.mean(1) / draws.std(1, ddof=1) * math.sqrt(n)
    assert (abs(t) > t_quantile(0.975, n - 1)).mean() == pytest.approx(0.8, abs=0.03)
    power = pytest.importorskip("statsmodels.stats.power").TTestPower()
    for effect in (0.05, 0.2, 0.5, 1.0):
        assert needed_n(effect, 1.0) == pytest.approx(
            math.ceil(power.solve_power(effect, power=0.8, alpha=0.05)), abs=2
        )
    assert needed_n(-0.6, 1.0) == n
    assert needed_n(0.6, 1.0, comparisons=20) > n
    assert needed_n(100.0, 1.0) == fewest_units(1)  # no effect is so large that three pictures would do
    with pytest.raises(UsageError, match="effect of 0"):
        needed_n(0, 1.0)


def test_verdicts_use_fixed_words() -> None:
    rng = np.random.default_rng(0)
    b = rng.random((2, 40))
    a = b + rng.normal(0.3, 0.2, (2, 40))
    families = adjusted([compare(a[i], b[i]) for i in range(2)])
    evidence = "(interval excludes 0, Holm p < .05, same sign in 2 of 2 method families)"
    assert verdict("A", "B", families).words == f"A higher than B {evidence}"
    assert verdict("A", "B", families).kind == "higher"
    turned = adjusted([compare(b[i], a[i]) for i in range(2)])
    assert verdict("A", "B", turned) == type(verdict("A", "B", turned))("lower", f"B higher than A {evidence}")
    mixed = adjusted([compare(a[0], b[0]), compare(b[1], a[1])])
    assert verdict("A", "B", mixed).words == "no detectable difference"
    one_of_two = adjusted([compare(a[0], b[0]), compare(b[1] + 1e-4 * rng.normal(size=40), b[1])])
    assert verdict("A", "B", one_of_two).words == "no detectable difference"


def test_a_verdict_needs_enough_pictures_for_its_comparisons() -> None:
    few = [compare(np.arange(3) + 5.0 + i, np.zeros(3)) for i in range(2)]
    said = verdict("VGG", "EfficientNet", adjusted(few))
    assert said.words == "not assessable (n = 3: 2 comparisons leave no p that could pass; 7 are the fewest)"
    patients = compare(np.arange(30) + 5.0, np.zeros(30), np.arange(30) % 3)  # thirty pictures, three patients
    assert verdict("A", "B", adjusted([patients])).kind == "not assessable"
    assert verdict("A", "B", adjusted([compare(np.arange(6) + 5.0, np.zeros(6))])).kind == "higher"
    with pytest.raises(UsageError, match="adjusted"):
        verdict("A", "B", few)


def test_pairs_must_be_pairs_and_hits_must_be_hits() -> None:
    with pytest.raises(UsageError, match="no pairs"):
        compare([1.0, 2.0], [1.0])
    with pytest.raises(UsageError, match="0 or 1"):
        compare([0.5], [1.0], hits=True)
    assert compare([1.0, math.nan, 2.0], [0.0, 1.0, 1.0]).missing == 1


def test_hits_of_several_pictures_per_patient_are_compared_by_patient() -> None:
    a, b, patient = np.array([1, 1, 1, 1, 0, 1]), np.array([0, 0, 0, 0, 0, 1]), [1, 1, 1, 1, 2, 3]
    assert compare(a, b, patient, hits=True).difference.kind == "t"
    assert compare(a, b, patient, hits=True).p == 1.0  # one patient differs: one toss of a coin
    assert compare(a, b, range(6), hits=True).difference.kind == "Bonett-Price"


def test_many_sign_flips_at_once_are_what_they_are_alone() -> None:
    rng = np.random.default_rng(2)
    tests = [rng.normal(0.3, 1, n) for n in (5, 40, 40, 12, 13)] + [np.zeros(30), np.r_[np.zeros(9), 1.0]]
    assert sign_flips(tests, resamples=999) == [sign_flip(t, resamples=999) for t in tests]


def test_a_rate_without_groups_is_wilsons() -> None:
    hits = [1, 1, 0, 1, 0, np.nan]
    assert rate(hits) == wilson(3, 5)
    assert rate(hits, list("abcdef")) == wilson(3, 5)


def test_a_rate_of_groups_that_are_all_alike_counts_groups() -> None:
    hits, patients = np.repeat([1, 1, 0, 1], 5), np.repeat(list("abcd"), 5)
    found, few = rate(hits, patients), wilson(3, 4)
    assert (found.value, found.units, found.n) == (0.75, 4, 20)
    # the spread of four units is estimated from three degrees of freedom: 4 / 3 of the variance
    assert found.high - found.low == pytest.approx(few.high - few.low, rel=0.15)
    assert found.high - found.low > few.high - few.low
    always = rate(np.ones(20), patients)
    assert (always.low, always.high) == pytest.approx((wilson(4, 4).low, 1))


def test_a_rate_of_groups_covers() -> None:
    rng, inside, runs = np.random.default_rng(0), 0, 800
    patients = np.repeat(np.arange(40), 4)
    for _ in range(runs):
        own = rng.beta(4, 1, 40)  # each patient's own rate, .8 on average
        found = rate(rng.random(160) < own[patients], patients)
        inside += found.low <= 0.8 <= found.high
    assert inside / runs == pytest.approx(0.945, abs=0.025)


def test_spread_is_the_standard_deviation_of_units() -> None:
    values = np.random.default_rng(4).normal(size=15)
    assert spread(values) == pytest.approx(np.std(values, ddof=1))
    assert spread(np.repeat(values, 3), np.repeat(np.arange(15), 3)) == pytest.approx(np.std(values, ddof=1))
    assert math.isnan(spread([1.0]))


@pytest.mark.parametrize("comparisons", [1, 20, 500])
def test_the_needed_number_goes_on_smoothly_where_it_is_told_otherwise(comparisons: int) -> None:
    effects = np.geomspace(0.5, 0.1, 60)
    found = [needed_n(e, 1.0, comparisons=comparisons) for e in effects]
    ratios = np.array(found[1:]) / found[:-1]
    step = (effects[0] / effects[1]) ** 2
    assert (ratios >= 1).all()
    assert (ratios <= step + 2.5 / np.array(found[:-1])).all()


def test_a_verdict_says_of_how_many_families_its_methods_are() -> None:
    rng = np.random.default_rng(5)
    low, high = rng.normal(size=40), rng.normal(4, 1, 40)
    made = adjusted([compare(high, low)] * 3)
    assert verdict("A", "B", made, families=2).words.endswith("same sign in 2 of 2 method families)")
    assert verdict("A", "B", made, families=0).words == "A higher than B (interval excludes 0, Holm p < .05)"
