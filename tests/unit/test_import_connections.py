"""`make import-connections`: what is written, what is said about it, and how it goes on after an interruption."""

import csv
import itertools
import os
import signal
import stat
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import boto3
import pytest

from gatehouse.caller import User
from gatehouse.connection_writer import ConnectionWriterTable
from gatehouse.connections import Connection, ConnectionsTable, auth_id_key, user_key
from gatehouse.pending_transactions import PendingTransactionsTable
from gatehouse.problems import AlreadyConnected, AuthIdTaken, ConnectionsUnavailable
from local.stop_signals import StopRequested
from ops import import_connections
from ops.connection_csv import Row
from ops.connection_import import ConnectionImport, Found, Outcome, judge
from tests.support.connection_fakes import create_connections_table
from tests.support.fakes import Clock
from tests.support.ops_fakes import TITLE, FakeDeployments, runner
from tests.support.ops_fakes import Outcome as Ended
from tests.support.token_fakes import aws_account, refuse

NOW = 1_795_318_968
ISSUER = "https://auth.example.com"
TABLE = "connections"


class OneAtATime:
    """A client whose calls wait for each other: moto copies its tables while it writes a transaction."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._lock = threading.Lock()

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def call(**options: Any) -> Any:
            with self._lock:
                return getattr(self._client, name)(**options)

        return call


class World(NamedTuple):
    """A connections table, a file, and the program over both."""

    file: Path
    dynamodb: Any
    run: Callable[..., Ended]
    pauses: list[float]

    def write(self, *rows: tuple[str, str], issuer: str = ISSUER) -> None:
        """Write the file, from the subject and the id of each row."""
        with self.file.open("w", newline="") as file:
            csv.writer(file).writerows([("iss", "sub", "smallcase_auth_id"), *((issuer, *row) for row in rows)])

    def held(self) -> dict[str, str]:
        """Who holds what, by subject; both directions must agree."""
        items = {item["pk"]["S"]: item for item in self.dynamodb.scan(TableName=TABLE)["Items"]}
        users = {pk: item["smallcase_auth_id"]["S"] for pk, item in items.items() if pk.startswith("USER#")}
        assert {pk: items[f"AUTHID#{held}"]["user_pk"]["S"] for pk, held in users.items()} == {pk: pk for pk in users}
        assert len(items) == 2 * len(users)
        return {pk.rpartition("#")[2]: held for pk, held in users.items()}

    @property
    def conflicts(self) -> list[tuple[str, ...]]:
        """The list beside the file."""
        with self.file.with_name("users.conflicts.csv").open(newline="") as file:
            return [tuple(line) for line in csv.reader(file)]


@pytest.fixture
def world(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[World]:
    with aws_account():
        create_connections_table()
        dynamodb, pauses = boto3.client("dynamodb"), list[float]()
        deployments = FakeDeployments({"ConnectionsTableName": TABLE}, {"OidcIssuer": ISSUER})
        deployments.clients["dynamodb"] = OneAtATime(dynamodb)
        file = tmp_path / "users.csv"
        program = runner(import_connections.main, deployments, capsys, Clock(NOW), pauses.append)
        yield World(file, dynamodb, lambda **more: program(FILE=str(file), **more), pauses)


def writer(world: World) -> ConnectionWriterTable:
    return ConnectionWriterTable(TABLE, ConnectionsTable(TABLE), Clock(NOW), world.pauses.append, world.dynamodb)


def numbered(count: int) -> list[tuple[str, str]]:
    return [(f"user-{number:03}", f"id-{number:03}") for number in range(count)]


# --- what is written ---


def test_without_apply_nothing_is_written(world: World) -> None:
    world.write(("asha", "id-1"), ("ravi", "id-2"))
    ended = world.run()
    assert ended.exit_code == 0
    assert ended.lines == [
        TITLE,
        "  looked at 2 of 2",
        f"{world.file}: 2 rows. New 2, connected already 0, conflicts 0.",
        f"Nothing was written. To import what is new: make import-connections FILE={world.file} APPLY=1",
    ]
    assert world.held() == {}


def test_with_apply_both_directions_are_written(world: World) -> None:
    world.write(("asha", "id-1"))
    ended = world.run(APPLY="1")
    assert ended.exit_code == 0
    assert ended.lines[-1] == f"{world.file}: 1 rows. Imported 1, connected already 0, conflicts 0."
    user = {"pk": {"S": f"USER#{ISSUER}#asha"}, "smallcase_auth_id": {"S": "id-1"}, "connected_at": {"N": str(NOW)}}
    of_id = {"pk": {"S": "AUTHID#id-1"}, "user_pk": {"S": f"USER#{ISSUER}#asha"}}
    items = world.dynamodb.scan(TableName=TABLE)["Items"]
    assert sorted(items, key=lambda item: item["pk"]["S"]) == [of_id, user]


def test_many_are_written_and_a_second_run_finds_them_all(world: World) -> None:
    world.write(*numbered(120))
    assert "Imported 120, connected already 0, conflicts 0." in world.run(APPLY="1").out
    before = world.dynamodb.scan(TableName=TABLE)["Items"]
    assert world.held() == dict(numbered(120))
    assert "Imported 0, connected already 120, conflicts 0." in world.run(APPLY="1").out
    assert world.dynamodb.scan(TableName=TABLE)["Items"] == before


def test_a_connection_that_was_made_since_keeps_its_broker_and_its_time(world: World) -> None:
    world.write(("asha", "id-1"))
    earlier = ConnectionWriterTable(TABLE, ConnectionsTable(TABLE), Clock(NOW - 60), world.pauses.append)
    earlier.bring(User(ISSUER, "asha"), Connection("id-1", "meadow"))
    before = world.dynamodb.scan(TableName=TABLE)["Items"]
    assert world.run(APPLY="1").exit_code == 0
    assert world.dynamodb.scan(TableName=TABLE)["Items"] == before


def test_an_entry_that_was_written_by_hand_gets_its_other_half(world: World) -> None:
    item = {"pk": {"S": f"USER#{ISSUER}#asha"}, "smallcase_auth_id": {"S": "id-1"}, "connected_at": {"N": "5"}}
    world.dynamodb.put_item(TableName=TABLE, Item=item)
    world.write(("asha", "id-1"))
    assert "Imported 1," in world.run(APPLY="1").out
    assert world.held() == {"asha": "id-1"}


# --- conflicts ---


def connect(world: World, subject: str, smallcase_auth_id: str) -> None:
    writer(world).bring(User(ISSUER, subject), Connection(smallcase_auth_id))


@pytest.mark.parametrize("apply", ["", "1"])
def test_conflicts_are_listed_by_line_and_reason_and_stay_as_they_are(world: World, apply: str) -> None:
    connect(world, "asha", "id-1")
    connect(world, "ravi", "id-2")
    world.write(("tara", "id-9"), ("asha", "id-3"), ("mira", "id-2"))
    ended = world.run(APPLY=apply)
    assert ended.exit_code == 1
    assert "conflicts 2." in ended.out
    assert world.conflicts == [
        ("line", "reason"),
        ("3", "ALREADY_CONNECTED: the user holds another smallcase_auth_id"),
        ("4", "AUTH_ID_TAKEN: another user holds the smallcase_auth_id"),
    ]
    assert world.held() == {"asha": "id-1", "ravi": "id-2"} | ({"tara": "id-9"} if apply else {})


def test_whom_a_conflict_is_about_is_shown_only_where_it_is_asked_for(world: World) -> None:
    connect(world, "asha", "id-1")
    connect(world, "ravi", "id-2")
    world.write(("asha", "id-3"), ("mira", "id-2"), ("tara", "id-5"), ("tara", "id-6"))
    ended = world.run()
    for value in ("asha", "ravi", "mira", "tara", "id-1", "id-2", "id-3", "id-5", "id-6"):
        assert value not in ended.out + ended.err + world.file.with_name("users.conflicts.csv").read_text()
    assert "SHOW=1 shows whom they are about." in ended.lines
    shown = world.run(SHOW="1").out
    assert f"{ISSUER} asha id-3  (holds id-1)" in shown
    assert f"{ISSUER} mira id-2  (held by USER#{ISSUER}#ravi)" in shown
    assert f"{ISSUER} tara id-6" in shown
    assert "SHOW=1" not in shown


def test_of_rows_that_exclude_each_other_the_first_is_written(world: World) -> None:
    world.write(("asha", "id-1"), ("ravi", "id-1"), ("mira", "id-3"))
    ended = world.run(APPLY="1")
    assert ended.exit_code == 1
    assert [line for line, _ in world.conflicts[1:]] == ["3"]
    assert world.held() == {"asha": "id-1", "mira": "id-3"}


def test_no_dry_run_is_an_import_and_one_that_is_none_is_refused(world: World) -> None:
    world.write(("asha", "id-1"))
    assert world.run(DRY_RUN="1").exit_code == 0
    assert world.held() == {}
    assert world.run(DRY_RUN="1", APPLY="1").exit_code == 2
    assert world.held() == {}
    assert world.run(DRY_RUN="0").exit_code == 0
    assert world.held() == {"asha": "id-1"}


def test_a_list_of_conflicts_that_are_gone_is_removed(world: World) -> None:
    world.write(("asha", "id-1"), ("ravi", "id-1"))
    world.run()
    world.write(("asha", "id-1"))
    assert world.run().exit_code == 0
    assert not world.file.with_name("users.conflicts.csv").exists()


@pytest.mark.parametrize("earlier", [None, 0o600, 0o666])
def test_a_list_of_conflicts_is_for_its_operator_alone_from_its_first_byte_on(
    world: World, monkeypatch: pytest.MonkeyPatch, earlier: int | None
) -> None:
    path = world.file.with_name("users.conflicts.csv")
    if earlier is not None:
        path.write_text("an earlier list")
        path.chmod(earlier)
    opened, rights = os.open, list[int]()

    def look(file: Any, *arguments: Any, **options: Any) -> int:
        descriptor = opened(file, *arguments, **options)
        if file == path:
            rights.append(stat.S_IMODE(os.fstat(descriptor).st_mode))
        return descriptor

    monkeypatch.setattr(os, "open", look)
    before = os.umask(0)
    try:
        world.write(("asha", "id-1"), ("ravi", "id-1"))
        world.run()
    finally:
        os.umask(before)
    assert rights == [0o600]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(world.conflicts) == 2


def test_who_has_an_earlier_list_open_does_not_read_the_new_one(world: World) -> None:
    path = world.file.with_name("users.conflicts.csv")
    path.write_text("an earlier list")
    world.write(("asha", "id-1"), ("ravi", "id-1"))
    with path.open() as held:
        world.run()
        assert held.read() == "an earlier list"
    assert len(world.conflicts) == 2


def test_a_long_list_is_cut_on_the_terminal_and_whole_in_the_file(world: World) -> None:
    for subject, smallcase_auth_id in numbered(25):
        connect(world, subject, smallcase_auth_id)
    world.write(*((subject, f"another-{subject}") for subject, _ in numbered(25)))
    ended = world.run()
    assert "  … and 5 more" in ended.lines
    assert len(world.conflicts) == 26


def test_a_line_that_is_there_twice_is_imported_once_and_no_conflict(world: World) -> None:
    world.write(("asha", "id-1"), ("ravi", "id-2"), ("asha", "id-1"))
    ended = world.run(APPLY="1")
    assert ended.exit_code == 0
    assert f"{world.file}: 3 rows. Imported 2, connected already 1, conflicts 0." in ended.lines
    assert world.held() == {"asha": "id-1", "ravi": "id-2"}


def test_a_list_that_cannot_be_written_is_said_and_shown_all_the_same(world: World) -> None:
    world.write(("asha", "id-1"), ("ravi", "id-1"))
    world.file.with_name("users.conflicts.csv").mkdir()
    ended = world.run()
    assert ended.exit_code == 1
    assert "cannot be written: Is a directory." in ended.err
    assert "  line 3: CONTRADICTION: line 2 has the same smallcase_auth_id for another user" in ended.lines


def test_who_comes_first_in_between_is_a_conflict_and_not_overwritten(world: World) -> None:
    row = Row(2, User(ISSUER, "asha"), "id-1")
    held_by_another, held_another = Row(3, User(ISSUER, "ravi"), "id-2"), Row(4, User(ISSUER, "mira"), "id-3")
    connect(world, "tara", "id-2")
    connect(world, "mira", "id-4")
    table = ConnectionImport(world.dynamodb, TABLE, Clock(NOW), world.pauses.append)
    forecasts = [table._look([each])[0]._replace(outcome=Outcome.NEW) for each in (row, held_by_another, held_another)]
    written = [table._write(forecast).outcome for forecast in forecasts]
    assert written == [Outcome.NEW, Outcome.AUTH_ID_TAKEN, Outcome.ALREADY_CONNECTED]
    assert world.held() == {"asha": "id-1", "tara": "id-2", "mira": "id-4"}


# --- the same conditions as the live path ---

ASHA, RAVI = User(ISSUER, "asha"), User(ISSUER, "ravi")
USER_ENTRIES: list[dict[str, Any] | None] = [
    None,
    {},
    *({"smallcase_auth_id": {"S": held}} for held in ("id-1", "id-2")),
]
ID_ENTRIES: list[dict[str, Any] | None] = [None, {}, *({"user_pk": {"S": user_key(user)}} for user in (ASHA, RAVI))]
STATES = list(itertools.product(USER_ENTRIES, ID_ENTRIES))


def outcome_of(write: Callable[[], None]) -> Outcome | None:
    try:
        write()
    except AlreadyConnected:
        return Outcome.ALREADY_CONNECTED
    except AuthIdTaken:
        return Outcome.AUTH_ID_TAKEN
    return None


@pytest.mark.parametrize(("user_entry", "id_entry"), STATES)
def test_forecast_import_and_live_path_agree_in_every_state_of_the_table(
    world: World, user_entry: dict[str, Any] | None, id_entry: dict[str, Any] | None
) -> None:
    def prepare() -> None:
        for pk, entry in ((user_key(ASHA), user_entry), (auth_id_key("id-1"), id_entry)):
            world.dynamodb.delete_item(TableName=TABLE, Key={"pk": {"S": pk}})
            if entry is not None:
                world.dynamodb.put_item(TableName=TABLE, Item={"pk": {"S": pk}, **entry})

    prepare()
    table = ConnectionImport(world.dynamodb, TABLE, Clock(NOW), world.pauses.append)
    ((judged,),) = table.look([Row(2, ASHA, "id-1")])
    imported = outcome_of(lambda: writer(world).bring(ASHA, Connection("id-1")))
    prepare()
    PendingTransactionsTable(TABLE, Clock(NOW)).remember("TRX_1", ASHA, NOW + 60)
    lived = outcome_of(lambda: writer(world).connect(ASHA, Connection("id-1"), "TRX_1"))
    assert imported == lived
    assert judged.outcome == (imported or (Outcome.CONNECTED if user_entry and id_entry else Outcome.NEW))


def test_a_row_is_connected_only_when_both_directions_are_there() -> None:
    row = Row(2, ASHA, "id-1")
    assert judge(row, Found("id-1", user_key(ASHA))) is Outcome.CONNECTED
    assert judge(row, Found("id-1", None)) is judge(row, Found(None, user_key(ASHA))) is Outcome.NEW


# --- interruptions ---


def test_an_interrupted_import_goes_on_where_it_stopped(world: World) -> None:
    world.write(*numbered(120))
    looks = itertools.count()

    def stop(**_: object) -> None:
        if next(looks) == 1:
            raise StopRequested(signal.SIGINT)

    world.dynamodb.meta.events.register("before-call.dynamodb.BatchGetItem", stop)
    ended = world.run(APPLY="1")
    assert ended.exit_code == 128 + signal.SIGINT
    assert "Stopped after 50 of 120 rows. Imported 50, connected already 0, conflicts 0." in ended.lines
    assert f"To go on, past what is written already: make import-connections FILE={world.file} APPLY=1" in ended.lines
    assert ended.err == "Stopped.\n"
    assert not world.file.with_name("users.conflicts.csv").exists()
    assert "Imported 70, connected already 50, conflicts 0." in world.run(APPLY="1").out
    assert world.held() == dict(numbered(120))


def test_a_table_out_of_reach_ends_the_import_with_the_code_and_how_to_go_on(world: World) -> None:
    world.write(("asha", "id-1"))
    allow = refuse(world.dynamodb, "TransactWriteItems", "AccessDeniedException", "text that quotes asha")
    ended = world.run(APPLY="1", OPS_STAGE="prod")
    assert ended.exit_code == 1
    assert ended.err == "AWS did not do it: AccessDeniedException.\n"
    assert ended.lines[-1].endswith("APPLY=1 STAGE=prod")
    allow()
    refuse(world.dynamodb, "BatchGetItem", "ResourceNotFoundException")
    assert world.run().err == "AWS did not do it: BatchGetItem, ResourceNotFoundException.\n"


class Busy:
    """A DynamoDB that returns one item at a time, and from some point on none."""

    def __init__(self, dynamodb: Any, answers: int) -> None:
        self._dynamodb = dynamodb
        self._answers = answers

    def batch_get_item(self, **request: Any) -> Any:
        wanted = request["RequestItems"][TABLE]
        if self._answers == 0:
            return {"Responses": {}, "UnprocessedKeys": {TABLE: wanted}}
        self._answers -= 1
        first, rest = {**wanted, "Keys": wanted["Keys"][:1]}, {**wanted, "Keys": wanted["Keys"][1:]}
        answer = self._dynamodb.batch_get_item(RequestItems={TABLE: first})
        return {"Responses": answer["Responses"], "UnprocessedKeys": {TABLE: rest} if rest["Keys"] else {}}


def test_what_dynamodb_leaves_out_is_asked_for_again_and_not_taken_for_absent(world: World) -> None:
    connect(world, "asha", "id-1")
    row = Row(2, ASHA, "id-1")
    busy: Any = Busy(world.dynamodb, answers=2)
    table = ConnectionImport(busy, TABLE, Clock(NOW), world.pauses.append)
    assert [judged.outcome for (judged,) in table.look([row])] == [Outcome.CONNECTED]
    assert world.pauses == [0.2]
    with pytest.raises(ConnectionsUnavailable, match="unprocessed_keys"):
        list(table.look([row]))


# --- what is asked for ---


def test_a_file_is_needed(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    assert import_connections.main({"APPLY": "ye"}) == 2
    said = capsys.readouterr().err
    assert "FILE is missing" in said
    assert "APPLY is either 1 or left out." in said
    assert "Usage: make import-connections" in said


def test_a_file_that_is_not_there_is_said(world: World) -> None:
    ended = world.run()
    assert (ended.exit_code, ended.err) == (2, f"{world.file} cannot be read: No such file or directory.\n")


def test_a_bad_file_is_told_line_by_line_and_nothing_of_it_is_imported(world: World) -> None:
    world.write(("asha", "id-1"), *(("", "id-2"),) * 25)
    ended = world.run(APPLY="1", SHOW="1")
    assert ended.exit_code == 2
    assert ended.lines[0] == f"{world.file} cannot be imported, and nothing of it was:"
    assert ended.lines[1] == "  line 3: sub is empty"
    assert ended.lines[-1] == "  … and 5 more"
    assert world.held() == {}


def test_rows_of_another_issuer_are_warned_of(world: World) -> None:
    world.write(("asha", "id-1"), issuer=f"{ISSUER}/")
    ended = world.run()
    assert "Careful: 1 rows, the first on line 2," in ended.out
    assert ended.exit_code == 0


def test_a_path_in_the_home_folder_is_found(world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    world.write(("asha", "id-1"))
    deployments = FakeDeployments({"ConnectionsTableName": TABLE}, {"OidcIssuer": ISSUER})
    deployments.clients["dynamodb"] = OneAtATime(world.dynamodb)
    assert import_connections.main({**os.environ, "FILE": "~/users.csv"}, deployments) == 0
