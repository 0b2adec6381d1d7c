import pytest

from gateway import rate_limits
from gateway.rate_limits import BURST, RateLimit, StreamLimit, neighbourhood
from services.chassis.errors import ResourceExhausted


class Clock:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr(rate_limits, "monotonic", lambda: self.now)


def _allowed(limit: RateLimit, key: str, attempts: int) -> int:
    allowed = 0
    for _ in range(attempts):
        try:
            limit.take(key)
        except ResourceExhausted:
            continue
        allowed += 1
    return allowed


def test_a_burst_then_the_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, limit = Clock(monkeypatch), RateLimit(10)
    assert _allowed(limit, "a", 100) == 10 * BURST
    assert _allowed(limit, "b", 1) == 1
    clock.now += 0.5
    assert _allowed(limit, "a", 100) == 5
    clock.now += 3600
    assert _allowed(limit, "a", 100) == 10 * BURST


def test_it_says_when_to_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, limit = Clock(monkeypatch), RateLimit(0.5)
    assert _allowed(limit, "a", 2) == 2
    with pytest.raises(ResourceExhausted) as refusal:
        limit.take("a")
    assert refusal.value.reason == "RATE_LIMITED"
    assert refusal.value.retry_after == pytest.approx(2)
    clock.now += 2
    assert _allowed(limit, "a", 2) == 1


def test_no_rate_is_no_limit() -> None:
    assert _allowed(RateLimit(0), "a", 1000) == 1000


def test_only_so_many_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    Clock(monkeypatch)
    limit = RateLimit(1, remembered=100)
    for number in range(10_000):
        limit.take(str(number))
    assert len(limit._buckets) == 100


def test_streams_are_counted_until_they_end() -> None:
    limit = StreamLimit(total=3, each=2)
    first, _ = limit.take("a"), limit.take("a")
    with pytest.raises(ResourceExhausted):
        limit.take("a")
    limit.take("b")
    with pytest.raises(ResourceExhausted):
        limit.take("c")
    first()
    limit.take("c")
    assert set(limit._open) == {"a", "b", "c"}


@pytest.mark.parametrize(
    ("address", "counted_as"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("unknown", "unknown"),
        ("", ""),
    ],
)
def test_a_subscriber_counts_once(address: str, counted_as: str) -> None:
    assert neighbourhood(address) == counted_as
