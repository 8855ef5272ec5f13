"""azureml_local.store: ids compare in any case and come back as they were first written; what was told is on disk
(design.md, "write before you acknowledge")."""

import sqlite3
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from azureml_local import store as module
from azureml_local.home import OWN_PATTERN
from azureml_local.http.errors import is_out_of_space
from azureml_local.store import Store, StoredOperation, StoreError, timestamp

ROOT = "/subscriptions/S/resourceGroups/G"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "state.db")
    yield opened
    opened.close()


def test_ids_in_any_case(store: Store) -> None:
    store.put(f"{ROOT}/Thing", "things", ROOT, {"properties": {"a": 1}}, "me")
    found = store.get(f"{ROOT}/THING".upper())
    assert found is not None
    assert found.id == f"{ROOT}/Thing"
    assert found.to_json()["id"] == f"{ROOT}/Thing"
    again = store.put(f"{ROOT.lower()}/thing", "things", ROOT, {"properties": {"a": 2}}, "you")
    assert again.id == f"{ROOT}/Thing"
    assert again.properties == {"a": 2}
    assert (again.created_by, again.modified_by) == ("me", "you")
    assert again.created_at == found.created_at
    assert again.modified_at > found.modified_at
    assert len(store.children("things", ROOT.upper())) == 1


def test_lists_are_in_order_of_creation_and_by_parent_and_kind(store: Store) -> None:
    for name in ("b", "a", "c"):
        store.put(f"{ROOT}/{name}", "things", ROOT, {}, "me")
    store.put(f"{ROOT}/other", "others", ROOT, {}, "me")
    store.put(f"{ROOT}x/d", "things", ROOT + "x", {}, "me")
    store.put(f"{ROOT}/b", "things", ROOT, {"changed": 1}, "me")
    assert [found.name for found in store.children("things", ROOT)] == ["b", "a", "c"]
    assert [found.name for found in store.all_of("things")] == ["b", "a", "c", "d"]


def test_deletion_takes_all_below_and_nothing_beside(store: Store) -> None:
    for path in ("a", "a/b", "a/b/c", "ab", "A_", "a%b"):
        store.put(f"{ROOT}/{path}", "things", ROOT, {}, "me")
        store.put_secret(f"{ROOT}/{path}", {"key": path})
    store.delete(f"{ROOT}/A")
    assert [found.id.removeprefix(ROOT) for found in store.all_of("things")] == ["/ab", "/A_", "/a%b"]
    assert store.get_secret(f"{ROOT}/a/b") is None
    assert store.get_secret(f"{ROOT}/AB") == {"key": "ab"}


def test_save_does_not_bring_back_what_was_deleted(store: Store) -> None:
    thing = store.put(f"{ROOT}/a", "things", ROOT, {"properties": {}}, "me")
    store.save(thing.with_properties(x=1))
    assert store.get(thing.id).properties == {"x": 1}  # type: ignore[union-attr]
    store.delete(thing.id)
    store.save(thing.with_properties(x=2))
    assert store.get(thing.id) is None


def test_secret_is_no_part_of_the_resource(store: Store) -> None:
    thing = store.put(f"{ROOT}/a", "things", ROOT, {}, "me")
    store.put_secret(thing.id, {"key": "hush"})
    assert "hush" not in str(store.get(thing.id))
    with pytest.raises(sqlite3.IntegrityError):
        store.put_secret(f"{ROOT}/absent", {"key": "hush"})


def test_transaction_is_all_or_nothing(store: Store) -> None:
    with pytest.raises(ZeroDivisionError), store.transaction():
        store.put(f"{ROOT}/a", "things", ROOT, {}, "me")
        raise ZeroDivisionError
    assert store.get(f"{ROOT}/a") is None
    with store.transaction():
        store.put(f"{ROOT}/a", "things", ROOT, {}, "me")
    assert store.get(f"{ROOT}/a") is not None


def test_what_was_written_is_there_for_the_next_without_a_close(tmp_path: Path) -> None:
    first = Store(tmp_path / "state.db")
    first.put(f"{ROOT}/a", "things", ROOT, {"kept": {"ü": [1, None]}}, "me")
    second = Store(tmp_path / "state.db")
    assert second.get(f"{ROOT}/a").body == {"kept": {"ü": [1, None]}}  # type: ignore[union-attr]
    assert second._db.execute("PRAGMA synchronous").fetchone() == (2,)  # FULL
    assert second._db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    for path in tmp_path.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
    first.close()
    second.close()


def test_one_transaction_inside_another_is_a_part_of_it(store: Store) -> None:
    called: list[str] = []
    with pytest.raises(ZeroDivisionError), store.transaction():
        with store.transaction():
            store.put(f"{ROOT}/a", "things", ROOT, {}, "me")
            store.after_commit(lambda: called.append("rolled back"))
        raise ZeroDivisionError
    assert store.get(f"{ROOT}/a") is None
    with store.transaction(), store.transaction():
        store.after_commit(lambda: called.append("committed"))
        assert called == []
    store.after_commit(lambda: called.append("outside"))
    assert called == ["committed", "outside"]


def fill(store: Store) -> None:
    """Let the database grow no further, as on a full disk: SQLite says SQLITE_FULL."""
    (pages,) = store._db.execute("PRAGMA page_count").fetchone()
    store._db.execute(f"PRAGMA max_page_count = {pages}")


def test_what_follows_a_commit_may_open_a_transaction_of_its_own(store: Store) -> None:
    called = []

    def first() -> None:
        with store.transaction():
            store.after_commit(lambda: called.append("inner"))
        called.append("first")

    with store.transaction():
        store.after_commit(first)
        store.after_commit(lambda: called.append("second"))
    assert called == ["inner", "first", "second"]


def test_change_that_finds_no_room_changes_nothing_and_can_be_made_later(store: Store) -> None:
    store.put(f"{ROOT}/a", "things", ROOT, {"before": True}, "me")
    fill(store)
    with pytest.raises(sqlite3.OperationalError) as caught, store.transaction():
        store.put(f"{ROOT}/a", "things", ROOT, {"after": True}, "me")
        store.put(f"{ROOT}/b", "things", ROOT, {"large": "x" * 100_000}, "me")
    assert is_out_of_space(caught.value)
    assert store.get(f"{ROOT}/a").body == {"before": True}  # type: ignore[union-attr]
    store._db.execute("PRAGMA max_page_count = 1000000")
    with store.transaction():
        store.put(f"{ROOT}/b", "things", ROOT, {"large": "x" * 100_000}, "me")
    assert store.get(f"{ROOT}/b") is not None


def test_damaged_files_are_refused_in_a_sentence_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    first = Store(path)
    for number in range(200):
        first.put(f"{ROOT}/{number}", "things", ROOT, {"x": "y" * 500}, "me")
    first.close()
    whole = path.read_bytes()
    for damaged in (b"this is no database" * 100, whole[: len(whole) // 2], whole[:8192] + b"?" * 4096 + whole[12288:]):
        path.write_bytes(damaged)
        with pytest.raises(StoreError, match=r"Put a copy of it back, or begin anew with azureml-local reset"):
            Store(path)
        assert path.read_bytes() == damaged
    path.write_bytes(whole)
    again = Store(path)
    assert len(again.all_of("things")) == 200
    again.close()


def test_newer_file_is_refused_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    Store(path).close()
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 99")
    with pytest.raises(StoreError, match="written by a newer version of the service \\(layout 99"):
        Store(path)


def older(path: Path) -> None:
    first = Store(path)
    first.put(f"{ROOT}/a", "things", ROOT, {"kept": 1}, "me")
    first.close()


# Made-up newer layouts.
STEPS = ("CREATE TABLE labels (key TEXT);", "INSERT INTO labels SELECT key FROM resources;")


def test_older_file_is_migrated_step_by_step_and_a_copy_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "state.db"
    older(path)
    (layout,) = sqlite3.connect(path).execute("PRAGMA user_version").fetchone()
    monkeypatch.setattr(module, "MIGRATIONS", (*module.MIGRATIONS, *STEPS))
    migrated = Store(path)
    assert migrated.get(f"{ROOT}/a").body == {"kept": 1}  # type: ignore[union-attr]
    assert migrated._db.execute("SELECT key FROM labels").fetchall() == [(f"{ROOT}/a".lower(),)]
    assert migrated._db.execute("PRAGMA user_version").fetchone() == (layout + 2,)
    migrated.close()
    copy = tmp_path / f"state.db.layout{layout}"
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    assert sqlite3.connect(copy).execute("PRAGMA user_version").fetchone() == (layout,)
    assert OWN_PATTERN.fullmatch(copy.name)
    copy.unlink()
    Store(path).close()
    assert not copy.exists(), "what is up to date is not migrated again"


# As the version wrote it that had no log events.
LAYOUT_1 = """
CREATE TABLE resources (
    key TEXT PRIMARY KEY, id TEXT NOT NULL, type TEXT NOT NULL, parent TEXT NOT NULL, body TEXT NOT NULL,
    created_at TEXT NOT NULL, created_by TEXT NOT NULL, modified_at TEXT NOT NULL, modified_by TEXT NOT NULL,
    sequence INTEGER NOT NULL
);
CREATE INDEX resources_by_parent ON resources (type, parent, sequence);
CREATE TABLE secrets (key TEXT PRIMARY KEY REFERENCES resources (key) ON DELETE CASCADE, body TEXT NOT NULL);
CREATE TABLE operations (
    id TEXT PRIMARY KEY, kind TEXT NOT NULL, resource TEXT NOT NULL, status TEXT NOT NULL, error TEXT,
    started_at TEXT NOT NULL, ended_at TEXT
);
INSERT INTO resources VALUES ('/a', '/A', 'things', '', '{"kept": 1}', 't', 'me', 't', 'me', 1);
PRAGMA user_version = 1;
"""


def test_folder_of_the_first_layout_takes_events(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    with sqlite3.connect(path) as db:
        db.executescript(LAYOUT_1)
    migrated = Store(path)
    assert migrated.get("/A").body == {"kept": 1}  # type: ignore[union-attr]
    migrated.put_event("writer", "guid", "category", timestamp(), "{}")
    assert [event.sequence for event in migrated.waiting_events(9)] == [1]
    migrated.close()
    tables = "SELECT type, name, sql FROM sqlite_master ORDER BY name"
    Store(tmp_path / "new.db").close()
    new = {row[1] for row in sqlite3.connect(tmp_path / "new.db").execute(tables)}
    assert {row[1] for row in sqlite3.connect(path).execute(tables)} == new


def test_sequences_are_never_given_again(store: Store) -> None:
    """The log store leaves out what comes with a number that it has seen."""
    for _ in range(3):
        store.put_event("writer", "guid", "category", timestamp(), "{}")
    store.delete_events(3)
    store.put_event("writer", "guid", "category", timestamp(), "{}")
    assert [event.sequence for event in store.waiting_events(9)] == [4]


def test_migration_that_fails_leaves_the_file_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "state.db"
    older(path)
    with monkeypatch.context() as patch:
        patch.setattr(module, "MIGRATIONS", (*module.MIGRATIONS, STEPS[0], "INSERT INTO absent VALUES (1);"))
        with pytest.raises(StoreError, match="absent"):
            Store(path)
    again = Store(path)
    assert again.get(f"{ROOT}/a") is not None
    assert again._db.execute("SELECT name FROM sqlite_master WHERE name = 'labels'").fetchall() == []
    again.close()


def test_operations(store: Store) -> None:
    begun = StoredOperation("oe:1", "kind", "key", "InProgress", None, timestamp(), None)
    ended = StoredOperation("oe:2", "kind", "key", "Failed", {"message": "m"}, timestamp(), timestamp())
    store.put_operation(begun)
    store.put_operation(ended)
    assert store.get_operation("oe:2") == ended
    assert store.get_operation("absent") is None
    assert store.unfinished_operations() == [begun]


@pytest.mark.parametrize(
    ("kind", "members"),
    [("workspaces/onlineEndpoints", 3), ("workspaces/onlineEndpoints/deployments", 3), ("workspaces", 6)],
)
def test_system_data_has_as_many_members_as_on_azure(kind: str, members: int, store: Store) -> None:
    """Section 8.6 of the notes: exactly createdAt, createdBy, lastModifiedAt for endpoints and deployments."""
    data = store.put(f"{ROOT}/a", kind, ROOT, {}, "me").to_json()["systemData"]
    assert len(data) == members
    assert {"createdAt", "createdBy", "lastModifiedAt"} <= set(data)
