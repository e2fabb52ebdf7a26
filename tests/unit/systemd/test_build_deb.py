"""The package: what the build puts in it, and what its papers say."""

import gzip
import json
import re
import subprocess
import tomllib
from email.utils import parsedate_to_datetime
from pathlib import Path

import pytest

from tests.campaigns.vm.next_version import THIS_VERSION, VERSION, next_sources
from tests.support.places import REPOSITORY, SYSTEMD, UNIT_FILES
from tests.support.system_programs import load

DEBIAN = SYSTEMD / "debian"
CALLED = re.compile(r"/usr/lib/dock-vault/([a-z-]+)")

build = load(SYSTEMD / "build_deb.py")


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All that the package installs, but for the programs' environment."""
    tree = tmp_path_factory.mktemp("tree")
    build.commands(tree)
    build.settings(tree / "usr" / "share" / "dock-vault" / "settings")
    build.units(tree)
    build.papers(tree / "usr" / "share" / "doc" / "dock-vault")
    build.control(tree, "1.2.3")
    return tree


def test_each_program_that_is_called_is_installed_and_can_run(tree: Path) -> None:
    """By units, by udev's rules, by commands and by each other; and none is left over."""
    installed = {path.name: path for path in (tree / "usr/lib/dock-vault").iterdir()}
    callers = [path for path in tree.rglob("*") if path.is_file() and "doc" not in path.parts]
    called = {name for path in callers for name in CALLED.findall(path.read_text())}
    assert called == set(installed)
    for path in installed.values():
        assert path.stat().st_mode & 0o111 == 0o111
        first = path.read_text().splitlines()[0]
        assert first in ("#!/bin/sh", "#!/usr/bin/python3 -I", "#!/usr/bin/python3 -IS")


def test_units_rules_and_users_stand_where_systemd_looks(tree: Path) -> None:
    library = tree / "usr/lib"
    units = {path.name for path in (library / "systemd/system").iterdir()}
    assert units == {path.name for path in UNIT_FILES.iterdir()}
    assert {path.name for path in (library / "udev/rules.d").iterdir()} == {
        path.name for path in (SYSTEMD / "udev").iterdir()
    }
    for kind, line in (("sysusers", "u dockd"), ("tmpfiles", "d /run/dock-vault ")):
        assert f"\n{line}" in (library / f"{kind}.d" / "dock-vault.conf").read_text()


def test_the_settings_are_whole_and_name_the_packages_places(tree: Path) -> None:
    place = tree / "usr/share/dock-vault/settings"
    vault, dockd = (
        tomllib.loads((place / f"{name}.toml").read_text()) for name in ("vault", "dockd")
    )
    assert vault["root"] == "/var/lib/dock-vault/vault"
    assert vault["web"]["metrics_socket"] == "/run/vault-web/metrics.sock"
    assert vault["alerts"]["state"] == "/var/lib/dock-vault/alerts/alerts.json"
    assert dockd["mount_roots"] == ["/run/dock-vault/cards"]
    assert (place / "devices").exists()


def test_a_setting_that_is_not_documented_stops_the_build() -> None:
    text = "# one = 1\ntwo = [2]\n"
    assert build.with_settings(text, {"one": "3", "two": "4"}) == "one = 3\ntwo = 4\n"
    with pytest.raises(SystemExit, match="three"):
        build.with_settings(text, {"three": "3"})


def test_the_schema_is_the_newest_migrations() -> None:
    migrations = (REPOSITORY / "vault").rglob("versions/[0-9]*.py")
    assert build.schema_version() == max(path.name[:4] for path in migrations)


def test_the_package_that_follows_this_one_has_the_next_schema(tmp_path: Path) -> None:
    """The upgrade in the machine builds it from a copy of the sources, with another migration."""
    sources, old, new = next_sources(tmp_path)
    following = load(sources / "systemd" / "build_deb.py")
    assert build.schema_version() == old
    assert following.schema_version() == new
    migrations = {path.name[:4]: path for path in sources.rglob("versions/[0-9]*.py")}
    assert max(migrations) == new
    assert f'down_revision = "{old}"' in migrations[new].read_text()
    versions = [[int(part) for part in name.split(".")] for name in (THIS_VERSION, VERSION)]
    assert versions[0] < versions[1]
    following.settings(tmp_path / "settings")
    assert "next = true" in (tmp_path / "settings" / "vault.toml").read_text()


def test_a_package_without_its_licence_stops_the_build(tmp_path: Path) -> None:
    """debian/copyright says of each that it brings its own."""
    for name, file in (("a", "licenses/LICENSE.txt"), ("b", "COPYING"), ("c", "METADATA")):
        path = tmp_path / f"{name}-1.dist-info" / file
        path.parent.mkdir(parents=True)
        path.touch()
    assert build.without_licence(tmp_path) == ["c-1.dist-info"]


@pytest.mark.parametrize("name", build.MAINTAINER_SCRIPTS)
def test_a_maintainer_script_is_filled_in_and_one_that_the_shell_reads(
    tree: Path, name: str
) -> None:
    script = tree / "DEBIAN" / name
    assert not re.search("@[A-Z]+@", script.read_text())
    assert script.stat().st_mode & 0o111
    done = subprocess.run(["sh", "-n", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_removal_stops_every_unit_and_an_installation_enables_those_that_can_be(
    tree: Path,
) -> None:
    stopped = re.search("systemctl stop .*", (tree / "DEBIAN/prerm").read_text())
    enabled = re.search("for unit in (.*); do", (tree / "DEBIAN/postinst").read_text())
    assert stopped is not None
    assert enabled is not None
    units = {path.name: path.read_text() for path in UNIT_FILES.iterdir()}
    for name, text in units.items():
        if "@" in name:
            continue
        assert name in stopped[0].split()
        assert (name in enabled[1].split()) == ("[Install]" in text)


def paragraphs(text: str) -> list[dict[str, str]]:
    """The paragraphs of a file in Debian's control format: fields with their lines."""
    found = []
    for paragraph in re.split(r"\n\n+", text.strip()):
        fields = re.findall(
            r"^([A-Z][A-Za-z-]*):((?:.*\n?)(?:^[ \t].*\n?)*)", paragraph, re.MULTILINE
        )
        assert "".join(f"{name}:{value}" for name, value in fields) == paragraph, paragraph
        found.append({name: value.strip() for name, value in fields})
    return found


def test_the_control_file_is_one_that_dpkg_reads(tree: Path) -> None:
    (fields,) = paragraphs((tree / "DEBIAN/control").read_text())
    assert (fields["Package"], fields["Version"]) == ("dock-vault", "1.2.3")
    assert int(fields["Installed-Size"]) > 100
    assert all(len(line) <= 80 for line in fields["Description"].splitlines()[1:])


def test_the_papers_are_packed_as_the_policy_says(tree: Path) -> None:
    """Debian policy 12.3, 12.5, 12.7: `gzip -9n` notes neither time nor name."""
    place = tree / "usr/share/doc/dock-vault"
    for path in place.glob("*.gz"):
        assert path.read_bytes()[:9] == b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02", path
    assert (
        gzip.decompress((place / "changelog.gz").read_bytes())
        == (DEBIAN / "changelog").read_bytes()
    )
    assert (place / "copyright").read_bytes() == (DEBIAN / "copyright").read_bytes()


ENTRY = re.compile(
    r"dock-vault \((?P<version>[0-9.]+)\) bookworm; urgency=medium\n\n"
    r"(?:  \* .+\n(?:    .+\n)*)+\n"
    r" -- (?P<maintainer>.+ <\S+@\S+>)  (?P<date>.+)\n"
)


def test_the_changelog_tells_of_each_version_newest_first() -> None:
    """Debian policy 4.4: dpkg reads versions, maintainers and dates from it."""
    text = (DEBIAN / "changelog").read_text()
    entries = list(ENTRY.finditer(text))
    assert "\n".join(entry[0] for entry in entries) == text
    versions = [tuple(int(part) for part in entry["version"].split(".")) for entry in entries]
    assert versions == sorted(versions, reverse=True)
    assert tuple(int(part) for part in build.project_version().split(".")) in versions
    dates = [parsedate_to_datetime(entry["date"]) for entry in entries]
    assert dates == sorted(dates, reverse=True)
    for entry, date in zip(entries, dates, strict=True):
        assert entry["date"] == f"{date:%a, %d %b %Y %H:%M:%S %z}"
    (maintainer,) = re.findall("^Maintainer: (.*)$", (DEBIAN / "control").read_text(), re.MULTILINE)
    assert {entry["maintainer"] for entry in entries} == {maintainer}


def test_the_copyright_file_tells_of_each_file_from_elsewhere() -> None:
    """DEP-5; and what is said of a licence is what stands beside the file."""
    head, *rest = paragraphs((DEBIAN / "copyright").read_text())
    assert head["Format"] == "https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/"
    files = {fields["Files"]: fields for fields in rest if "Files" in fields}
    licences = {
        fields["License"].split("\n")[0]: fields["License"]
        for fields in rest
        if "Files" not in fields
    }
    with (REPOSITORY / "pyproject.toml").open("rb") as file:
        assert files["*"]["License"] == tomllib.load(file)["project"]["license"]
    (listed,) = (REPOSITORY / "vault").rglob("vendor.json")
    vendored = json.loads(listed.read_text())
    paths = {
        str((listed.parent / name).relative_to(REPOSITORY)): told for name, told in vendored.items()
    }
    assert set(files) == {"*", *paths}
    for path, told in paths.items():
        assert files[path]["License"] == told["licence"]
        assert told["package"] in files[path]["Comment"]
        assert told["version"] in files[path]["Comment"]
    assert set(licences) == {fields["License"] for fields in files.values()}


def test_the_licence_is_whole() -> None:
    """Word by word as the publisher of a vendored file has it."""
    texts = [
        fields["License"]
        for fields in paragraphs((DEBIAN / "copyright").read_text())
        if "License" in fields
    ]
    (text,) = (text for text in texts if text.startswith("EUPL-1.2\n"))
    (published,) = (REPOSITORY / "vault").rglob("utrecht.LICENSE.md")
    words = [line.strip() for line in text.splitlines()[1:] if line.strip() != "."]
    assert (
        " ".join(words).split()
        == re.sub(r"^#+ ", "", published.read_text(), flags=re.MULTILINE).split()
    )


def test_each_holder_that_a_vendored_file_names_is_named() -> None:
    (listed,) = (REPOSITORY / "vault").rglob("vendor.json")
    files = {
        fields["Files"]: fields
        for fields in paragraphs((DEBIAN / "copyright").read_text())
        if "Files" in fields
    }
    sources = {
        "utrecht.css": listed.parent / "utrecht.css",
        "hls.light.min.js": listed.parent / "hls.LICENSE",
    }
    for name, source in sources.items():
        lines = re.findall(r"Copyright \(c\) ([0-9-]+) (.+)", source.read_text())
        holders = {re.sub(r" \(http.*\)", "", holder).strip() for _, holder in lines}
        (fields,) = (fields for path, fields in files.items() if path.endswith(f"/{name}"))
        assert {line.split(maxsplit=1)[1] for line in fields["Copyright"].splitlines()} == holders
