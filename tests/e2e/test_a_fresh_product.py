"""What `make run` takes once it is ready. First by its name: the other tests share the product, and fill its caches."""

from tests.support.product import Product


def test_it_is_small(running: Product) -> None:
    assert 0.5 < running.memory() < 1.8
