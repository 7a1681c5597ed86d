"""How long each test spent compiling: a table beside pytest's slowest durations, kept for a file with one row per test.

JAX tells how long every trace, lowering, compilation and look into the cache of programs took. What they add up to
while a test runs, its fixtures included, travels with the test's report, so that workers of pytest-xdist are counted.
"""

import json
import sys
from collections import Counter
from pathlib import Path

import jax
import pytest

_EVENTS = {
    "/jax/core/compile/jaxpr_trace_duration": "trace",
    "/jax/core/compile/jaxpr_to_mlir_module_duration": "lower",
    "/jax/core/compile/backend_compile_duration": "compile",
    "/jax/compilation_cache/cache_retrieval_time_sec": "cached",
}
"""JAX's events, and the columns in which they count; ``compile`` holds ``cached``."""
_KEY = "compile_seconds"

_spent: Counter[str] = Counter()


def _count(event: str, seconds: float, **_: object) -> None:
    if name := _EVENTS.get(event):
        _spent[name] += seconds
        _spent["programs"] += name == "compile"


jax.monitoring.register_event_duration_secs_listener(_count)


def programs_so_far() -> int:
    """Programs that this phase of a test has compiled, or read from the cache."""
    return _spent["programs"]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item, nextitem):
    """Count anew for every test."""
    _spent.clear()
    return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """The report of each phase carries what was spent in it."""
    report = yield
    report.user_properties.append((_KEY, dict(_spent)))
    _spent.clear()
    return report


def pytest_addoption(parser):
    parser.addoption("--costs", metavar="FILE", help="write seconds and compile seconds of every test as JSON lines")


def pytest_terminal_summary(terminalreporter, config):
    """Compile seconds of the tests that spent most on them, where slowest durations are asked for."""
    wanted = config.getoption("durations")
    path = config.getoption("--costs")
    if wanted is None and path is None:
        return
    rows = _rows(terminalreporter)
    if path is not None:
        with open(path, "w") as file:
            file.writelines(json.dumps(row) + "\n" for row in rows)
    if wanted is None:
        return
    rows.sort(key=lambda row: row["compile"] + row["lower"] + row["trace"], reverse=True)
    terminalreporter.write_sep("=", "most seconds of tracing, lowering and compiling")
    for row in rows[: wanted or None]:
        terminalreporter.write_line(
            f"{row['seconds']:7.1f}s of it {row['trace']:5.1f} {row['lower']:5.1f} {row['compile']:5.1f} for "
            f"{row['programs']:3.0f} programs  {row['test']}"
        )
    total = sum((Counter({k: v for k, v in row.items() if k != "test"}) for row in rows), Counter())
    terminalreporter.write_line(
        f"{total['seconds']:7.1f}s of it {total['trace']:5.1f} {total['lower']:5.1f} {total['compile']:5.1f} "
        f"(from the cache {total['cached']:.1f}) for {total['programs']:.0f} programs in all"
    )


def _rows(terminalreporter) -> list[dict]:
    """One row per test: its seconds, its fixtures included, and what JAX spent of them."""
    rows: dict[str, Counter] = {}
    for outcome, reports in terminalreporter.stats.items():
        for report in reports if outcome != "skipped" else ():  # a file whose tests were all skipped did not run
            if not hasattr(report, "user_properties") or not hasattr(report, "duration"):
                continue
            row = rows.setdefault(report.nodeid, Counter(trace=0, lower=0, compile=0, cached=0, programs=0, seconds=0))
            row["seconds"] += report.duration
            for name, value in report.user_properties:
                if name == _KEY:
                    row.update(value)
    return [{"test": test, **row} for test, row in rows.items()]


def _files_left_out(*costs: str) -> list[str]:
    """Test files of this checkout of which no test is in any of the files that ``--costs`` wrote."""
    tests = Path(__file__).parents[1]
    ran = {row["test"].split("::")[0] for path in costs for row in map(json.loads, Path(path).read_text().splitlines())}
    return sorted({str(path.relative_to(tests.parent)) for path in tests.rglob("test_*.py")} - ran)


if __name__ == "__main__":
    left_out = _files_left_out(*sys.argv[1:])
    sys.exit("\n".join(["no test was run of", *left_out]) if left_out else 0)
