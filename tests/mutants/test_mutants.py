"""Each guard of the house is taken out once, in a copy of the code, and the test that watches it must turn red.

A mutant is a text replacement: when the guarded line changes, the mutant has to be looked at again.
"""

import os
from collections.abc import Iterator

import pytest

from embedded.postgres import Postgres
from embedded.processes import temporary_var
from tests.mutants.code_copy import ROOT, CodeCopy, code_copy
from tests.mutants.mutants import MUTANTS, Mutant
from tests.support.servers import CARELESS
from tests.support.templates import drop_all_but_templates


@pytest.fixture(scope="module")
def fresh_postgres_url() -> Iterator[str]:
    """A server of the mutants' own: what they leave in it is nobody's."""
    with temporary_var() as var, Postgres(var, settings=CARELESS).running() as server:
        yield server.url


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory, fresh_postgres_url: str) -> Iterator[CodeCopy]:
    with code_copy(tmp_path_factory.mktemp("mutants"), fresh_postgres_url) as made:
        yield made


# All take minutes: `make mutants` spoils all, `make test` every fourth and looks whether the others still could be.
CHOSEN = MUTANTS if os.environ.get("POWERHOUSE_ALL_MUTANTS") else MUTANTS[::4]


def test_each_mutant_finds_its_line_and_its_test() -> None:
    for mutant in MUTANTS:
        text = (ROOT / mutant.file).read_text(encoding="utf-8")
        assert text.count(mutant.old) == 1, f"{mutant.file} no longer has the line of {mutant.guard!r}"
        file, *names = mutant.test.split("::")
        tests = (ROOT / file).read_text(encoding="utf-8")
        for name in names:
            name = name.partition("[")[0]
            assert f"def {name}(" in tests or f"class {name}" in tests, f"there is no {mutant.test}"


@pytest.mark.parametrize("mutant", CHOSEN, ids=lambda mutant: mutant.guard.replace(" ", "-"))
async def test_a_missing_guard_is_noticed(mutant: Mutant, copy: CodeCopy, fresh_postgres_url: str) -> None:
    await drop_all_but_templates(fresh_postgres_url)
    with copy.replaced(mutant.file, mutant.old, mutant.new):
        code, said = copy.run(mutant.test)
    # 1: tests ran and failed. Anything else, an error at collection for one, proves nothing.
    assert code == 1, f"{mutant.test} did not turn red, but {code}:\n{said[-4000:]}"
    assert " failed" in said, said[-4000:]
