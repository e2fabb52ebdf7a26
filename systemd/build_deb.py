"""Build the Debian package: `python systemd/build_deb.py FOLDER [VERSION]`.

The last line that it prints is the package's path.

The programs stand in a virtual environment of their own under /opt, for Debian 12's Python 3.11. It
holds exactly the locked packages, each checked by its hash. Each version has a folder of its own
there, and /opt/dock-vault is a link to one of them. One step switches the link (debian/postrm), so
a power cut during an upgrade leaves the old programs or the new ones, never a mixture. The same
sources make the same package, byte for byte.
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
SCHEMA_VERSION = re.compile(r'^SCHEMA_VERSION = "(\d{4})"$', re.MULTILINE)
LICENCE = re.compile(r"licen[cs]e|copying", re.IGNORECASE)
UNIT_KINDS = ("*.service", "*.socket", "*.timer", "*.path", "*.target")
MAINTAINER_SCRIPTS = ("preinst", "postinst", "prerm", "postrm")
PAPERS = ("vault/FORMAT.md", "vault/DESIGN.md", "dockd/CAMERA.md", "dockd/EVENTS.md")
"""Packed beside the folder docs/."""
EPOCH = 1_700_000_000
"""The time of all files, unless SOURCE_DATE_EPOCH gives another."""

PROGRAM = """\
#!/opt/dock-vault-{version}/bin/python -I
from {package}.__main__ import main

main()
"""

COMMAND = """\
#!/bin/sh
# The command that an administrator types. The files belong to the services' users, so root becomes
# that user.
umask 0007
{before}if [ "$(id -u)" = 0 ]; then exec runuser -u {user} -- /opt/dock-vault/bin/{name} "$@"; fi
exec /opt/dock-vault/bin/{name} "$@"
"""

RESTORE = """\
if [ "$(id -u)" = 0 ] && [ "${1-}" = restore ]; then
  exec /usr/lib/dock-vault/restore-vault "$@"
fi
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


def main(folder: Path, version: str) -> None:
    """Build the package of this version in the folder, and print its path."""
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
    """Read the version in pyproject.toml."""
    with (REPOSITORY / "pyproject.toml").open("rb") as file:
        return str(tomllib.load(file)["project"]["version"])


def schema_version() -> str:
    """Find the catalogue's schema that these programs work with.

    The package states it in a file, so that migrate-catalogue need not start the programs.
    """
    sources = sorted((REPOSITORY / "vault").rglob("*.py"))
    found = [name for path in sources for name in SCHEMA_VERSION.findall(path.read_text())]
    if len(found) != 1:
        sys.exit(f"SCHEMA_VERSION is set {len(found)} times in vault/, and not once.")
    return str(found[0])


def environment(root: Path, version: str) -> None:
    """Make a virtual environment for the place where it will stand."""
    site = root / "lib" / f"python{PYTHON}" / "site-packages"
    (root / "bin").mkdir(parents=True)
    (root / "bin" / "python").symlink_to(f"/usr/bin/python{PYTHON}")
    (root / "pyvenv.cfg").write_text(
        f"home = /usr/bin\ninclude-system-site-packages = false\nversion = {PYTHON}\n"
    )
    install_locked(site)
    for package in ("dockd", "vault"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(REPOSITORY / package, site / package, ignore=ignored)
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


def install_locked(site: Path) -> None:
    """Install the locked packages, each with its licence beside it."""
    pip = [sys.executable, "-m", "pip", "install", "-qq", "--disable-pip-version-check"]
    pip += ["--require-hashes", "--no-deps", "--no-compile", "--only-binary", ":all:"]
    pip += ["--python-version", PYTHON, "--target", str(site), "-r", str(LOCK)]
    subprocess.run(pip, check=True, env=os.environ | {"PIP_ROOT_USER_ACTION": "ignore"})
    shutil.rmtree(site / "bin", ignore_errors=True)
    if missing := without_licence(site):
        sys.exit(f"No licence comes with {', '.join(missing)}; debian/copyright says so.")


def without_licence(site: Path) -> list[str]:
    """Name the installed distributions that hold no licence text."""
    return sorted(
        place.name
        for place in site.glob("*.dist-info")
        if not any(LICENCE.search(file.name) for file in place.rglob("*") if file.is_file())
    )


def commands(tree: Path) -> None:
    """Write the commands that an administrator types."""
    place = tree / "usr" / "bin"
    place.mkdir(parents=True)
    for name, before in (("vault", RESTORE), ("dockd", "")):
        (place / name).write_text(COMMAND.format(name=name, user=name, before=before))
        (place / name).chmod(0o755)


def settings(place: Path) -> None:
    """Write the documented settings files, with the places that this package chooses.

    They are no conffiles: dpkg would ask about each one that the administrator changed, and where
    nobody answers it would leave the PC with its services stopped. debian/postinst installs them,
    and keeps what was changed.
    """
    place.mkdir(parents=True)
    config = REPOSITORY / "config"
    dockd = with_settings((config / "dockd.toml").read_text(), DOCKD_SETTINGS)
    (place / "dockd.toml").write_text(dockd)
    sections = re.compile(r"^# \[(?:web|alerts)\]\n", re.MULTILINE)
    vault, web, alerts = sections.split((config / "vault.toml").read_text())
    text = with_settings(vault, VAULT_SETTINGS) + "[web]\n" + with_settings(web, WEB_SETTINGS)
    text += "[alerts]\n" + with_settings(alerts, ALERT_SETTINGS)
    (place / "vault.toml").write_text(text)
    shutil.copy(config / "devices", place / "devices")


def with_settings(text: str, values: dict[str, str]) -> str:
    """Give each key its value, in the line that documents it."""
    for key, value in values.items():
        line = re.compile(rf"^(?:# )?{key} = (?:\[.*\]|\S+)", re.MULTILINE)
        text, count = line.subn(f"{key} = {value}", text, count=1)
        if count != 1:
            sys.exit(f"config/ documents no setting {key}.")
    return text


def units(tree: Path) -> None:
    """Copy the units, udev's rules and the programs that both call."""
    for pattern, place in (
        *((f"units/{kind}", "usr/lib/systemd/system") for kind in UNIT_KINDS),
        ("udev/*.rules", "usr/lib/udev/rules.d"),
        ("libexec/*", "usr/lib/dock-vault"),
    ):
        (tree / place).mkdir(parents=True, exist_ok=True)
        for path in SYSTEMD.glob(pattern):
            if path.is_file():
                shutil.copy(path, tree / place / path.name.removesuffix(".py"))
    for name in ("sysusers", "tmpfiles"):
        conf = tree / "usr" / "lib" / f"{name}.d" / "dock-vault.conf"
        conf.parent.mkdir()
        shutil.copy(SYSTEMD / "debian" / f"{name}.conf", conf)


def papers(place: Path) -> None:
    """Copy the documents, the changelog and the copyright file."""
    place.mkdir(parents=True)
    for name in ("alerts.yml", "dashboard.json"):
        shutil.copy(REPOSITORY / "config" / name, place)
    for paper in (*(REPOSITORY / path for path in PAPERS), SYSTEMD / "debian" / "changelog"):
        packed_text = gzip.compress(paper.read_bytes(), compresslevel=9, mtime=0)
        (place / f"{paper.name}.gz").write_bytes(packed_text)
    shutil.copy(SYSTEMD / "debian" / "copyright", place)
    shutil.copytree(REPOSITORY / "docs", place, dirs_exist_ok=True)


def control(tree: Path, version: str) -> None:
    """Write what dpkg reads: the control file and the maintainer scripts."""
    place = tree / "DEBIAN"
    place.mkdir()
    size_kib = sum(path.stat().st_size for path in tree.rglob("*") if path.is_file()) // 1024
    asked = ["dpkg", "--print-architecture"]
    architecture = subprocess.run(asked, check=True, capture_output=True, text=True).stdout.strip()
    text = (SYSTEMD / "debian" / "control").read_text()
    (place / "control").write_text(
        text.format(version=version, architecture=architecture, size_kib=size_kib)
    )
    for name in MAINTAINER_SCRIPTS:
        text = maintainer_script((SYSTEMD / "debian" / name).read_text(), version)
        (place / name).write_text(text)
        (place / name).chmod(0o755)


def maintainer_script(text: str, version: str) -> str:
    """Fill in a maintainer script's marks."""
    words = {
        "@VERSION@": version,
        "@UNITS@": " ".join(unit_names()),
        "@ENABLED@": " ".join(unit_names("[Install]")),
    }
    for mark, word in words.items():
        text = text.replace(mark, word)
    return text


def unit_names(section: str = "[Unit]") -> list[str]:
    """List the units that have this section. Templates are not among them."""
    paths = [path for kind in UNIT_KINDS for path in (SYSTEMD / "units").glob(kind)]
    return sorted(
        path.name
        for path in paths
        if "@" not in path.name and section in path.read_text().splitlines()
    )


def packed(tree: Path, folder: Path, version: str) -> Path:
    """Pack the tree into a package. Return the package's path."""
    epoch = int(os.environ.get("SOURCE_DATE_EPOCH", EPOCH))
    for path in [tree, *tree.rglob("*")]:
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
        os.utime(path, (epoch, epoch), follow_symlinks=False)
    package = folder / f"dock-vault_{version}.deb"
    pack = ["dpkg-deb", "--root-owner-group", "-Zgzip", "-z9", "--build", str(tree), str(package)]
    environ = os.environ | {"SOURCE_DATE_EPOCH": str(epoch)}
    subprocess.run(pack, check=True, stdout=subprocess.DEVNULL, env=environ)
    return package


if __name__ == "__main__":
    arguments = sys.argv[1:]
    main(Path(arguments[0]), arguments[1] if arguments[1:] else project_version())
