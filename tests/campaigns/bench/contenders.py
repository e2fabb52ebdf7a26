"""Who is measured, and what exactly each is asked to do: the commands that a person would type.

Each takes the card in and makes it durable, then reads all of it and holds it against the digests
that the camera states; restic and borg against their own, which is less: what changed before they
read it they don't see. The shell scripts find these variables: CARD the card, OUT an empty folder
of their own on the same disk, SUMS the digests in the form of `sha256sum`, names from the card's
root.
"""

import shutil
from dataclasses import dataclass

_SUMS_AGREE = 'sha256sum --quiet --strict -c "$SUMS"'


@dataclass(frozen=True, slots=True)
class Contender:
    """A way to take a card in. `prepare` is not measured; `check` is None where `take` is the whole
    work.
    """

    name: str
    does: str
    needs: tuple[str, ...]
    prepare: str
    take: str
    check: str | None

    def missing(self) -> list[str]:
        """The commands that this machine lacks."""
        return [command for command in self.needs if shutil.which(command) is None]


DOCKD = Contender(
    name="dockd",
    does="dockd once: seal, flush, read back from the medium, open, compare",
    needs=(),
    prepare="",
    take='"$PYTHON" -m dockd once "$CARD" --config "$OUT/dock/dockd.toml"',
    check=None,
)

CONTENDERS = (
    DOCKD,
    Contender(
        name="cp",
        does="cp -r, sync, sha256sum -c",
        needs=("cp", "sync", "sha256sum"),
        prepare="",
        take='cp -r "$CARD" "$OUT/copy" && sync',
        check=f'cd "$OUT/copy" && {_SUMS_AGREE}',
    ),
    Contender(
        name="rsync",
        does="rsync -a, sync, sha256sum -c",
        needs=("rsync", "sync", "sha256sum"),
        prepare="",
        take='rsync -a "$CARD/" "$OUT/copy/" && sync',
        check=f'cd "$OUT/copy" && {_SUMS_AGREE}',
    ),
    Contender(
        name="age",
        does="age each file, sync, age -d each file to sha256sum",
        needs=("age", "age-keygen", "sync", "sha256sum"),
        prepare='age-keygen -o "$OUT/key" 2>/dev/null && age-keygen -y "$OUT/key" > "$OUT/to"',
        take="""
            cp -r --attributes-only "$CARD" "$OUT/copy"
            while read -r digest name; do age -R "$OUT/to" -o "$OUT/copy/$name.age" "$CARD/$name"; done < "$SUMS"
            sync
        """,
        check="""
            while read -r digest name; do
                printf '%s  %s\\n' "$(age -d -i "$OUT/key" "$OUT/copy/$name.age" | sha256sum | cut -d ' ' -f 1)" "$name"
            done < "$SUMS" | cmp - "$SUMS"
        """,
    ),
    Contender(
        name="restic",
        does="restic backup, sync, restic check --read-data",
        needs=("restic", "sync"),
        prepare='restic init --quiet --repo "$OUT/copy"',
        take='restic backup --quiet --repo "$OUT/copy" "$CARD" && sync',
        check='restic check --quiet --read-data --repo "$OUT/copy"',
    ),
    Contender(
        name="borg",
        does="borg create, sync, borg check --verify-data",
        needs=("borg", "sync"),
        prepare='borg init --encryption repokey-blake2 "$OUT/copy"',
        take='borg create "$OUT/copy::card" "$CARD" && sync',
        check='borg check --verify-data "$OUT/copy"',
    ),
)
"""dockd first, then those that it is held against."""
