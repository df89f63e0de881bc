import pytest

from jaxseg.report import figures, gains, rows, tables, workdir
from tests.report import workdirs


@pytest.fixture(scope="module")
def grid(tmp_path_factory):
    """Two targets, three sources and the random start; one cell failed, one pending."""
    made = workdirs.Workdir(tmp_path_factory.mktemp("grid"))
    for seed in (0, 1):
        night = lambda source, domain="driving", seed=seed: workdirs.target(
            "night", source, seed, source_domain=domain
        )
        made.cell(night("websearch", "websearch"), 0.3)
        made.cell(night("driving_day"), 0.4 + 0.001 * seed)
        made.cell(night("street_scenes", "consumer"), 0.3 + 0.03 * seed)
        made.cell(night("random", ""), 0.2)
    made.failed("x", [workdirs.target("night", "reef", source_domain="underwater")])
    made.stage("y", [workdirs.target("rooms", "driving_day", 0, "indoor")])
    (study,) = workdir.load(made.plan())
    found = gains.gains(rows.results(study))
    (grid,) = tables.grids(found, rows.planned(study))
    return grid


def test_axes_are_grouped_by_domain_as_table_4a(grid):
    assert [t.name for t in grid.targets] == ["night", "rooms"]
    assert [s.name for s in grid.sources] == [
        "street_scenes",
        "driving_day",
        "reef",
        "random",
    ]
    assert tables.blocks(grid.sources)[0] == ("consumer", 0, 1)
    assert [row["source"] for row in grid.rows()] == [
        "street_scenes",
        "driving_day",
        "random",
    ]


def test_holes_say_why(grid):
    night, rooms = grid.targets
    holes = {(t.name, s.name): status for (t, s), status in grid.holes.items()}
    assert holes == {("night", "reef"): "failed", ("rooms", "driving_day"): "pending"}
    assert grid.baselines[night] == 0.3 and rooms not in grid.baselines


def test_within_a_domain_the_larger_comes_first():
    small, large = tables.Axis("a", "driving", 10), tables.Axis("b", "driving", 90)
    assert sorted([small, large], key=tables._order) == [large, small]


def test_a_target_at_two_resolutions_is_two_rows(tmp_path):
    made = workdirs.Workdir(tmp_path)
    for size in ("64x64", "96x96"):
        for source, value in (("websearch", 0.2), ("day", 0.3)):
            label = workdirs.target("night", source, resolution=size)
            made.done(source + size, value, [label])
    (study,) = workdir.load(made.plan())
    found = gains.gains(rows.results(study))
    (grid,) = tables.grids(found, rows.planned(study))
    assert [target.detail for target in grid.targets] == ["64x64", "96x96"]
    assert len(grid.cells) == 2 and not grid.holes


def test_real_sets_are_marked_among_embedded_ones(tmp_path):
    made = workdirs.Workdir(tmp_path)
    for name, dataset in (("night", "worlds/night"), ("camvid", "camvid/11")):
        for source, value in (("websearch", 0.2), ("day", 0.3)):
            label = workdirs.target(name, source, target_dataset=dataset)
            made.done(source + name, value, [label])
    (study,) = workdir.load(made.plan())
    found = gains.gains(rows.results(study))
    (grid,) = tables.grids(found, rows.planned(study))
    assert [target.label for target in grid.targets] == ["camvid (real)", "night"]
    assert "camvid (real)" in tables.terminal(grid) + figures.heatmap(grid)


def test_markdown(grid):
    lines = tables.markdown(grid).splitlines()
    assert lines[0] == (
        "| domain | target | websearch | street_scenes | driving_day | reef | random |"
    )
    assert lines[3] == (
        "| driving | night | 0.300 | +5.0 | +33.5* | (failed) | -33.3* |"
    )
    assert len({line.count("|") for line in lines}) == 1


def test_latex(grid):
    text = tables.latex(grid)
    assert r"\textbf{+33.5}" in text and r"street\_scenes" in text
    assert r"\begin{tabular}{llrrrrr}" in text and text.count(r"\addlinespace") == 1


def test_terminal_fits_its_width(grid):
    text = tables.terminal(grid, 60)
    table = text.split("\n\n", 1)[1]
    assert max(map(len, table.splitlines())) <= 60
    assert "+33.5*" in text and "(failed)" in text and text.count("night") == 2
    assert tables.terminal(grid, 200).count("night") == 1


def test_heatmap_holds_every_number(grid):
    svg = figures.heatmap(grid)
    assert svg.startswith("<svg") and svg == figures.heatmap(grid)
    for text in (">+33.5<", ">failed<", ">driving<", ">0.300<", ">pending<"):
        assert text in svg
    assert "driving_day → night: +33.5 % (95 % interval" in svg


def test_no_number_is_minus_zero():
    assert figures.signed(-0.01) == "+0.0"
    assert tables.number({"gain": -0.01, "significant": False}) == "+0.0"


def test_curves_stay_small_whatever_was_logged():
    points = [(step, 1 / (1 + step)) for step in range(20_000)]
    svg = figures.curves([("baseline", points), ("best", points[:3])], "loss")
    assert len(svg) < 60_000 and figures.CURVES["best"] in svg
