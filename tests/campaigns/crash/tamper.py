"""Random tamperings of the log, each held against one checkpoint that a witness has outside (I4;
ruling 12).

The attacker has the machine: every file of the vault and the log's own key. Each round draws a log,
a checkpoint kept outside at some size, then growth, then one tampering at or before the
checkpoint's size. All must be found; a log that merely grew must not be.

    python -m tests.campaigns.crash.tamper --count 10000
"""

import argparse
import json
import random
import time
from collections import Counter
from dataclasses import dataclass

from vault.crypto.canonical_json import canonical
from vault.log.checkpoints import Checkpoint, parse_checkpoint, verify_since
from vault.log.merkle import Tree, leaf_hash
from vault.log.signed_note import LogKey

KINDS = ("edit", "drop", "insert", "reorder", "truncate", "roll back", "rebuild all")
NAME = "dock-vault/5f0c8f1e-0000-4000-8000-000000000001"


@dataclass(frozen=True)
class Outcome:
    """One round: what was done, whether it was found from outside, what a check inside the vault
    says, what was named.
    """

    kind: str
    found: bool
    inside: bool
    named: str


def leaf(sequence: int, chance: random.Random) -> bytes:
    action = chance.choice(
        ("recording.stored", "viewing.opened", "viewing.shown", "case.registered", "erase.done")
    )
    return canonical(
        {
            "sequence": sequence,
            "action": action,
            "actor": f"p{chance.randrange(9)}",
            "details": {"n": chance.random().hex()},
        }
    )


def signed(leaves: list[bytes], key: LogKey) -> bytes:
    """The head over these leaves, signed with the machine's key."""
    tree = Tree()
    for one in leaves:
        tree.append(leaf_hash(one))
    return key.sign(Checkpoint(NAME, tree.size, tree.head().root, ()).text())


def renumbered(leaves: list[bytes]) -> list[bytes]:
    """What a careful attacker does: every entry carries its own place again."""
    return [canonical({**json.loads(one), "sequence": at}) for at, one in enumerate(leaves)]


def tampered(kind: str, leaves: list[bytes], size: int, chance: random.Random) -> list[bytes]:
    """The log after one tampering below `size`, the checkpoint's; half of the time by a careful
    attacker.
    """
    at = chance.randrange(size)
    match kind:
        case "edit":
            changed = [
                *leaves[:at],
                canonical({**json.loads(leaves[at]), "actor": "somebody else"}),
                *leaves[at + 1 :],
            ]
        case "drop":
            changed = [*leaves[:at], *leaves[at + 1 :]]
        case "insert":
            changed = [*leaves[:at], leaf(at, chance), *leaves[at:]]
        case "reorder":
            other = chance.choice([one for one in range(size) if one != at])
            changed = list(leaves)
            changed[at], changed[other] = changed[other], changed[at]
        case "truncate":
            return leaves[:at]
        case "roll back":
            return leaves[:at] + [
                leaf(one, chance) for one in range(at, at + chance.randrange(1, 40))
            ]
        case _:
            return [leaf(one, chance) for one in range(len(leaves))]
    return renumbered(changed) if chance.random() < 0.5 else changed


def sound_inside(leaves: list[bytes], notes: list[bytes], key: LogKey) -> bool:
    """What a check inside the vault sees: every note of the folder holds, every number is in its
    place.
    """
    inside = [parse_checkpoint(note, key.verifier) for note in notes]
    return not verify_since(inside, leaves) and all(
        json.loads(one)["sequence"] == at for at, one in enumerate(leaves)
    )


def round_of(seed: int) -> Outcome:
    chance = random.Random(seed)
    key = LogKey(NAME, random.Random(seed + 1).randbytes(32))
    size = chance.randrange(2, 120)
    leaves = [leaf(at, chance) for at in range(size)]
    outside = parse_checkpoint(signed(leaves, key), key.verifier)
    leaves += [leaf(at, chance) for at in range(size, size + chance.randrange(0, 30))]
    assert verify_since([outside], leaves) == [], "a log that merely grew was doubted"
    kind = KINDS[seed % len(KINDS)]
    changed = tampered(kind, leaves, size, chance)
    # The attacker makes the vault's own notes anew, with the machine's key.
    forged = [signed(changed[:cut], key) for cut in (len(changed) // 2, len(changed))]
    discrepancies = verify_since([outside], changed)
    return Outcome(
        kind,
        bool(discrepancies),
        not sound_inside(changed, forged, key),
        discrepancies[0].code if discrepancies else "",
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=10_000)
    asked = parser.parse_args()
    began_s = time.monotonic()
    done = [round_of(seed) for seed in range(asked.count)]
    print(
        f"{asked.count} tamperings in {time.monotonic() - began_s:.0f} s; as many logs that "
        f"merely grew, none doubted"
    )
    for kind in KINDS:
        rounds = [one for one in done if one.kind == kind]
        named = ", ".join(
            f"{code} {count}" for code, count in Counter(one.named for one in rounds).most_common()
        )
        found, inside = sum(one.found for one in rounds), sum(one.inside for one in rounds)
        print(
            f"{kind:12} {found} of {len(rounds)} found from outside, {inside} from inside ({named})"
        )
    raise SystemExit(any(not one.found for one in done))


if __name__ == "__main__":
    main()
