"""The house's rules that no type checker knows: which way imports point, and what stands in one
place only.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.places import REPOSITORY

ORDER = (
    {"errors"},
    {"clock", "recording"},
    {"config", "service_units"},
    {"rules", "crypto"},
    {"storage", "keyring"},
    {"catalogue"},
    {"log"},
    {"vault"},
    {"custody"},
    {"intake"},
    {"operations"},
    {"monitoring"},
    {"web"},
    {"cli"},
    {"__main__"},
)
"""The order of the vault, from below: a package imports only from packages below its own."""

CUSTODY = (
    {"papers"},
    {"people"},
    {"witness", "keyholders", "cameras", "log_reading", "assignments"},
    {"security_keys", "cases", "reports", "camera_list"},
    {"viewing", "retention"},
    {"handover"},
    {"figures", "search"},
    {"inbox"},
)
"""The order within custody, which is the largest package."""

PUBLIC = {path.stem for path in (REPOSITORY / "vault").glob("*.py")}
DOORS = PUBLIC | {"intake"}
"""All that dockd may know of the vault: the files that stand directly in it, and the intake."""


def level(order: tuple[set[str], ...], room: str) -> int:
    return next(row for row, rooms in enumerate(order) if room in rooms)


def modules(package: str) -> Iterator[tuple[str, Path]]:
    for path in sorted((REPOSITORY / package).rglob("*.py")):
        name = ".".join(path.relative_to(REPOSITORY).with_suffix("").parts)
        if not name.endswith("__init__"):
            yield name, path


def imported(path: Path) -> set[str]:
    """Every module that a file imports; `from vault import cameras` counts as `vault.cameras`."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{path}: relative import"
            parts = {f"{node.module}.{alias.name}" for alias in node.names}
            as_modules = {
                part
                for part in parts
                if (REPOSITORY / Path(*part.split("."))).with_suffix(".py").exists()
            }
            found |= as_modules or {node.module}
    return found


@pytest.mark.parametrize(("package", "order"), [("vault", ORDER), ("vault.custody", CUSTODY)])
def test_imports_point_down(package: str, order: tuple[set[str], ...]) -> None:
    """The one import rule: downward only, and freely within a room."""
    depth = package.count(".") + 1
    for module, path in modules(package.replace(".", "/")):
        for target in sorted(name for name in imported(path) if name.startswith(package + ".")):
            here, there = module.split(".")[depth], target.split(".")[depth]
            assert here == there or level(order, there) < level(order, here), (module, target)


def test_vault_never_imports_the_dock() -> None:
    for module, path in modules("vault"):
        assert not {
            name for name in imported(path) if name.split(".")[0] in ("dockd", "device_sim")
        }, module


def test_dock_knows_only_the_vaults_doors() -> None:
    for module, path in modules("dockd"):
        reached = {name for name in imported(path) if name.split(".")[0] == "vault"}
        closed = {name for name in reached if name.split(".")[1] not in DOORS}
        assert not closed, f"{module} imports {sorted(closed)}"
        assert not {name for name in imported(path) if name.startswith("device_sim")}, module


def test_camera_stands_apart() -> None:
    """device_sim is a second reader of the camera contract: shared code would only prove that code
    agrees with itself.
    """
    for module, path in modules("device_sim"):
        assert not {name for name in imported(path) if name.split(".")[0] in ("dockd", "vault")}, (
            module
        )


def test_no_import_cycle() -> None:
    for package in ("dockd", "device_sim", "vault"):
        graph = {
            module: {name for name in imported(path) if name.startswith(package)}
            for module, path in modules(package)
        }
        done: set[str] = set()

        def visit(
            module: str,
            above: tuple[str, ...],
            graph: dict[str, set[str]] = graph,
            done: set[str] = done,
        ) -> None:
            assert module not in above, f"import cycle: {' -> '.join((*above, module))}"
            if module not in done:
                for target in graph.get(module, ()):
                    visit(target, (*above, module))
                done.add(module)

        for module in graph:
            visit(module, ())


def calls(path: Path) -> Iterator[tuple[str, int]]:
    """Dotted names of what a file calls, with the line."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node.lineno


def _callers(package: str, endings: tuple[str, ...]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for module, path in modules(package):
        for name, _ in calls(path):
            if name in endings or any(
                name.endswith(ending) for ending in endings if ending.startswith(".")
            ):
                found.setdefault(module, set()).add(name)
    return found


DURABLE_CALLS = (
    "os.fsync",
    "os.fdatasync",
    "os.rename",
    "os.replace",
    "os.link",
    "os.unlink",
    "os.remove",
    "os.rmdir",
    "os.ftruncate",
)
DURABLE_METHODS = (".unlink", ".rename", ".hardlink_to", ".rmdir")


def test_one_place_makes_things_durable() -> None:
    """In the vault only `durable.py` flushes, links, renames and removes."""
    assert set(_callers("vault", DURABLE_CALLS + DURABLE_METHODS)) == {"vault.storage.durable"}


WITH_PATHS = {
    "vault.custody.papers": "papers are small files beside the log, which has their digests",
    "vault.custody.viewing.release": "`extract` writes opened files where two persons say",
    "vault.custody.handover.handover": "the package waits, encrypted, outside the vault",
    "vault.custody.handover.package": "the package is written there",
}


def test_no_footage_is_reached_by_a_path() -> None:
    """A recording is named by a `FolderName` and its store: only the store of files knows where."""
    room = {name: imported(path) for name, path in modules("vault")}
    for folder in ("vault.custody.", "vault.intake."):
        with_paths = {
            name for name, names in room.items() if name.startswith(folder) and "pathlib" in names
        }
        assert with_paths == {name for name in WITH_PATHS if name.startswith(folder)}
    assert "pathlib" not in room["vault.storage.store"] | room["vault.storage.sealing"]
    assert set(_callers("vault", ("MediumReader", "PartFile"))) == {"vault.storage.file_store"}
    assert set(_callers("vault", ("FileStore",))) == {
        "vault.vault",
        "vault.operations.backup",
        "vault.operations.founding",
        "vault.operations.rebuild",
        "vault.operations.restore",
    }


def test_only_the_store_and_who_makes_one_names_its_folders() -> None:
    named = {
        module
        for module, path in modules("vault")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and node.value in ("footage", "incoming")
    }
    assert named == {
        "vault.storage.file_store",
        "vault.operations.backup",
        "vault.operations.founding",
    }


def test_one_place_speaks_sqlite() -> None:
    """Another engine can stand behind the catalogue's URL: pragmas and files are in one module. A
    migration may speak to the engine whose catalogues it brings up.
    """
    words = ("PRAGMA", "BEGIN IMMEDIATE", "-journal")
    naming = {
        module
        for module, path in modules("vault")
        if not module.startswith("vault.catalogue.migrations.")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and any(node.value.startswith(word) for word in words)
    }
    assert naming == {"vault.catalogue.sqlite"}


def test_one_place_reads_the_clock() -> None:
    endings = (
        "datetime.now",
        "datetime.utcnow",
        "time.time",
        "time.monotonic",
        "time.sleep",
        "time.time_ns",
        "time.monotonic_ns",
    )
    assert set(_callers("vault", endings)) == {"vault.clock"}
    assert not _callers("dockd", endings)
    assert set(_callers("device_sim", endings)) <= {"device_sim.clock"}


def test_one_place_releases_plaintext() -> None:
    """I6: `release.py` alone asks an Unwrapper for its half and builds an Opener outside the
    intake's read-back.
    """
    assert set(_callers("vault", (".half",))) == {"vault.custody.viewing.release"}
    assert set(_callers("vault", ("Opener",))) == {
        "vault.custody.viewing.release",
        "vault.storage.store",
    }
    assert not _callers("dockd", (".half", "Opener", "Unwrapper"))


def test_every_route_to_a_key_that_opens_is_known() -> None:
    """I6: who builds an Unwrapper, who is handed one, who opens a recording with it, and who reads
    what was opened.
    """
    assert set(_callers("vault", ("Unwrapper",))) == {"vault.keyring.keyring"}
    assert set(_callers("vault", (".unwrapper",))) == {
        "vault.custody.viewing.viewing_session",
        "vault.keyring.keyring",
    }
    assert set(_callers("vault", (".unlock",))) == {
        "vault.operations.drill",
        "vault.cli.recordings",
        "vault.cli.backup",
    }
    assert set(_callers("vault", ("open_recording",))) == {
        "vault.custody.viewing.viewing_session",
        "vault.operations.drill",
        "vault.cli.recordings",
    }
    assert set(_callers("vault", ("open_viewing",))) == {
        "vault.cli.handovers",
        "vault.cli.viewings",
        "vault.web.live_viewings",
    }
    assert set(_callers("vault", ("session.show", ".session.show"))) == {
        "vault.cli.viewings",
        "vault.web.live_viewings",
    }
    assert set(_callers("vault", (".span",))) == {
        "vault.custody.viewing.viewing_session",
        "vault.custody.viewing.release",
    }
    assert set(_callers("vault", (".blocks",))) == {
        "vault.custody.viewing.release",
        "vault.operations.drill",
        "vault.custody.handover.handover",
        "vault.custody.handover.package",
    }
    assert set(_callers("vault", ("extract",))) == {"vault.cli.recordings"}
    assert set(_callers("vault", (".reach",))) == {
        "vault.keyring.keyring",
        "vault.custody.viewing.viewing_session",
        "vault.keyring.changes",
    }


def test_pages_hold_no_sql_no_cryptography_and_open_nothing() -> None:
    """A page calls a verb of the vault and shows what it says."""
    for module, path in modules("vault/web"):
        assert not {
            name
            for name in imported(path)
            if name.split(".")[0] in ("sqlalchemy", "cryptography", "fido2")
        }, module
        assert not {
            name
            for name, _ in calls(path)
            if name in ("open", "os.open") or name.endswith((".read_bytes", ".read_text"))
        }, module


ROWS = ("tables", "database", "facts", "rows")


@pytest.mark.parametrize("face", ["vault/web", "vault/cli"])
def test_a_face_reads_by_verbs_of_custody_alone(face: str) -> None:
    """Who may read what, and what of it the log is told, is decided in one place: a page and a
    command import no rows and open no transaction.
    """
    for module, path in modules(face):
        rows = {
            name
            for name in imported(path)
            if name.startswith("vault.catalogue.")
            and (name.endswith("_rows") or name.split(".")[2] in ROWS)
        }
        assert not rows, f"{module} imports {sorted(rows)}"
        past_custody = {
            (name, line)
            for name, line in calls(path)
            if name.endswith(("vault.reading", "vault.writing", "vault.record"))
            or (".log." in f".{name}" and name.startswith(("vault.", "visit.vault.")))
        }
        assert not past_custody, f"{module} calls {sorted(past_custody)}"


def test_every_way_to_delete_footage_is_known() -> None:
    """Fault F5: one way destroys, and it asks for holds in its transaction;

    the other drops what has no row yet, or a backup's copy.
    """
    assert set(_callers("vault", (".destroy",))) == {
        "vault.custody.retention.deletion",
        "vault.operations.rebuild",
        "vault.operations.backup",
        "vault.operations.restore",
    }
    assert set(_callers("vault", (".drop_recording",))) == {
        "vault.intake.intake",
        "vault.intake.attempt",
    }
    assert set(_callers("vault", ("remove_folder",))) == {"vault.storage.file_store"}


def test_broad_excepts_stand_only_at_the_edges() -> None:
    """`except Exception` or wider: the dock's bay thread and `main`; in the store, only to drop a
    part and raise again.
    """
    allowed = {
        "dockd.docking.docking",
        "dockd.__main__",
        "device_sim.__main__",
        "vault.__main__",
        "vault.web.app",
    }
    for package in ("vault", "dockd", "device_sim"):
        for module, path in modules(package):
            for node in ast.walk(ast.parse(path.read_text())):
                if not isinstance(node, ast.ExceptHandler):
                    continue
                broad = node.type is None or ast.unparse(node.type) in (
                    "Exception",
                    "BaseException",
                )
                reraises = any(
                    isinstance(inner, ast.Raise) and inner.exc is None for inner in ast.walk(node)
                )
                assert not broad or reraises or module in allowed, f"{module}:{node.lineno}"


def test_texts_hold_no_leftovers() -> None:
    """No TODO, and no path of a machine, in what is committed."""
    marks = ("TO" + "DO", "FIX" + "ME", "/ro" + "ot/", "/work" + "/main")
    for folder in ("vault", "dockd", "device_sim", "config", "systemd", "docs", "tests"):
        for path in sorted((REPOSITORY / folder).rglob("*")):
            if path.suffix in (".py", ".md", ".toml", ".service") and path.name != "test_house.py":
                text = path.read_text()
                assert not [mark for mark in marks if mark in text], path
