"""How long to wait, and when to believe that something is gone."""

from datetime import timedelta

from im.clock import VirtualClock
from im.engine.pace import LONGEST, SHORTEST, Pace, Sightings


def test_after_progress_the_next_look_is_soon():
    clock = VirtualClock()
    pace = Pace(clock)
    assert pace.delay() == SHORTEST
    clock.sleep(100)
    assert pace.delay() == LONGEST
    pace.progress()
    assert pace.delay() == SHORTEST


def test_waiting_adds_at_most_a_tenth_to_what_was_waited_for():
    clock = VirtualClock()
    pace = Pace(clock)
    looks = 0
    while clock.monotonic() < 30:
        clock.sleep(pace.delay())
        looks += 1
    assert clock.monotonic() < 33
    assert looks < 60


def test_a_look_that_takes_long_is_followed_by_a_longer_pause():
    clock = VirtualClock()
    pace = Pace(clock)
    with pace.looking():
        clock.sleep(0.5)
    pace.progress()
    assert pace.delay() == 2.0
    with pace.looking():
        pass
    assert pace.delay() == SHORTEST


def test_what_the_cloud_was_slow_to_accept_is_not_looked_at_at_once():
    clock = VirtualClock()
    pace = Pace(clock)
    with pace.asking():
        clock.sleep(20)
    pace.progress()
    assert pace.delay() == 1.0


def test_one_listing_is_not_believed():
    clock = VirtualClock()
    sightings = Sightings(clock, grace=30)
    long_ago = clock.now() - timedelta(days=1)
    sightings.look({"t"})
    clock.sleep(100)
    assert not sightings.believed("t", long_ago)
    sightings.look({"t"})
    assert sightings.believed("t", long_ago)


def test_two_listings_at_once_count_as_one():
    sightings = Sightings(VirtualClock(), grace=30)
    sightings.look({"t"})
    sightings.look({"t"})
    assert not sightings.twice("t")


def test_a_request_has_its_grace():
    clock = VirtualClock()
    sightings = Sightings(clock, grace=30)
    requested = clock.now()
    for _ in range(5):
        sightings.look({"t"})
        clock.sleep(5)
    assert sightings.twice("t")
    assert not sightings.believed("t", requested)
    clock.sleep(5)
    assert sightings.believed("t", requested)


def test_who_is_seen_again_begins_anew():
    clock = VirtualClock()
    sightings = Sightings(clock, grace=0)
    sightings.look({"t"})
    sightings.look(set())
    sightings.look({"t"})
    assert not sightings.twice("t")
