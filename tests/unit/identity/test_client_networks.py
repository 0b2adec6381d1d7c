import pytest

from services.identity.throttle import network


@pytest.mark.parametrize(
    ("address", "who"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("ipv4:192.0.2.7:51000", "192.0.2.7"),
        ("ipv6:%5B2001:db8:1:2:3:4:5:6%5D:51000", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::1", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("unix:/run/identity.sock", "unix:/run/identity.sock"),
    ],
)
def test_a_caller_is_known_by_its_network(address: str, who: str) -> None:
    assert network(address) == who
