import numpy as np
import pytest
from scipy import stats

from jaxseg.report import layout

NAN = np.nan
HOLES = 0.15


def tables(seed, number, deviations, seeds, missing=HOLES, means=0.3):
    """(true differences, log values [number, starts, seeds] with holes)."""
    rng = np.random.default_rng(seed)
    shape = number, len(deviations), seeds
    mean = means * rng.normal(size=(*shape[:2], 1))
    noise = rng.normal(size=shape) * np.asarray(deviations)[:, None]
    values = mean + 0.2 * rng.normal(size=(number, 1, seeds)) + noise
    values[rng.random(shape) < missing] = NAN
    return mean[..., 0] - mean[:, :1, 0], values


def coverage(seed, number, deviations, seeds):
    """Per cent of the intervals of decided targets that hold the true difference."""
    true, values = tables(seed, number, deviations, seeds)
    found = layout.compare(values, np.ones(values.shape[:2], bool))
    half = layout.half_width(found.error, found.dof)
    known = np.isfinite(half) & ~found.undecided[:, None]
    known[:, 0] = False
    return 100 * (np.abs(found.difference - true) <= half)[known].mean()


def best_is_sure(seed, number, seeds):
    """Per cent of targets whose best of eight null starts is sure."""
    _, values = tables(seed, number, [0.1] * 9, seeds, means=0)
    found = layout.compare(values, np.ones(values.shape[:2], bool))
    known = np.isfinite(found.error)
    known[:, 0] = False
    best = np.where(known, found.difference, -np.inf).argmax(1)
    rows = np.arange(number)[known.any(1)]
    best = best[rows]
    limits = [
        layout.best_quantile(int(k), int(dof))
        for k, dof in zip(known[rows].sum(1), found.dof[rows, best])
    ]
    above = found.difference[rows, best] > limits * found.error[rows, best]
    return 100 * (above & ~found.undecided[rows]).mean()


def test_two_seeds_of_ten_starts_have_nine_degrees_of_freedom():
    values = np.random.default_rng(0).normal(size=(10, 2))
    found = layout.fit(values)
    assert found.dof == 9
    assert layout.half_width(1.0, 9) == pytest.approx(2.262157)
    residuals = values - values.mean(0) - values.mean(1, keepdims=True) + values.mean()
    assert found.variance == pytest.approx((residuals**2).sum() / 9)


def test_the_fit_with_missing_cells_is_least_squares():
    rng = np.random.default_rng(1)
    values = rng.normal(size=(6, 4))
    values[rng.random(values.shape) < 0.3] = NAN
    starts, seeds = np.nonzero(np.isfinite(values))
    design = np.hstack([np.eye(6)[starts], np.eye(4)[seeds]])
    found = values[starts, seeds]
    solution, *_ = np.linalg.lstsq(design, found)
    dof = len(found) - np.linalg.matrix_rank(design)
    squares = ((found - design @ solution) ** 2).sum()
    fit = layout.fit(values)
    assert fit.dof == dof == len(found) - 6 - 4 + 1
    assert fit.variance == pytest.approx(squares / dof)


def test_degrees_of_freedom_are_counted_by_connected_block():
    values = np.full((4, 4), NAN)
    values[:2, :2] = values[2:, 2:] = [[1.0, 2.0], [2.0, 4.0]]
    assert layout.fit(values).dof == 2 * (4 - 2 - 2 + 1)


def test_nothing_is_left_of_one_seed():
    found = layout.compare(np.log([[0.5], [0.6]]), np.array([True, True]))
    assert found.difference[1] == pytest.approx(np.log(1.2))
    assert np.isnan(found.error[1]) and found.dof[1] == 0
    assert np.isnan(found.excess).all() and not found.apart.any()


def test_a_start_outside_the_pool_has_its_paired_variance():
    values = np.random.default_rng(2).normal(size=(5, 3))
    pooled = np.array([True, True, True, True, False])
    found = layout.compare(values, pooled)
    differences = values[4] - values[0]
    assert found.error[4] == pytest.approx(stats.sem(differences))
    assert found.dof.tolist() == [6, 6, 6, 6, 2]
    error = np.sqrt(2 * layout.fit(values[:4]).variance / 3)
    assert found.error[1] == pytest.approx(error)


def test_a_baseline_that_scatters_has_no_share_in_the_pool():
    rng = np.random.default_rng(3)
    values = 0.05 * rng.normal(size=(8, 3))
    calm = layout.compare(values, np.ones(8, bool))
    values[0] = [-2.0, 0.0, 2.0]
    wild = layout.compare(values, np.ones(8, bool))
    assert calm.excess[0] < 3 < wild.excess[0]
    assert not calm.apart.any() and wild.apart.tolist() == [True] + [False] * 7
    assert wild.error[1] == pytest.approx(stats.sem(values[1] - values[0]))
    same = np.tile([[0.1, 0.2, 0.3]], (8, 1))
    assert not layout.compare(same, np.ones(8, bool)).apart.any()


@pytest.mark.parametrize("starts, seeds", [(3, 2), (3, 3), (5, 2), (7, 3)])
def test_a_baseline_like_the_others_is_undecided_in_one_of_a_hundred(starts, seeds):
    for missing in (0, HOLES):
        _, values = tables(8, 10_000, [0.05] * starts, seeds, missing, means=0)
        found = layout.compare(values, np.ones(values.shape[:2], bool))
        share = 100 * found.undecided.mean()
        print(f"{starts - 1} sources, {seeds} seeds: undecided {share:.2f} %")
        assert share <= 1.5


def test_a_baseline_that_connects_two_blocks_does_not_scatter_by_it():
    noise = 0.1 * np.random.default_rng(11).normal(size=(7, 6))
    values = noise + [[0], [5], [6], [4], [-5], [-6], [-4]]
    values[1:4, 3:] = values[4:, :3] = NAN
    found = layout.compare(values, np.ones(7, bool))
    assert found.excess[0] < 3 and not found.apart.any()


def wild_is_sure(seed, number, seeds):
    """Per cent of six null starts sure: one of three times the scatter, the others."""
    deviations = [0.05] * 6 + [0.15]
    _, values = tables(seed, number, deviations, seeds, missing=0, means=0)
    found = layout.compare(values, np.ones(values.shape[:2], bool))
    half = layout.half_width(found.error, found.dof)
    sure = (np.abs(found.difference) > half) & ~found.undecided[:, None]
    return 100 * sure[:, -1].mean(), 100 * sure[:, 1:-1].mean()


def test_a_start_that_scatters_leaves_the_pool():
    values = 0.05 * np.random.default_rng(9).normal(size=(8, 3))
    values[5] = [-2.0, 0.0, 2.0]
    found = layout.compare(values, np.ones(8, bool))
    assert found.apart.tolist() == [False] * 5 + [True] + [False] * 2
    assert found.excess[5] > 10 and found.dof.tolist() == [12] * 5 + [2] + [12] * 2
    assert found.error[5] == pytest.approx(stats.sem(values[5] - values[0]))
    assert not layout.compare(values[:, ::2], np.ones(8, bool)).apart.any()
    rest = layout.compare(np.delete(values, 5, 0), np.ones(7, bool))
    assert found.error[1] == pytest.approx(rest.error[1])


def test_a_baseline_that_scatters_little_more_has_paired_intervals():
    rng = np.random.default_rng(12)
    values = rng.normal(size=(8, 9)) * ([[2.5]] + [[1]] * 7)
    found = layout.compare(values, np.ones(8, bool))
    assert found.apart[0] and not found.undecided and 2 < found.excess[0] < 3
    assert found.error[1] == pytest.approx(stats.sem(values[1] - values[0]))


@pytest.mark.parametrize("seeds, most", [(3, 17), (5, 11)])
def test_a_start_that_scatters_is_falsely_sure_less_often(seeds, most):
    wild, others = wild_is_sure(10, 5000, seeds)
    print(f"{seeds} seeds, three times the scatter: sure {wild:.1f} %, {others:.1f} %")
    assert wild < most and others < 5.5


@pytest.mark.parametrize("starts, dof", [(3, 10), (5, 20), (8, 9), (9, 60)])
def test_the_best_has_dunnetts_point(starts, dof):
    shape = np.full((starts, starts), 0.5) + 0.5 * np.eye(starts)
    point = np.full(starts, layout.best_quantile(starts, dof))
    known = stats.multivariate_t(shape=shape, df=dof, seed=0).cdf(point)
    assert known == pytest.approx(0.95, abs=5e-4)


def test_a_point_of_dunnetts_table():  # 1955, Table 1a: 3 treatments, 10 dof, 5 %
    assert layout.best_quantile(3, 10) == pytest.approx(2.34, abs=0.005)


def test_the_best_of_one_is_one_of_one():
    assert layout.best_quantile(1, 9) == pytest.approx(stats.t.ppf(0.975, 9))


def test_cells_of_one_baseline_are_sure_together():
    normal = np.random.default_rng(4).normal(size=(3, 400_000))
    chi = np.sqrt(np.random.default_rng(5).chisquare(9, 400_000) / 9)
    t = (normal[1:] - normal[0]) / np.sqrt(2) / chi
    both = (np.abs(t) > stats.t.ppf(0.975, 9)).all(0).mean()
    assert layout.both_sure(9) == pytest.approx(both, abs=0.001)


@pytest.mark.parametrize("seeds", [2, 3])
def test_a_small_simulation(seeds):
    assert coverage(6, 1000, [0.1] * 10, seeds) == pytest.approx(95, abs=1.5)
    # Four standard errors of 1000 targets at 5 %.
    assert best_is_sure(7, 1000, seeds) == pytest.approx(5, abs=2.8)


@pytest.mark.slow
@pytest.mark.parametrize(
    "seeds", [2, *(pytest.param(n, marks=pytest.mark.release) for n in (3, 5))]
)
def test_intervals_cover_and_the_best_of_eight_is_sure_by_chance_in_5_per_cent(seeds):
    number = 10_000
    assert coverage(seeds, number, [0.1] * 10, seeds) == pytest.approx(95, abs=1.5)
    assert best_is_sure(seeds, number, seeds) == pytest.approx(5, abs=1.5)
    for name, deviations in (
        ("sources twice the baseline's", [0.1] + [0.2] * 9),
        ("from 1 to 4, the baseline calmest", np.geomspace(0.05, 0.2, 10)),
        ("from 4 to 1, the baseline wildest", np.geomspace(0.2, 0.05, 10)),
        ("baseline twice the sources'", [0.2] + [0.1] * 9),
        ("baseline four times the sources'", [0.4] + [0.1] * 9),
        ("one source three times the others'", [0.1] * 9 + [0.3]),
    ):
        found = coverage(seeds, number, deviations, seeds)
        print(f"{seeds} seeds, deviations {name}: coverage {found:.1f} %")
    wild, others = wild_is_sure(seeds, number, seeds)
    print(
        f"{seeds} seeds, six null sources, one of three times the others' deviation: "
    )
    print(f"sure in {wild:.1f} %, the others in {others:.1f} %")
