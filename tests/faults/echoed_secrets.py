"""The ways in which a server can repeat a key, and what of the key is still seen afterwards."""

from __future__ import annotations

import json
import quopri
import textwrap
from base64 import b64encode, urlsafe_b64encode
from collections import Counter
from html import escape
from urllib.parse import quote, quote_plus

from refusal_stability.engines.http.secrets import Secrets

KEY = "sk/live+4f9a-Zq81&x=Wm20"


def ways(key: str = KEY) -> dict[str, str]:
    """Every form of the key, by its name."""
    each = list(key)
    forms = {
        "as it is": key,
        "lower case": key.lower(),
        "upper case": key.upper(),
        "JSON": json.dumps(key)[1:-1],
        "JSON with \\/": key.replace("/", "\\/"),
        "all \\u": "".join(f"\\u{ord(c):04x}" for c in each),
        "all \\U": "".join(f"\\u{ord(c):04X}" for c in each),
        "some \\u": "".join(f"\\u{ord(c):04x}" if i % 3 else c for i, c in enumerate(each)),
        "twice \\u": "".join(f"\\\\u{ord(c):04x}" for c in each),
        "first \\u": f"\\u{ord(key[0]):04x}{key[1:]}",
        "all \\x": "".join(f"\\x{ord(c):02x}" for c in each),
        "some \\x": "".join(f"\\x{ord(c):02x}" if i % 2 else c for i, c in enumerate(each)),
        "URL": quote(key),
        "URL, all": quote(key, safe=""),
        "URL, plus": quote_plus(key),
        "URL, lower": quote(key, safe="").replace("%2F", "%2f"),
        "URL, twice": quote(quote(key, safe=""), safe=""),
        "URL, each": "".join(f"%{ord(c):02X}" for c in each),
        "URL, some": "".join(f"%{ord(c):02X}" if i % 2 else c for i, c in enumerate(each)),
        "HTML": escape(key),
        "HTML, decimal": "".join(f"&#{ord(c)};" for c in each),
        "HTML, padded": "".join(f"&#{ord(c):05d};" for c in each),
        "HTML, hex": "".join(f"&#x{ord(c):x};" for c in each),
        "HTML, HEX": "".join(f"&#X{ord(c):X};" for c in each),
        "HTML, some": "".join(f"&#{ord(c)};" if i % 2 else c for i, c in enumerate(each)),
        "backslashes": "".join(f"\\{c}" if not c.isalnum() else c for c in each),
        "Python": repr(key)[1:-1],
        "hex": key.encode().hex(),
        "HEX": key.encode().hex().upper(),
        "backwards": key[::-1],
        "bearer": f"Bearer {key}",
        "in an address": f"https://a.example/v1?api_key={quote(key)}",
        "in a login": f"https://{quote(key, safe='')}@a.example/",
        "in JSON in JSON": json.dumps(json.dumps({"key": key})),
        "twice in a row": key + key,
        "between words": f"the key{key}is wrong",
    }
    forms |= {
        "octal": "".join(f"\\{ord(c):03o}" for c in each),
        "octal, some": "".join(c if c.isalnum() else f"\\{ord(c):03o}" for c in each),
        "\\u{}": "".join(f"\\u{{{ord(c):x}}}" for c in each),
        "%u": "".join(f"%u{ord(c):04x}" for c in each),
        "quoted-printable": quopri.encodestring(key.encode(), quotetabs=True).decode(),
        "quoted-printable, all": "".join(f"={ord(c):02X}" for c in each),
        "HTML, named": key.replace("&", "&amp;").replace("/", "&sol;").replace("+", "&plus;").replace("=", "&equals;"),
        "hex, spaced": " ".join(f"{ord(c):02x}" for c in each),
        "hex, colons": ":".join(f"{ord(c):02X}" for c in each),
        "broken line": f"{key[:10]}\n{key[10:]}",
        "broken line in JSON": f"{key[:10]}\\n{key[10:]}",
        "spaced": " ".join(each),
        "letters in JSON": json.dumps(each),
        "zero width": "\u200b".join(each),
        "base64, broken": "\n".join(textwrap.wrap(b64encode(f"user:{key}".encode()).decode(), 16)),
    }
    for before in range(3):
        for name, encoded in (("base64", b64encode), ("base64 of URLs", urlsafe_b64encode)):
            forms[f"{name}, after {before}"] = encoded(b"user:"[:before] + key.encode()).decode()
    forms["base64, basic"] = b64encode(f"user:{key}".encode()).decode()
    forms["base64, bearer"] = b64encode(f"Bearer {key} and more".encode()).decode()
    return forms


def readable(text: str, key: str = KEY) -> bool:
    """Whether eight letters in a row of the key are in the text, in any way that this file knows."""
    core = key[4:-4]
    return any(form[4:-4].lower() in text.lower() for form in (core, *ways(key).values()) if len(form) > 16)


def run() -> Counter[str]:
    """Counts of the forms that were cut out, and of those that were not."""
    secrets = Secrets()
    secrets.add(KEY)
    counts: Counter[str] = Counter()
    for name, form in ways().items():
        shown = readable(secrets.cut_from(f'{{"error": "before {form} after"}}'))
        counts["shown" if shown else "cut out"] += 1
        if shown:
            print(f"secrets: {name}: shown: {secrets.cut_from(form)}")
    return counts
