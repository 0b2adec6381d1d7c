"""One product for all end-to-end tests of a run."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from embedded.processes import temporary_var
from tests.support.product import Product, product
from tests.support.traces import Receiver, receiving


@pytest.fixture(scope="session")
def traces() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


@pytest.fixture(scope="session")
def running(traces: Receiver) -> Iterator[Product]:
    """The whole product with its demo studios, its traces sent to `traces`."""
    with temporary_var() as var, product(Path(var), {"POWERHOUSE_OTLP_ENDPOINT": traces.endpoint}) as started:
        yield started


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """End-to-end tests share one product, so they stay on one xdist worker."""
    for item in items:
        if "tests/e2e" in str(item.path):
            item.add_marker(pytest.mark.e2e)
            item.add_marker(pytest.mark.xdist_group("e2e"))
