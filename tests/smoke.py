"""A study run at its smoke size, and what its tables then show."""

import csv

from jaxseg import main


def run(config, workdir):
    """The rows of a table of the report, by its name."""
    assert main.main([f"--config=configs/{config}", f"--workdir={workdir}"]) == 0

    def table(name):
        with open(workdir / "report" / name, newline="") as file:
            return list(csv.DictReader(file))

    return table


def check_shown(results, planned, *places):
    """Each of `places`, names of columns, has the values of the plan at full size."""
    for names in places:
        made, wanted = (
            {tuple(row.get(name) or "" for name in names) for row in rows}
            for rows in (results, planned)
        )
        assert made == wanted
