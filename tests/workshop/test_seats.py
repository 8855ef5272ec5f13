"""Taking a seat, and coming back to it. The rules are docs/workshop.md's."""

from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from workshop.seats import (
    LONGEST_NAME,
    NameRefusedError,
    PinError,
    RoomFullError,
    SeatError,
    Seats,
    WrongPinError,
)

USERS = {1: "learner01", 2: "learner02"}


@pytest.fixture
def seats(tmp_path: Path) -> Seats:
    return Seats(tmp_path / "seats.db")


def test_the_first_join_takes_the_next_free_seat(seats: Seats) -> None:
    assert [seats.join(name, "1234", USERS).user for name in ("Anna", "Béla")] == ["learner01", "learner02"]
    assert [(seat.number, seat.name) for seat in seats.all()] == [(1, "Anna"), (2, "Béla")]


@pytest.mark.parametrize("spelling", ["anna", "  ANNA ", "\uff21\uff4e\uff4e\uff41", "A\u200dnna"])
def test_coming_back_leads_to_the_same_seat_however_the_name_is_spelt(seats: Seats, spelling: str) -> None:
    first = seats.join("Anna", "1234", USERS)
    assert seats.join(spelling, "1234", USERS) == first
    assert len(seats.all()) == 1


@pytest.mark.parametrize("name", ["Zoë", "Zoe\u0308", "李雷", "محمد", "O'Hara-Smith", '<b>"&', "🦊", "x' OR 1=1 --"])
def test_any_name_that_can_be_seen_is_taken(seats: Seats, name: str) -> None:
    assert seats.join(name, "1234", USERS).user == seats.join(name, "1234", USERS).user == "learner01"


def test_composed_and_decomposed_letters_are_one_name_and_one_pin(seats: Seats) -> None:
    assert seats.join("Zoë", "pién", USERS) == seats.join("Zoe\u0308", "pie\u0301n", USERS)


@pytest.mark.parametrize("name", ["", "   ", "\u200b", "a\u0000b", "a\u202eb", "...", "x" * (LONGEST_NAME + 1)])
def test_a_name_that_cannot_be_seen_or_is_too_long_is_refused(seats: Seats, name: str) -> None:
    with pytest.raises(NameRefusedError):
        seats.join(name, "1234", USERS)
    assert seats.all() == []


@pytest.mark.parametrize("pin", ["", "123", "      ", "1" * 65])
def test_a_pin_that_is_too_short_or_too_long_is_refused(seats: Seats, pin: str) -> None:
    with pytest.raises(PinError, match=r"at (least|most)"):
        seats.join("Anna", pin, USERS)
    assert seats.all() == []


def test_another_pin_does_not_open_the_seat_and_the_words_help_both_who_may_have_come(seats: Seats) -> None:
    seats.join("Anna", "1234", USERS)
    with pytest.raises(WrongPinError, match=r"ask the trainer for a new one.*add something to your name"):
        seats.join("Anna", "1235", USERS)


def test_a_full_room_lets_in_those_who_have_a_seat(seats: Seats) -> None:
    for name in ("Anna", "Béla"):
        seats.join(name, "1234", USERS)
    with pytest.raises(RoomFullError, match="All 2 seats are taken"):
        seats.join("Carla", "1234", USERS)
    assert seats.join("Anna", "1234", USERS).number == 1


def test_seats_that_are_added_are_given_next(seats: Seats) -> None:
    for name in ("Anna", "Béla"):
        seats.join(name, "1234", USERS)
    assert seats.join("Carla", "1234", {**USERS, 3: "learner03"}).user == "learner03"


def test_who_joins_twice_at_once_gets_one_seat(seats: Seats) -> None:
    with ThreadPoolExecutor(8) as threads:
        taken = list(threads.map(lambda _: seats.join("Anna", "1234", USERS), range(8)))
    assert set(taken) == {taken[0]} and len(seats.all()) == 1


def test_of_two_of_one_name_who_join_at_once_one_is_told_so(seats: Seats) -> None:
    def join(pin: str) -> str:
        try:
            return seats.join("Anna", pin, USERS).user
        except SeatError as error:
            return type(error).__name__

    with ThreadPoolExecutor(2) as threads:
        assert sorted(threads.map(join, ["1234", "5678"])) == ["WrongPinError", "learner01"]


def test_a_forgotten_pin_is_chosen_anew_by_whoever_comes_next(seats: Seats) -> None:
    seats.join("Anna", "1234", USERS)
    assert seats.forget_pin(" anna") is not None
    assert seats.join("Anna", "5678", USERS).user == "learner01"
    with pytest.raises(WrongPinError):
        seats.join("Anna", "1234", USERS)
    assert seats.forget_pin("Nobody") is None


def test_nobody_else_reads_the_database_and_no_pin_stands_in_it(tmp_path: Path) -> None:
    file = tmp_path / "seats.db"
    Seats(file).join("Anna", "a-pin-to-look-for", USERS)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert b"a-pin-to-look-for" not in file.read_bytes()
    assert [seat.name for seat in Seats(file).all()] == ["Anna"], "another process sees it"
