"""Builds the Debian package: `python systemd/build_deb.py FOLDER [VERSION]`. What it wrote is its
last line.

The programs stand in a virtual environment of their own under /opt, made of exactly the locked
packages, each by its hash, for Debian 12's Python 3.11. Each version has a folder of its own there,
and /opt/dock-vault is a link to one of them that changes in one step (debian/postrm): a power cut
in an upgrade leaves the old programs or the new ones, never some of each. The same sources make the
same package, byte for byte.
"""

import compileall
import gzip
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from py_compile import PycInvalidationMode

SYSTEMD = Path(__file__).resolve().parent
REPOSITORY = SYSTEMD.parent
LOCK = REPOSITORY / "requirements" / "run.lock"
PYTHON = "3.11"
UNIT_KINDS = ("*.service", "*.socket", "*.timer", "*.path", "*.target")
EPOCH = 1_700_000_000
"""The time that all files bear where SOURCE_DATE_EPOCH says no other."""

PROGRAM = """\
#!/opt/dock-vault-{version}/bin/python -I
from {package}.__main__ import main

main()
"""

COMMAND = """\
#!/bin/sh
# What an administrator types. The vault's files are its services', so root becomes the user that they belong to.
umask 0007
{before}if [ "$(id -u)" = 0 ]; then exec runuser -u {user} -- /opt/dock-vault/bin/{name} "$@"; fi
exec /opt/dock-vault/bin/{name} "$@"
"""

RESTORE = """\
if [ "$(id -u)" = 0 ] && [ "${1-}" = restore ]; then exec /usr/lib/dock-vault/restore-vault "$@"; fi
"""

DOCKD_SETTINGS = {
    "mount_roots": '["/run/dock-vault/cards"]',
    "reader_socket": '"/run/dock-vault/reader.sock"',
    "erase_socket": '"/run/dock-vault/erase.sock"',
}
VAULT_SETTINGS = {"root": '"/var/lib/dock-vault/vault"', "pins": '"/etc/dock-vault/keys/pins.json"'}
WEB_SETTINGS = {
    "packages": '"/var/lib/dock-vault/packages"',
    "dock_status": '"/run/dockd/status.sock"',
    "metrics_socket": '"/run/vault-web/metrics.sock"',
}
ALERT_SETTINGS = {"state": '"/var/lib/dock-vault/alerts/alerts.json"'}


def main() -> None:
    version = sys.argv[2] if len(sys.argv) > 2 else project_version()
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as made:
        tree = Path(made) / "tree"
        environment(tree / "opt" / f"dock-vault-{version}", version)
        commands(tree)
        settings(tree / "usr" / "share" / "dock-vault" / "settings")
        units(tree)
        papers(tree / "usr" / "share" / "doc" / "dock-vault")
        control(tree, version)
        print(packed(tree, folder, version))


def project_version() -> str:
    with (REPOSITORY / "pyproject.toml").open("rb") as file:
        return str(tomllib.load(file)["project"]["version"])


def schema_version() -> str:
    """The catalogue's schema that these programs work with, which migrate-catalogue looks up
    without starting them.
    """
    (found,) = re.findall(
        r'^SCHEMA_VERSION = "(\d{4})"$',
        (REPOSITORY / "vault" / "catalogue.py").read_text(),
        re.MULTILINE,
    )
    return str(found)


def environment(root: Path, version: str) -> None:
    """A virtual environment for the place where it will stand."""
    site = root / "lib" / f"python{PYTHON}" / "site-packages"
    (root / "bin").mkdir(parents=True)
    (root / "bin" / "python").symlink_to(f"/usr/bin/python{PYTHON}")
    (root / "pyvenv.cfg").write_text(
        f"home = /usr/bin\ninclude-system-site-packages = false\nversion = {PYTHON}\n"
    )
    pip = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "-qq",
        "--disable-pip-version-check",
        "--require-hashes",
        "--no-deps",
    ]
    pip += [
        "--no-compile",
        "--only-binary",
        ":all:",
        "--python-version",
        PYTHON,
        "--target",
        str(site),
        "-r",
        str(LOCK),
    ]
    subprocess.run(pip, check=True, env=os.environ | {"PIP_ROOT_USER_ACTION": "ignore"})
    shutil.rmtree(site / "bin", ignore_errors=True)
    for package in ("dockd", "vault"):
        shutil.copytree(
            REPOSITORY / package, site / package, ignore=shutil.ignore_patterns("__pycache__")
        )
        program = root / "bin" / package
        program.write_text(PROGRAM.format(package=package, version=version))
        program.chmod(0o755)
    (root / "schema").write_text(f"{schema_version()}\n")
    compileall.compile_dir(
        site,
        quiet=1,
        stripdir=str(root.parents[1]),
        invalidation_mode=PycInvalidationMode.UNCHECKED_HASH,
    )


def commands(tree: Path) -> None:
    place = tree / "usr" / "bin"
    place.mkdir(parents=True)
    for name, before in (("vault", RESTORE), ("dockd", "")):
        (place / name).write_text(COMMAND.format(name=name, user=name, before=before))
        (place / name).chmod(0o755)


def settings(place: Path) -> None:
    """The documented settings files, with what this package puts elsewhere than the programs' own
    defaults.

    They are no conffiles: dpkg would ask about those that the administrator changed, and where
    nobody answers leave the PC with its services stopped. debian/postinst puts them in place, and
    keeps what was changed.
    """
    place.mkdir(parents=True)
    (place / "dockd.toml").write_text(
        with_settings((REPOSITORY / "config" / "dockd.toml").read_text(), DOCKD_SETTINGS)
    )
    vault, web, alerts = re.split(
        r"^# \[(?:web|alerts)\]\n",
        (REPOSITORY / "config" / "vault.toml").read_text(),
        flags=re.MULTILINE,
    )
    text = with_settings(vault, VAULT_SETTINGS) + "[web]\n" + with_settings(web, WEB_SETTINGS)
    text += "[alerts]\n" + with_settings(alerts, ALERT_SETTINGS)
    (place / "vault.toml").write_text(text)
    shutil.copy(REPOSITORY / "config" / "devices", place / "devices")


def with_settings(text: str, values: dict[str, str]) -> str:
    for key, value in values.items():
        text, count = re.subn(
            rf"^(?:# )?{key} = (?:\[.*\]|\S+)",
            f"{key} = {value}",
            text,
            count=1,
            flags=re.MULTILINE,
        )
        assert count == 1, key
    return text


def units(tree: Path) -> None:
    for pattern, place in (
        *((pattern, "usr/lib/systemd/system") for pattern in UNIT_KINDS),
        ("udev/*.rules", "usr/lib/udev/rules.d"),
        ("libexec/*", "usr/lib/dock-vault"),
    ):
        (tree / place).mkdir(parents=True, exist_ok=True)
        for path in SYSTEMD.glob(pattern):
            shutil.copy(path, tree / place / path.name)
    for name in ("sysusers", "tmpfiles"):
        place = tree / "usr" / "lib" / f"{name}.d" / "dock-vault.conf"
        place.parent.mkdir()
        shutil.copy(SYSTEMD / f"{name}.conf", place)


def papers(place: Path) -> None:
    place.mkdir(parents=True)
    for name in ("alerts.yml", "dashboard.json"):
        shutil.copy(REPOSITORY / "config" / name, place)
    for path in ("vault/FORMAT.md", "vault/DESIGN.md", "dockd/CAMERA.md", "dockd/EVENTS.md"):
        text = (REPOSITORY / path).read_bytes()
        (place / f"{Path(path).name}.gz").write_bytes(gzip.compress(text, mtime=0))
    shutil.copytree(REPOSITORY / "docs", place, dirs_exist_ok=True)


def control(tree: Path, version: str) -> None:
    place = tree / "DEBIAN"
    place.mkdir()
    size_kib = sum(path.stat().st_size for path in tree.rglob("*") if path.is_file()) // 1024
    architecture = subprocess.run(
        ["dpkg", "--print-architecture"], check=True, capture_output=True, text=True
    ).stdout.strip()
    text = (SYSTEMD / "debian" / "control").read_text()
    (place / "control").write_text(
        text.format(version=version, architecture=architecture, size_kib=size_kib)
    )
    words = {
        "@VERSION@": version,
        "@UNITS@": " ".join(unit_names()),
        "@ENABLED@": " ".join(unit_names("[Install]")),
    }
    for name in ("preinst", "postinst", "prerm", "postrm"):
        text = (SYSTEMD / "debian" / name).read_text()
        for mark, word in words.items():
            text = text.replace(mark, word)
        (place / name).write_text(text)
        (place / name).chmod(0o755)


def unit_names(section: str = "[Unit]") -> list[str]:
    """Every unit that has this section and stands for one thing alone."""
    units = (
        path for pattern in UNIT_KINDS for path in SYSTEMD.glob(pattern) if "@" not in path.name
    )
    return sorted(path.name for path in units if section in path.read_text().splitlines())


def packed(tree: Path, folder: Path, version: str) -> Path:
    epoch = int(os.environ.get("SOURCE_DATE_EPOCH", EPOCH))
    for path in [tree, *tree.rglob("*")]:
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
        os.utime(path, (epoch, epoch), follow_symlinks=False)
    package = folder / f"dock-vault_{version}.deb"
    subprocess.run(
        ["dpkg-deb", "--root-owner-group", "-Zgzip", "-z9", "--build", str(tree), str(package)],
        check=True,
        stdout=subprocess.DEVNULL,
        env=os.environ | {"SOURCE_DATE_EPOCH": str(epoch)},
    )
    return package


if __name__ == "__main__":
    main()
