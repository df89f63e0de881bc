"""Counts of damage, kills, fuzz and shortages, printed as one table at the end."""

import dataclasses

import pytest


@dataclasses.dataclass
class Tally:
    """One row: of what was tried, what was survived and what was not."""

    kind: str
    tried: int = 0
    failures: list[str] = dataclasses.field(default_factory=list)

    def add(self, failure: str | None = None):
        """Counts one trial; `failure` says what went wrong in it."""
        self.tried += 1
        if failure:
            self.failures.append(failure)

    def check(self, at_least: int = 1):
        """Raises where fewer than `at_least` were tried, or one failed."""
        assert self.tried >= at_least, f"{self.kind}: tried {self.tried}"
        assert not self.failures, "\n".join([self.kind, *self.failures[:20]])


@pytest.fixture
def tally(request):
    """`tally("damage: truncated")` -> a Tally whose row the run prints at its end."""
    rows = []

    def start(kind: str) -> Tally:
        row = Tally(kind)
        rows.append(row)
        return row

    yield start
    printed = [(r.kind, r.tried, len(r.failures)) for r in rows]
    request.node.user_properties.append(("tally", printed))


def pytest_terminal_summary(terminalreporter):
    """With workers, rows come back as properties of the tests' reports."""
    reports = [r for rs in terminalreporter.stats.values() for r in rs]
    rows = [
        row
        for report in reports
        if getattr(report, "when", None) == "teardown"
        for name, found in report.user_properties
        if name == "tally"
        for row in found
    ]
    if rows:
        terminalreporter.section("robustness")
    for kind, tried, failed in rows:
        survived = tried - failed
        terminalreporter.write_line(
            f"{kind:50} tried {tried:6}  survived {survived:6}  failed {failed:4}"
        )
