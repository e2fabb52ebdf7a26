"""The house's rules that no type checker knows: which way imports point, and what stands in one place only."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent

VAULT_ROWS = (
    ("errors", "clock", "recording", "jsonform", "protocol", "units", "alarms"),
    ("durable", "sealed", "policy", "config", "memory", "due", "clockguard", "custody_report", "escrow", "dock"),
    ("keys", "lane", "lock", "sweep_plan", "package", "messenger"),
    ("keyring_form",),
    ("record", "catalogue", "store", "migrations.versions.0001_first", "migrations.versions.0002_custody"),
    ("registers", "tombstone", "reel", "alerts"),
    ("audit", "keyring", "migration", "migrations.env"),
    ("ledger", "checkpoint"),
    ("cameras", "ceremony", "outside"),
    ("vault",),
    ("release", "rebuild", "people", "papers"),
    ("cases", "reports", "drill", "keyholders", "witness", "confirmation"),
    ("founding", "viewing", "retention", "securitykeys"),
    ("handover", "figures", "backup", "search", "health", "fleet"),
    ("intake", "verify", "doctor", "gauges"),
    (
        "web.sessions",
        "web.slowdown",
        "web.challenges",
        "web.said",
        "web.words",
        "web.rooms",
        "web.packages",
    ),
    ("web.visit",),
    ("web.home", "web.metrics"),
    (
        "web.accounts",
        "web.cameras",
        "web.cases",
        "web.handovers",
        "web.persons",
        "web.recordings",
        "web.register",
        "web.reports",
        "web.retention",
        "web.stream",
        "web.viewings",
    ),
    ("web.app",),
    ("web.founding",),
    ("web.server",),
    ("cli.base",),
    (
        "cli.account",
        "cli.alert",
        "cli.backup",
        "cli.cameras",
        "cli.casework",
        "cli.catalogue",
        "cli.doctor",
        "cli.founding",
        "cli.log",
        "cli.people",
        "cli.recordings",
        "cli.retention",
        "cli.verify",
        "cli.viewings",
        "cli.web",
    ),
    ("__main__",),
)
"""The rows of `vault`, from below: a module imports only from rows below its own (architecture.md, rulings.md 19)."""

DOORS = {"vault.recording", "vault.errors", "vault.clock", "vault.config", "vault.vault", "vault.intake"}
"""All that dockd may know of the vault."""


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
            as_modules = {part for part in parts if (REPOSITORY / Path(*part.split("."))).with_suffix(".py").exists()}
            found |= as_modules or {node.module}
    return found


def vault_row(module: str) -> int:
    name = module.removeprefix("vault.")
    for row, names in enumerate(VAULT_ROWS):
        if name in names:
            return row
    pytest.fail(f"{module} has no row in the house: place it in VAULT_ROWS")


def test_vault_imports_point_down() -> None:
    """Each module of the vault imports only from rows below its own, and every module has a row."""
    for module, path in modules("vault"):
        for target in sorted(name for name in imported(path) if name.startswith("vault.")):
            assert vault_row(target) < vault_row(module), f"{module} imports {target}, which is not below it"


def test_vault_never_imports_the_dock() -> None:
    for module, path in modules("vault"):
        assert not {name for name in imported(path) if name.split(".")[0] in ("dockd", "device_sim")}, module


def test_dock_knows_only_the_vaults_doors() -> None:
    for module, path in modules("dockd"):
        reached = {name for name in imported(path) if name.split(".")[0] == "vault"}
        assert reached <= DOORS, f"{module} imports {sorted(reached - DOORS)}"
        assert not {name for name in imported(path) if name.startswith("device_sim")}, module


def test_camera_stands_apart() -> None:
    """device_sim is a second reader of the camera contract: shared code would only prove that code agrees with itself."""
    for module, path in modules("device_sim"):
        assert not {name for name in imported(path) if name.split(".")[0] in ("dockd", "vault")}, module


def test_no_import_cycle() -> None:
    for package in ("dockd", "device_sim"):
        graph = {module: {name for name in imported(path) if name.startswith(package)} for module, path in modules(package)}
        done: set[str] = set()

        def visit(module: str, above: tuple[str, ...], graph: dict[str, set[str]] = graph, done: set[str] = done) -> None:
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
            if name in endings or any(name.endswith(ending) for ending in endings if ending.startswith(".")):
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
    assert set(_callers("vault", DURABLE_CALLS + DURABLE_METHODS)) == {"vault.durable"}


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
    """I6: `release.py` alone asks an Unwrapper for its half and builds an Opener outside the intake's read-back."""
    assert set(_callers("vault", (".half",))) == {"vault.release"}
    assert set(_callers("vault", ("Opener",))) == {"vault.release", "vault.store"}
    assert not _callers("dockd", (".half", "Opener", "Unwrapper"))


def test_every_route_to_a_key_that_opens_is_known() -> None:
    """I6: who builds an Unwrapper, who is handed one, who opens a recording with it, and who reads what was opened."""
    assert set(_callers("vault", ("Unwrapper",))) == {"vault.keyring"}
    assert set(_callers("vault", (".unwrapper",))) == {"vault.viewing", "vault.keyring"}
    assert set(_callers("vault", (".unlock",))) == {"vault.drill", "vault.cli.recordings", "vault.cli.backup"}
    assert set(_callers("vault", ("open_recording",))) == {"vault.viewing", "vault.drill", "vault.cli.recordings"}
    assert set(_callers("vault", ("open_viewing",))) == {"vault.cli.viewings", "vault.web.rooms"}
    assert set(_callers("vault", ("session.show", ".session.show"))) == {"vault.cli.viewings", "vault.web.rooms"}
    assert set(_callers("vault", (".span",))) == {"vault.viewing", "vault.release"}
    assert set(_callers("vault", (".blocks",))) == {"vault.release", "vault.drill", "vault.handover", "vault.package"}
    assert set(_callers("vault", ("extract",))) == {"vault.cli.recordings"}
    assert set(_callers("vault", (".reach",))) == {"vault.keyring", "vault.viewing", "vault.ceremony"}


def test_pages_hold_no_sql_no_cryptography_and_open_nothing() -> None:
    """A page calls a verb of the vault and shows what it says."""
    for module, path in modules("vault/web"):
        assert not {name for name in imported(path) if name.split(".")[0] in ("sqlalchemy", "cryptography", "fido2")}, module
        assert not {
            name for name, _ in calls(path) if name in ("open", "os.open") or name.endswith((".read_bytes", ".read_text"))
        }, module


def test_every_way_to_delete_footage_is_known() -> None:
    """Fault F5: one way destroys, and it asks for holds in its transaction;

    the other drops what has no row yet, or a backup's copy.
    """
    assert set(_callers("vault", (".destroy",))) == {"vault.retention", "vault.rebuild", "vault.backup"}
    assert set(_callers("vault", (".drop_recording",))) == {"vault.intake"}
    assert set(_callers("vault", ("remove_folder",))) == {"vault.store"}


def test_broad_excepts_stand_only_at_the_edges() -> None:
    """`except Exception` or wider: the dock's bay thread and `main`; in the store, only to drop a part and raise again."""
    allowed = {"dockd.docking.visit", "dockd.__main__", "device_sim.__main__", "vault.__main__", "vault.web.app"}
    for package in ("vault", "dockd", "device_sim"):
        for module, path in modules(package):
            for node in ast.walk(ast.parse(path.read_text())):
                if not isinstance(node, ast.ExceptHandler):
                    continue
                broad = node.type is None or ast.unparse(node.type) in ("Exception", "BaseException")
                reraises = any(isinstance(inner, ast.Raise) and inner.exc is None for inner in ast.walk(node))
                assert not broad or reraises or module in allowed, f"{module}:{node.lineno}"


def test_texts_hold_no_leftovers() -> None:
    """No TODO, and no path of a machine, in what is committed."""
    marks = ("TO" + "DO", "FIX" + "ME", "/ro" + "ot/", "/work" + "/main")
    for folder in ("vault", "dockd", "device_sim", "config", "systemd", "docs", "tests"):
        for path in sorted((REPOSITORY / folder).rglob("*")):
            if path.suffix in (".py", ".md", ".toml", ".service") and path.name != "test_house.py":
                text = path.read_text()
                assert not [mark for mark in marks if mark in text], path
