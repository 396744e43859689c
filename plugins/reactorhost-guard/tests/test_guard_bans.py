"""Records of bans: how long they are, which one counts, and how they are written."""

from __future__ import annotations

import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reactorhost_guard import notation
from reactorhost_guard.addresses import Address, address_of
from reactorhost_guard.bans import OPERATOR, Ban, Bans, BanTimes, decoded, encoded, lifting

TIMES = BanTimes(first=60.0, most=600.0, memory=3600.0)
NETWORK = notation.network("203.0.113.7")


def address(host: str = "203.0.113.7") -> Address:
    found = address_of(host)
    assert found
    return found


def banned(bans: Bans, now: float) -> Ban:
    ban = bans.ban(NETWORK, "connects", now)
    assert bans.add(ban)
    return ban


def test_a_ban_ends() -> None:
    bans = Bans(TIMES, 10)
    banned(bans, 1000.0)
    assert bans.find(address(), 1059.9)
    assert (bans.count(1059.9), bans.count(1060.0)) == (1, 0)
    assert not bans.find(address(), 1060.0)
    assert not bans.find(address("203.0.113.8"), 1001.0)


def test_each_further_ban_is_twice_as_long_up_to_the_longest() -> None:
    bans, now, lengths = Bans(TIMES, 10), 1000.0, []
    for _ in range(6):
        ban = banned(bans, now)
        lengths.append(ban.until - now)
        now = ban.until
    assert lengths == [60, 120, 240, 480, 600, 600]


def test_a_doubling_is_forgotten_after_each_time_without_a_ban() -> None:
    bans, now = Bans(TIMES, 10), 1000.0
    for _ in range(4):
        now = banned(bans, now).until
    assert bans.ban(NETWORK, "connects", now).level == 4
    assert bans.ban(NETWORK, "connects", now + 2 * 3600).level == 2
    assert bans.ban(NETWORK, "connects", now + 9 * 3600).level == 0


def test_a_thousand_bans_overflow_nothing() -> None:
    assert BanTimes(60.0, 1e9, 60.0).seconds(100_000) == 1e9


def test_a_ban_by_an_operator_or_one_that_was_lifted_doubles_nothing() -> None:
    bans = Bans(TIMES, 10)
    bans.add(Ban(NETWORK, 1000.0, 2000.0, reason=OPERATOR))
    assert bans.ban(NETWORK, "connects", 2001.0).level == 0
    banned(bans, 3000.0)
    bans.add(lifting(NETWORK, bans.of(NETWORK), 3010.0))
    assert bans.ban(NETWORK, "connects", 3011.0).level == 0


def test_a_lifted_ban_holds_no_more_whatever_older_copy_arrives() -> None:
    bans = Bans(TIMES, 10)
    ban = banned(bans, 1000.0)
    assert bans.add(lifting(NETWORK, ban, 1010.0))
    assert not bans.add(ban)
    assert not bans.find(address(), 1011.0)
    bans.prune(1059.0)
    assert not bans.add(ban)
    assert bans.count(1011.0) == 0


def test_a_copy_of_a_record_that_is_known_changes_nothing() -> None:
    bans = Bans(TIMES, 10)
    ban = banned(bans, 1000.0)
    assert not bans.add(ban)
    assert bans.changes == 1


def test_a_lifting_counts_although_its_clock_is_behind() -> None:
    bans = Bans(TIMES, 10)
    ban = banned(bans, 1000.0)
    assert bans.add(lifting(NETWORK, ban, 900.0))


@given(st.permutations(range(6)), st.lists(st.integers(0, 5)))
def test_all_orders_of_arrival_end_with_the_same_bans(order: list[int], repeated: list[int]) -> None:
    texts = ("203.0.113.7", "203.0.113.0/24")
    records = [
        Ban(notation.network(text), 1000.0 + number, 5000.0 + number, lifted=bool(number % 2))
        for number, text in enumerate(itertools.islice(itertools.cycle(texts), 6))
    ]
    expected, found = Bans(TIMES, 10), Bans(TIMES, 10)
    for record in records:
        expected.add(record)
    for number in [*order, *repeated]:
        found.add(records[number])
    assert set(found.records()) == set(expected.records())
    assert found.find(address(), 1100.0) == expected.find(address(), 1100.0)


def test_a_ban_of_a_dry_run_is_found_only_in_one() -> None:
    bans = Bans(TIMES, 10)
    bans.add(bans.ban(NETWORK, "connects", 1000.0, dry=True))
    assert bans.find(address(), 1001.0) is None
    assert bans.find(address(), 1001.0, dry=True)
    assert (bans.count(1001.0), bans.count(1001.0, dry=True)) == (0, 1)


def test_bans_of_a_dry_run_double_only_each_other() -> None:
    bans, now = Bans(TIMES, 10), 1000.0
    for level in range(3):
        ban = bans.ban(NETWORK, "connects", now, dry=True)
        assert ban.level == level
        bans.add(ban)
        now = ban.until
    real = banned(bans, now)
    assert (real.level, real.until - now) == (0, 60)
    assert bans.ban(NETWORK, "connects", real.until).level == 1


def test_of_too_many_bans_those_that_were_made_first_are_forgotten() -> None:
    bans = Bans(TIMES, 3)
    for number in range(5):
        bans.add(Ban(notation.network(f"203.0.113.{number}"), 1000.0 + number, 2000.0))
    assert [str(ban.network[0]) for ban in bans.records()] == ["203.0.113.2", "203.0.113.3", "203.0.113.4"]
    assert bans.count(1500.0) == 3
    assert not bans.find(address("203.0.113.1"), 1500.0)
    bans.add(Ban(notation.network("203.0.113.2"), 1500.0, 2000.0))
    bans.add(Ban(notation.network("203.0.113.9"), 1501.0, 2000.0))
    assert bans.of(notation.network("203.0.113.2"))
    assert not bans.of(notation.network("203.0.113.3"))


def test_a_record_is_forgotten_when_it_has_no_effect_on_the_next_ban() -> None:
    bans = Bans(TIMES, 10)
    ban = banned(bans, 1000.0)
    bans.prune(ban.until + 3599.0)
    assert len(bans) == 1
    bans.prune(ban.until + 3600.0)
    assert len(bans) == 0
    assert bans.add(Ban(NETWORK, 900.0, 1e10))


@given(
    st.lists(
        st.builds(
            Ban,
            st.sampled_from(["203.0.113.7", "203.0.113.0/24", "2001:db8::/64"]).map(notation.network),
            st.floats(0, 1e10),
            st.floats(0, 1e10),
            st.integers(0, 60),
            st.sampled_from([OPERATOR, "connects"]),
            st.booleans(),
            st.booleans(),
        )
    )
)
def test_records_are_read_as_they_were_written(records: list[Ban]) -> None:
    assert decoded(encoded(records)) == records


def test_records_of_another_version_are_ignored() -> None:
    document = json.loads(encoded([Ban(NETWORK, 0.0, 1.0)]))
    assert decoded(json.dumps(document | {"version": 2, "bans": [{"unknown": 1}]}).encode()) == []


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"{}",
        b'{"version": 1}',
        b'{"version": 1, "bans": [{}]}',
        b'{"version": 1, "bans": [{"network": "x", "decided_at": 1, "until": 2}]}',
        b'{"version": 1, "bans": [{"network": "203.0.113.7", "decided_at": "1", "until": 2}]}',
        b'{"version": 1, "bans": [{"network": "203.0.113.7", "decided_at": 1, "until": 2, "reason": "a\\nb"}]}',
        b"\xff",
    ],
)
def test_what_is_not_a_list_of_bans_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="not a list of bans"):
        decoded(data)
