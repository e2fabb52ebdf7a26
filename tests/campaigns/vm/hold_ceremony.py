"""Runs in the guest: the key ceremony over its real pages, as five holders at one screen type it.

`hold_ceremony.py WORD JSON`: the persons as `{function: [name, passphrase]}`. Prints the two codes
of the escrow as JSON, once the pages have said that the ceremony is over.
"""

import json
import re
import sys
import urllib.error
import urllib.parse
import urllib.request

ORIGIN = "http://localhost:8480"
ADDRESS = "http://127.0.0.1:8480"
"""The same: a guest this small knows no names."""
HEADERS = {"Host": "localhost:8480", "Origin": ORIGIN, "Sec-Fetch-Site": "same-origin"}
CODE = re.compile(r"[0-9A-Z]{4}(?:-[0-9A-Z]{4}){8}")
ANSWER_S = 300


def ask(path: str, form: dict[str, str] | None = None) -> str:
    """A page, or what a form's sending leads to. Redirections are followed, as a browser does."""
    body = urllib.parse.urlencode(form).encode() if form is not None else None
    request = urllib.request.Request(ADDRESS + path, body, HEADERS)
    try:
        with urllib.request.urlopen(request, timeout=ANSWER_S) as answer:
            return str(answer.read().decode())
    except urllib.error.HTTPError as error:
        text = re.sub(r"<[^>]+>|\s+", " ", error.read().decode())
        raise SystemExit(f"{path} answered {error.code}: {text}") from None


def main() -> None:
    word, persons = sys.argv[1], json.loads(sys.argv[2])
    form = {"word": word}
    for function, (name, passphrase) in persons.items():
        form[f"name_{function}"] = name
        form[f"passphrase_{function}"] = form[f"passphrase_again_{function}"] = passphrase
    assert 'name="word"' in ask("/?language=en")
    papers = ask("/?language=en", form)
    codes = list(dict.fromkeys(CODE.findall(papers)))
    assert len(codes) == 2, papers
    done = ask("/papers?language=en", {"word": word})
    assert not CODE.search(done), "the codes are shown again"
    print(json.dumps(codes))


if __name__ == "__main__":
    main()
