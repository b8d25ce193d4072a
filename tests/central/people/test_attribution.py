"""Whose taps are after cards were bound again: by what is known now of the moment of the tap."""

from hypothesis import given
from hypothesis import strategies as st

from central.people.attribution import AS_TOLD, Attribution, Person, Reattributed, facts_of
from central.people.bindings import Bound, Statement, bound_at, rebound, taken_back
from protocol.allowlist import CardState

ANN, BEN, CYD = b"ann", b"ben", b"cyd"
SUBJECTS = {ANN: b"subject of ann", BEN: b"subject of ben", CYD: b"subject of cyd"}
FIRST = Statement(Bound(ANN, 1, CardState.ACTIVE), 0, 0, 1)


class Office:
    """Binds one card, and states what follows, as the action does."""

    def __init__(self) -> None:
        self.statements = [FIRST]
        self.facts: list[tuple[bytes, Reattributed]] = []
        self.number = 1

    def _add(self, said: list[Statement]) -> None:
        before, self.statements = self.statements, [*self.statements, *said]
        self.facts += facts_of(before, self.statements, SUBJECTS, "b")

    def bind_again(self, member: bytes, since_ms: int) -> None:
        self.number += 1
        known_ms = self.statements[-1].known_ms + 1
        self._add(rebound(self.statements, member, self.number, since_ms, known_ms, f"batch {self.number}"))

    def take_back(self) -> None:
        if self.statements[-1].batch:
            self._add(taken_back(self.statements, self.statements[-1].batch, self.statements[-1].known_ms + 1))

    def block(self, at_ms: int) -> None:
        last = self.statements[-1]
        owner = bound_at(self.statements, at_ms)
        assert owner is not None
        self._add([Statement(owner._replace(state=CardState.BLOCKED), at_ms, 0, last.known_ms + 1)])


deeds = st.lists(
    st.one_of(
        st.tuples(st.just("bind_again"), st.sampled_from([ANN, BEN, CYD]), st.integers(0, 9)),
        st.tuples(st.just("take_back")),
        st.tuples(st.just("block"), st.integers(0, 9)),
    ),
    max_size=6,
)


@given(deeds, st.integers(0, 10))
def test_a_tap_is_whose_card_it_was_then_whoever_the_gate_knew_it_as(
    done: list[tuple[object, ...]], at_ms: int
) -> None:
    office = Office()
    for name, *values in done:
        getattr(office, str(name))(*values)
    owner = bound_at(office.statements, at_ms)
    assert owner is not None
    attribution = Attribution(office.facts)
    for told in {(one.bound.member, one.bound.number) for one in office.statements}:
        person = Person(SUBJECTS[told[0]], told[1])
        assert attribution(person, at_ms) == Person(SUBJECTS[owner.member], owner.number)


def test_other_cards_of_the_same_member_stay_where_they_are() -> None:
    office = Office()
    office.bind_again(BEN, 0)
    attribution = Attribution(office.facts)
    assert attribution(Person(SUBJECTS[ANN], 7), 5) == Person(SUBJECTS[ANN], 7)
    assert AS_TOLD(Person(SUBJECTS[ANN], 1), 5) == Person(SUBJECTS[ANN], 1)


def test_taps_stay_where_nobody_in_the_domain_is_known_to_have_made_them() -> None:
    after = [FIRST, *rebound([FIRST], BEN, 1, 0, 2, "b")]
    assert facts_of([FIRST], after, {BEN: SUBJECTS[BEN]}, "b") == []
    only_ann = facts_of([FIRST], after, {ANN: SUBJECTS[ANN]}, "b")
    assert Attribution(only_ann)(Person(SUBJECTS[ANN], 1), 5) == Person(SUBJECTS[ANN], 1)


def test_a_change_of_state_alone_states_nothing_about_taps() -> None:
    office = Office()
    office.block(3)
    assert office.facts == []
