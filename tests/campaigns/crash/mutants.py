"""Planted mistakes: each is put into a copy of the tree, and a test of ours has to catch it.

    python -m tests.campaigns.crash.mutants [--only NAME ...] [--list]

What a test never saw fail proves nothing. Each mutant is a mistake that somebody could make here,
most of them one line. The copy without any must pass the same commands.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.support.places import REPOSITORY

COPIED = ("vault", "dockd", "device_sim", "tests", "config", "systemd", "pyproject.toml")
LONGEST_S = 1800
NONE = "(none)"

Command = tuple[str, ...]


def unit(*tests: str) -> Command:
    return ("-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *tests)


EXPLORER: Command = (
    "-m",
    "tests.campaigns.crash.explorer",
    "--images",
    "2000",
    "--processes",
    "2",
    "--stop",
)
DURABLE = unit("tests/unit/vault/storage/test_durable.py")
CATALOGUE = unit("tests/unit/vault/catalogue/test_catalogue.py")
INTAKE = unit("tests/unit/vault/intake/test_intake.py")
MOUNT = unit("tests/unit/dockd/mounted/test_mounted_card.py")
DOCKING = unit("tests/unit/dockd/docking/test_docking.py")
ERASE = unit("tests/unit/dockd/docking/test_erase.py")
RETENTION = unit("tests/unit/vault/custody/retention/test_retention.py")
VIEWING = unit("tests/unit/vault/custody/viewing/test_viewing.py")
CEREMONY = unit("tests/unit/vault/keyring/test_changes.py")
CASES = unit("tests/unit/vault/custody/test_cases.py")
BACKUP = unit("tests/unit/vault/operations/test_backup.py")
CLOCKS = unit("tests/campaigns/crash/test_clocks.py")


@dataclass(frozen=True)
class Edit:
    """An exact text of a file, which stands there once, and what takes its place."""

    file: str
    old: str
    new: str


@dataclass(frozen=True)
class Mutant:
    """A mistake, and the command that must catch it."""

    name: str
    caught_by: Command
    edits: tuple[Edit, ...]


@dataclass(frozen=True)
class Verdict:
    """How a command ended on a copy: what it said where it failed."""

    failed: bool
    seconds: float
    said: str


def durable(old: str, new: str) -> Edit:
    return Edit("vault/storage/durable.py", old, new)


def store(old: str, new: str) -> Edit:
    return Edit("vault/storage/store.py", old, new)


def file_store(old: str, new: str) -> Edit:
    return Edit("vault/storage/file_store.py", old, new)


def intake(old: str, new: str) -> Edit:
    return Edit("vault/intake/intake.py", old, new)


def attempt(old: str, new: str) -> Edit:
    return Edit("vault/intake/attempt.py", old, new)


def catalogue(old: str, new: str) -> Edit:
    return Edit("vault/catalogue/database.py", old, new)


def sqlite(old: str, new: str) -> Edit:
    return Edit("vault/catalogue/sqlite.py", old, new)


def erase(old: str, new: str) -> Edit:
    return Edit("dockd/docking/erase.py", old, new)


MUTANTS = (
    # --- flushes that are missing (fault C3) ---
    Mutant("file not flushed", EXPLORER, (durable("os.fsync(self._fd)", "os.fstat(self._fd)"),)),
    Mutant(
        "folder not flushed after a new name",
        EXPLORER,
        (
            durable(
                '    flush_folder(final.parent)\n    with storage_errors(f"removing',
                '    with storage_errors(f"removing',
            ),
        ),
    ),
    Mutant(
        "parent of a new folder not flushed",
        EXPLORER,
        (durable("in folder.parents if missing else ():", "in ():"),),
    ),
    Mutant(
        "parent of a new month not flushed",
        EXPLORER,
        (durable("        if parent == top:\n            break", "        break"),),
    ),
    Mutant(
        "folder that a killed process made not flushed",
        EXPLORER,
        (
            file_store(
                "make_folder(self._path(at), within=self._footage)", "make_folder(self._path(at))"
            ),
        ),
    ),
    Mutant(
        "record.json not flushed",
        EXPLORER,
        (
            durable(
                "            os.fsync(fd)\n        except OSError:",
                "            os.fstat(fd)\n        except OSError:",
            ),
        ),
    ),
    Mutant(
        "line of the log not flushed",
        EXPLORER,
        (
            durable(
                "            os.fsync(fd)\n        finally:\n            "
                "os.close(fd)\n\n\ndef remove_file",
                "            os.fstat(fd)\n        finally:\n            "
                "os.close(fd)\n\n\ndef remove_file",
            ),
        ),
    ),
    Mutant(
        "adopted folder not flushed",
        EXPLORER,
        (
            file_store(
                "            flush_folder(place)\n            if place", "            if place"
            ),
        ),
    ),
    Mutant(
        "removal of a journal not flushed at the start",
        CATALOGUE,
        (catalogue("        catalogue._place.settle()\n", ""),),
    ),
    Mutant(
        "removal of a journal not flushed before a transaction",
        CATALOGUE,
        (catalogue("                self._place.settle()\n", ""),),
    ),
    Mutant(
        "deletion on the card not flushed",
        EXPLORER,
        (
            Edit(
                "dockd/mounted/mounted_card.py",
                "dir_fd=folder)\n                os.fsync(folder)",
                "dir_fd=folder)",
            ),
            Edit(
                "dockd/mounted/mounted_card.py",
                "outlives it.\n                os.fsync(folder)\n",
                "outlives it.\n",
            ),
        ),
    ),
    Mutant(
        "file on a card let go before its name is gone",
        MOUNT,
        (
            Edit(
                "dockd/mounted/mounted_card.py",
                "as folder, _held(self._open_listed(file, folder)):\n",
                "as folder:\n                os.close(self._open_listed(file, folder))\n",
            ),
        ),
    ),
    Mutant(
        "reader kept for a card that went",
        DOCKING,
        (
            Edit(
                "dockd/docking/docking.py",
                "            self._port.lease.end()\n\n    def",
                "\n    def",
            ),
        ),
    ),
    # --- the catalogue (faults D1, I4) ---
    Mutant(
        "catalogue with synchronous=OFF",
        EXPLORER,
        (
            sqlite('"synchronous=EXTRA"', '"synchronous=OFF"'),
            sqlite("_SYNCHRONOUS_EXTRA = 3", "_SYNCHRONOUS_EXTRA = 0"),
        ),
    ),
    Mutant(
        "catalogue with synchronous=FULL",
        EXPLORER,
        (
            sqlite('"synchronous=EXTRA"', '"synchronous=FULL"'),
            sqlite("_SYNCHRONOUS_EXTRA = 3", "_SYNCHRONOUS_EXTRA = 2"),
        ),
    ),
    Mutant(
        "catalogue with a write-ahead log and synchronous=NORMAL",
        CATALOGUE,
        (
            sqlite('"journal_mode=DELETE"', '"journal_mode=WAL"'),
            sqlite('"synchronous=EXTRA"', '"synchronous=NORMAL"'),
            sqlite("_SYNCHRONOUS_EXTRA = 3", "_SYNCHRONOUS_EXTRA = 1"),
            sqlite('if mode != "delete"', 'if mode != "wal"'),
        ),
    ),
    Mutant(
        "entry of the log in a transaction of its own",
        EXPLORER,
        (
            attempt(
                "                entry = Entry(",
                "            with vault.writing() as tx:\n                entry = Entry(",
            ),
        ),
    ),
    Mutant(
        "torn line of the log not ended",
        EXPLORER,
        (
            durable(
                'torn = size_bytes > 0 and os.pread(fd, 1, size_bytes - 1) != b"\\n"',
                "torn = False and size_bytes > 0",
            ),
        ),
    ),
    # --- order (faults C1 to C3, E1) ---
    Mutant(
        "record.json with its keys before the segments",
        EXPLORER,
        (
            store(
                "        self._reserve_bytes = reserve_bytes\n",
                "        self._reserve_bytes = reserve_bytes\n        self.late: list[Part] = []\n",
            ),
            store(
                "            self.make_place(target.folder)\n            part.publish()",
                "            self.make_place(target.folder)\n            self.late.append(part)",
            ),
            store(
                "        self.publish(at, RECORD_NAME, content)\n",
                "        self.publish(at, RECORD_NAME, content)\n"
                "        for late in self.late:\n            late.publish()\n        "
                "self.late.clear()\n",
            ),
        ),
    ),
    Mutant(
        "row before record.json, and the row trusted",
        EXPLORER,
        (
            attempt(
                "            digest = self._vault.store.write_record(self._folder, content)\n"
                "            receipt = self._commit_row(record, digest)\n",
                "            digest = self._vault.store.digest_of(content)\n"
                "            receipt = self._commit_row(record, digest)\n"
                "            self._vault.store.write_record(self._folder, content)\n",
            ),
        ),
    ),
    Mutant(
        "record.json written in place",
        EXPLORER,
        (
            durable(
                "    _write_flushed(part, content)\n    try:\n        publish(part, final)",
                "    _write_flushed(final, content)\n    try:\n        flush_folder(final.parent)",
            ),
        ),
    ),
    Mutant(
        "erased before it is stored",
        EXPLORER,
        (
            Edit(
                "dockd/docking/pull.py",
                "            receipt = attempt.commit(verdict)\n",
                "            for file in recording.files:\n                if file is not None:\n"
                "                    transfer._card.delete(file)\n            receipt = "
                "attempt.commit(verdict)\n",
            ),
        ),
    ),
    Mutant(
        "erased before the intent is written",
        EXPLORER,
        (
            erase(
                "        receipt = self._intake.intend_erase(receipt)\n",
                "        self._delete(recording, self._identify_all(expected, "
                "recording.folder or ()))\n"
                "        receipt = self._intake.intend_erase(receipt)\n",
            ),
            erase(
                "        try:\n            self._delete(recording, "
                "self._identify_all(expected, recording.folder or ()))\n",
                "        try:\n",
            ),
        ),
    ),
    Mutant(
        "manifest erased before the segments",
        EXPLORER,
        (
            erase(
                "        for expected_object, file in remaining:\n            if",
                "        for expected_object, file in reversed(remaining):\n            if",
            ),
        ),
    ),
    # --- identity and trust (faults A7, C4, C6, E4; ruling 8) ---
    Mutant(
        "id from the camera's name",
        EXPLORER,
        (attempt("self.recording_id = str(uuid.uuid4())", "self.recording_id = claim.name"),),
    ),
    Mutant(
        "unproven twin trusted for the erase",
        EXPLORER,
        (
            intake(
                "if row.proven and row.identity == claim.identity:",
                "if row.identity == claim.identity:",
            ),
            intake(
                "            if not row.proven:\n                raise EraseRefused",
                "            if not row:\n                raise EraseRefused",
            ),
        ),
    ),
    Mutant(
        "flush tried again after an error",
        DURABLE,
        (
            durable(
                "                os.fsync(self._fd)\n",
                "                try:\n                    os.fsync(self._fd)\n"
                "                except OSError:\n                    os.fsync(self._fd)\n",
            ),
        ),
    ),
    Mutant(
        "what was read back not compared",
        INTAKE,
        (
            Edit(
                "vault/storage/sealing.py",
                "if announced.sha256 is not None and proof.plain_sha256 != announced.sha256:",
                "if proof.plain_bytes < 0:",
            ),
        ),
    ),
    Mutant(
        "adopted without its digests",
        INTAKE,
        (
            intake(
                "(folder, part.sealed_name) != (\n                    part.sealed_bytes,\n"
                "                    part.sealed_sha256,\n                ):",
                "(folder, part.sealed_name)[0] != part.sealed_bytes:",
            ),
        ),
    ),
    Mutant(
        "erased without identifying again",
        ERASE,
        (
            erase(
                "            self._identify(expected_object, file)\n            self._card.delete(file)",
                "            self._card.delete(file)",
            ),
        ),
    ),
    Mutant(
        "called erased without listing again",
        ERASE,
        (erase("            self._demand_gone(_all_paths(recording, expected))\n", ""),),
    ),
    # --- custody (I4 to I7) ---
    Mutant(
        "hold not asked in the deleting transaction",
        RETENTION,
        (
            Edit(
                "vault/custody/retention/deletion.py",
                "is not None or case_rows.is_held(tx, recording_id):\n            return False",
                "is not None:\n            return False",
            ),
        ),
    ),
    Mutant(
        "sealed files destroyed before their keys",
        BACKUP,
        (
            file_store(
                "            overwrite_and_remove(path)\n        remove_folder(folder)",
                "            pass\n",
            ),
        ),
    ),
    Mutant(
        "destroyed without the day of running after the mark",
        CLOCKS,
        (
            Edit(
                "vault/rules/sweep_plan.py",
                "return situation.running_s - one.marked.running_s >= RUNNING.total_seconds()",
                "return True",
            ),
            Edit(
                "vault/rules/clock_guard.py",
                "    if abs(away) > TOLERANCE:",
                "    if abs(away) > 999 * TOLERANCE:",
            ),
        ),
    ),
    Mutant(
        "a jumped clock believed on network time's word",
        CLOCKS,
        (
            Edit(
                "vault/rules/clock_guard.py",
                "    if abs(away) > TOLERANCE:",
                "    if abs(away) > TOLERANCE and not look.synced:",
            ),
        ),
    ),
    Mutant(
        "what came in under a doubted clock keeps its own time",
        RETENTION,
        (
            Edit(
                "vault/custody/retention/sweep.py",
                "    if row.unsure_until_utc is not None:",
                "    if False:",
            ),
        ),
    ),
    Mutant(
        "a picture before the head is with the witness",
        VIEWING,
        (
            Edit(
                "vault/custody/viewing/viewing_session.py",
                "            )\n        sign_head(vault)\n",
                "            )\n",
            ),
        ),
    ),
    Mutant(
        "a span shown without its entry",
        VIEWING,
        (Edit("vault/custody/viewing/viewing_session.py", "        self._log(span, part)\n", ""),),
    ),
    Mutant(
        "a viewing that goes on when one has left",
        VIEWING,
        (
            Edit(
                "vault/custody/viewing/viewing_session.py",
                '            self.end(f"{person} left")',
                "            pass",
            ),
        ),
    ),
    Mutant(
        "a second seat sealed whole",
        CEREMONY,
        (
            Edit(
                "vault/keyring/seats.py",
                "if form.first_seat == function and not standing:",
                "if not standing:",
            ),
        ),
    ),
    Mutant(
        "the other half sealed to a function of one's own",
        CEREMONY,
        (
            Edit(
                "vault/keyring/seats.py",
                " if name != form.first_seat and person not in plan[name].everybody",
                "",
            ),
        ),
    ),
    Mutant(
        "a refusal final before the term of objection",
        CASES,
        (
            Edit(
                "vault/custody/cases.py",
                "now < utc_moment(case.objection_until_utc):",
                "now < now:",
            ),
        ),
    ),
    Mutant(
        "a backup that keeps what the vault destroyed",
        BACKUP,
        (
            Edit(
                "vault/operations/backup.py",
                "        if recording_id in gone or not",
                "        if not",
            ),
        ),
    ),
    Mutant(
        "a backup that destroys what nothing tells of",
        BACKUP,
        (
            Edit(
                "vault/operations/backup.py",
                "        if recording_id in gone or not there.may_hold(folder, RECORD_NAME):",
                "        if recording_id not in here:",
            ),
        ),
    ),
    Mutant(
        "a newer backup cut back to an older vault",
        BACKUP,
        (Edit("vault/operations/backup.py", "    _demand_same_log(vault, target)\n", ""),),
    ),
    Mutant(
        "a restore that goes on destroys what it brought",
        BACKUP,
        (
            Edit(
                "vault/operations/restore.py",
                "            if here.size_of(folder, RECORD_NAME) is None:",
                "            if True:",
            ),
        ),
    ),
    Mutant(
        "a backup counts as made where something is left out",
        BACKUP,
        (Edit("vault/operations/backup.py", "    if done.whole:\n", "    if True:\n"),),
    ),
)


def mutated(mutant: Mutant, tree: Path) -> dict[Path, str]:
    """The files of `tree` with the mutant's edits. Raises ValueError where a text doesn't stand
    there once.
    """
    texts: dict[Path, str] = {}
    for edit in mutant.edits:
        path = tree / edit.file
        text = texts.get(path) or path.read_text()
        if text.count(edit.old) != 1:
            raise ValueError(
                f"{mutant.name}: {edit.file} has {text.count(edit.old)} times {edit.old!r}"
            )
        texts[path] = text.replace(edit.old, edit.new)
    return texts


def copy_tree(folder: Path) -> Path:
    """Today's tree in a new folder."""
    tree = folder / "tree"
    tree.mkdir()
    for name in COPIED:
        source = REPOSITORY / name
        if source.is_dir():
            shutil.copytree(source, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
        elif source.exists():
            shutil.copyfile(source, tree / name)
    return tree


def run(command: Command, mutant: Mutant | None) -> Verdict:
    """Run a command on a copy of the tree with the mutant in it."""
    with tempfile.TemporaryDirectory(prefix="mutant-") as folder:
        tree = copy_tree(Path(folder))
        for path, text in mutated(mutant, tree).items() if mutant else ():
            path.write_text(text)
        environment = os.environ | {"PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"}
        began = time.monotonic()
        done = subprocess.run(
            [sys.executable, *command],
            cwd=tree,
            env=environment,
            capture_output=True,
            text=True,
            timeout=LONGEST_S,
            check=False,
        )
        return Verdict(
            done.returncode != 0, time.monotonic() - began, _essence(done.stdout + done.stderr)
        )


def _essence(output: str) -> str:
    """What a person wants to know of a failure: the failed tests, the invariants that were broken,
    or how it broke off.
    """
    failed = re.findall(r"^FAILED \S+::(\w+)", output, re.MULTILINE)
    broken = re.findall(r"^Images with violations: (.*)\.$", output, re.MULTILINE)
    lines = [line for line in output.strip().splitlines() if line.strip()]
    return ", ".join(failed or broken or lines[-1:])


def _named(command: Command) -> str:
    return "explorer" if command is EXPLORER else command[-1]


def _baselines(mutants: Sequence[Mutant]) -> Iterable[tuple[str, Command, Mutant | None]]:
    for command in dict.fromkeys(mutant.caught_by for mutant in mutants):
        yield NONE, command, None


def main() -> int:
    """Print the table; 1 where a mutant survived, or the tree without one did not pass."""
    parser = argparse.ArgumentParser(description="Planted mistakes, and what catches them.")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="these mutants only")
    parser.add_argument("--list", action="store_true", help="name the mutants")
    options = parser.parse_args()
    chosen = [mutant for mutant in MUTANTS if not options.only or mutant.name in options.only]
    if options.list or not chosen:
        print("\n".join(f"{mutant.name:55} {_named(mutant.caught_by)}" for mutant in MUTANTS))
        return 0 if options.list else 2
    wrong = 0
    for name, command, mutant in [
        *_baselines(chosen),
        *((mutant.name, mutant.caught_by, mutant) for mutant in chosen),
    ]:
        verdict = run(command, mutant)
        good = verdict.failed == (mutant is not None)
        outcome = "caught" if verdict.failed else "SURVIVED"
        if mutant is None:
            outcome = "passes" if good else "FAILS"
        wrong += not good
        print(
            f"{name:55} {outcome:8} {_named(command):28} {verdict.seconds:4.0f} s  "
            f"{verdict.said[:110]}",
            flush=True,
        )
    print(f"{len(chosen)} mutants, {wrong} wrong.")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
