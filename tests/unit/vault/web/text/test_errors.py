"""Errors on a page: each code that a person may meet has its Dutch words and what to do at a
screen.
"""

import importlib
import pkgutil

import pytest

import vault
from vault.errors import Failure, NotAllowed, Reaction
from vault.rules.protocol import COMPLAINT
from vault.web.text import errors as module
from vault.web.text.errors import said

TECHNICAL = {
    "alerts.not_delivered",
    "catalogue.newer",
    *(
        "failure",
        "vault.failure",
        "config.invalid",
        "vault.not_a_vault",
        "vault.busy",
        "vault.storage_failed",
        "vault.read_only",
    ),
    *(
        "vault.catalogue_failed",
        "vault.keyring_refused",
        "vault.content_differs",
        "vault.read_back_differs",
    ),
    *(
        "vault.erase_refused",
        "log.checkpoint_refused",
        "log.forked",
        "escrow.bad_code",
        "package.failed",
        "web.ceremony_broken",
    ),
}
"""For the administrator: a page says that it did not work, and whom to tell."""


def kinds() -> set[type[Failure]]:
    for found in pkgutil.walk_packages(vault.__path__, "vault."):
        if ".migrations" not in found.name:
            importlib.import_module(found.name)
    below, todo = set[type[Failure]](), [Failure]
    while todo:
        kind = todo.pop()
        below.add(kind)
        todo += kind.__subclasses__()
    return {kind for kind in below if kind.__module__.startswith("vault.")}


KINDS = sorted(kinds(), key=lambda kind: kind.code)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.code)
def test_every_error_says_what_to_do_in_both_languages(kind: type[Failure]) -> None:
    failure = kind("A sentence.")
    for language in ("nl", "en"):
        told = said(failure, language)
        assert told.sentence
        assert told.hint
        assert told.code == kind.code
        assert 400 <= told.status < 600
    assert kind.code in TECHNICAL or kind.code in module._WORDS
    if kind.reaction is Reaction.REFUSE:
        assert said(failure, "nl").status < 500


def test_what_an_error_quotes_of_the_protocol_stands_by_itself() -> None:
    refusal = NotAllowed(f"Vera may not do this. {COMPLAINT.quoted()}")
    nl, en = said(refusal, "nl"), said(refusal, "en")
    assert nl.quote == en.quote == COMPLAINT.quoted()
    assert nl.sentence == "Dit mag u volgens het protocol niet."
    assert nl.detail == en.sentence == "Vera may not do this."
    assert nl.status == 403
