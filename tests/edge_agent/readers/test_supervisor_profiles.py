"""Readers that get other profiles while they work: kept, refused, and given back."""

import threading

import msgspec

from edge_agent.readers import ReaderFacts
from edge_agent.readers.fitting import UNREADABLE_TAPS
from edge_agent.readers.supervisor import ProfilesRefused
from firmware_profiles import ProfileBook
from tests.support.reader_bench import QUICK, Bench
from tests.support.reader_double import until

NEW = ProfileBook()
PUBLISHED = ReaderFacts("ACS ACR122U", "acr122u (published 3)", "usb 072F:2200")


class Refusals:
    """What the supervisor said of profiles."""

    def __init__(self, bench: Bench, *, within_s: float = 0.3) -> None:
        bench.patience = msgspec.structs.replace(QUICK, profile_s=within_s, starting_s=60, wedged_s=60)
        self.heard: list[ProfilesRefused] = []
        self.running = bench.start()
        self.running.on_profiles_refused = self.heard.append


def test_every_reader_gets_them_and_one_that_works_keeps_them(bench: Bench) -> None:
    said = Refusals(bench)
    bench.reader("a").tap()
    until(lambda: bench.reader("a").answers)
    said.running.use_profiles(NEW, 3)
    assert bench.reader("a").books == bench.reader("b").books == [NEW]
    bench.reader("a").tap()
    until(lambda: len(bench.reader("a").answers) == 2)
    threading.Event().wait(0.5)  # longer than a reader has to be ready again
    assert said.heard == []
    assert bench.reader("a").books == [NEW]


def test_a_reader_that_does_not_become_ready_again_goes_back_alone(bench: Bench) -> None:
    said = Refusals(bench)
    a = bench.reader("a")
    first = said.running._fittings["a"].book
    a.on_profiles = lambda book: a.say("starting" if book is NEW else "ready")
    a.known = PUBLISHED
    said.running.use_profiles(NEW, 3)
    until(lambda: said.heard)
    bench.until_state("a", "ready")
    why = "acr122u (published 3): the reader was not ready again within 0.3 s"
    assert said.heard == [ProfilesRefused("a", 3, why)]
    assert a.books == [NEW, first]
    assert bench.reader("b").books == [NEW]


def test_a_reader_whose_start_up_fails_goes_back_at_once(bench: Bench) -> None:
    said = Refusals(bench, within_s=60)
    a = bench.reader("a")
    a.on_profiles = lambda book: a.say(*(("wedged", "silence: 6300") if book is NEW else ("ready",)))
    said.running.use_profiles(NEW, 3)
    until(lambda: said.heard)
    bench.until_state("a", "ready")
    assert "the reader does not start: silence: 6300" in said.heard[0].why


def test_a_reader_that_reads_nobody_any_more_goes_back(bench: Bench) -> None:
    said = Refusals(bench)
    a = bench.reader("a")
    a.tap()
    until(lambda: a.answers)
    said.running.use_profiles(NEW, 3)
    until(lambda: said.running._fittings["a"].stage.name == "MUST_READ")
    for _ in range(UNREADABLE_TAPS):
        a.tap(b"")
    until(lambda: said.heard)
    assert said.heard[0].reader == "a"
    assert len(a.books) == 2


def test_a_reader_that_was_away_goes_back_when_nothing_helps(bench: Bench) -> None:
    said = Refusals(bench)
    a = bench.reader("a")
    a.known = PUBLISHED
    a.say("absent", "unplugged")
    bench.until_state("a", "absent")
    said.running.use_profiles(NEW, 3)
    bench.until_state("a", "absent")
    assert said.heard == []
    said.running.watched["a"].case._patience = msgspec.structs.replace(QUICK, wedged_s=0.01, starting_s=0.01)
    a.say("wedged", "it hangs")
    until(lambda: said.heard)
    assert said.heard[0].version == 3
    assert "did not help" in said.heard[0].why


def test_a_replaced_thread_begins_with_the_profiles_in_use(bench: Bench) -> None:
    bench.patience = msgspec.structs.replace(QUICK, hung_s=0.3, profile_s=60)
    books: list[ProfileBook] = []
    make = bench.make
    bench.make_with = lambda name, book: (books.append(book), make(name))[1]
    moves = threading.Event()
    running = bench.start()
    running.use_profiles(NEW, 3)
    bench.reader("a").hang(moves)
    until(lambda: len(bench.made["a"]) == 2)
    moves.set()
    assert books[-1] is NEW
