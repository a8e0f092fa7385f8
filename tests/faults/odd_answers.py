"""Answers of a server that are wrong in ways that few think of: chunks, lengths, headers, redirects, odd letters."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable


def _chunked(*parts: bytes, end: bool = True) -> bytes:
    """A response in chunks."""
    head = b"HTTP/1.1 200 X\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    return head + b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + (b"0\r\n\r\n" if end else b"")


def odd_answers(
    answer: Callable[..., bytes], response: Callable[..., bytes], with_field: Callable[[str, str], bytes]
) -> dict[str, bytes]:
    """By name, what is written to the connection."""
    fine = answer("fine")
    length = b"Content-Length: %d\r\n\r\n" % len(fine)
    deep = {
        str(a): {str(b): {str(c): {str(d): 1 for d in range(8)} for c in range(20)} for b in range(20)}
        for a in range(20)
    }
    return {
        "chunked without end": _chunked(fine, end=False),
        "chunked, in letters": _chunked(*[bytes([b]) for b in fine]),
        "chunk extension 1 MB": b"HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\n%x;" % len(fine)
        + b"a" * 1000000
        + b"\r\n"
        + fine
        + b"\r\n0\r\n\r\n",
        "chunk size 2**70": b"HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n" + fine,
        "chunk trailer with a header of 1 MB": _chunked(fine, end=False) + b"0\r\nX: " + b"y" * 1000000 + b"\r\n\r\n",
        "HTTP/1.0 without length": b"HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n" + fine,
        "length and chunks": _chunked(fine).replace(b"\r\n", b"\r\nContent-Length: 5\r\n", 1),
        "negative length": b"HTTP/1.1 200 X\r\nContent-Length: -5\r\n\r\n" + fine,
        "length 2**70": b"HTTP/1.1 200 X\r\nContent-Length: 1180591620717411303424\r\n\r\n" + fine,
        "100,000 headers": b"HTTP/1.1 200 X\r\n" + b"A: b\r\n" * 100000 + length + fine,
        "header with NUL": response(fine, headers="X: a\0b\r\n"),
        "header not UTF-8": response(fine, headers="X: \xff\xfe\r\n"),
        "content type escapes": response(b"nope", headers="Content-Type: \x1b[2Jx\r\n"),
        "charset nonsense": response(fine, headers="Content-Type: application/json; charset=nope\r\n"),
        "100 continue": b"HTTP/1.1 100 Continue\r\n\r\n" + response(fine),
        "a hundred 100": b"HTTP/1.1 100 Continue\r\n\r\n" * 1000 + response(fine),
        "101": b"HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
        "103 hints": b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + response(fine),
        "200 with HTML": response(b"<!doctype html><title>Log in</title>", headers="Content-Type: text/html\r\n"),
        "trailing garbage": response(fine + b"}}} garbage"),
        "two answers": response(fine + fine),
        "two answers on lines": response(fine + b"\n" + answer("second")),
        "leading garbage": response(b")]}',\n" + fine),
        "blanks before": response(b"\n" * 5000 + fine),
        "duplicate keys": response(
            b'{"choices":[],"choices":[{"message":{"content":"x","content":"fine"},"finish_reason":"stop"}]}'
        ),
        "two byte order marks": response(b"\xef\xbb\xbf" * 2 + fine),
        "lone surrogate in content": with_field("content", '"a\\ud800b"'),
        "surrogate pair reversed": with_field("content", '"fine\\udc00\\ud800"'),
        "surrogate in a key": response(
            b'{"\\ud800":1,"choices":[{"message":{"content":"fine"},"finish_reason":"stop"}],"usage":{"\\udfff":1}}'
        ),
        "surrogate in model": with_field("model", '"\\udfff"'),
        "surrogate in reason": with_field("reason", '"\\udfff"'),
        "surrogate in thinking": with_field("thinking", '"\\udfff"'),
        "surrogate in error": response(b'{"error":{"message":"\\ud800\\u001b[2J","code":"\\udfff"}}', 400),
        "surrogate in error type 500": response(b'{"error":{"message":"\\ud800\\u001b[2J","type":"\\udfff"}}', 500),
        "NUL in content": with_field("content", '"fine\\u0000 x"'),
        "NUL raw": response(fine.replace(b"fine", b"fi\0ne")),
        "RTL in content": with_field("content", '"fine \\u202ex\\u2066"'),
        "raw newline in string": response(fine.replace(b"fine", b"fine\nx")),
        "NaN content": with_field("content", "NaN"),
        "content 1e999": with_field("content", "1e999"),
        "content list of 100,000": with_field("content", json.dumps([{"type": "text", "text": "fine"}] * 100000)),
        "content nested lists": with_field("content", '{"type":"text","text":' * 300 + '"fine"' + "}" * 300),
        "100,000 choices": response(
            json.dumps({"choices": [{"message": {"content": "fine"}, "finish_reason": "stop"}] * 100000}).encode()
        ),
        "choices an object": with_field("choices", '{"0":{"message":{"content":"fine"}}}'),
        "usage 1 MB of keys": with_field("usage", json.dumps({f"k{i}": i for i in range(60000)})),
        "usage wide and deep": with_field("usage", json.dumps(deep)),
        "a model of 1 MB": with_field("model", '"' + "x" * 1000000 + '"'),
        "a reason of 1 MB": with_field("reason", '"' + "x" * 1000000 + '"'),
        "an error of 1 MB": response(json.dumps({"error": {"message": "x\n" * 500000}}).encode(), 400),
        "an error of 1 MB, 429": response(json.dumps({"error": {"message": "x\n" * 500000}}).encode(), 429),
        "message null": response(b'{"choices":[{"message":null,"finish_reason":"stop"}]}'),
        "choice null": response(b'{"choices":[null]}'),
        "choice text": response(b'{"choices":["fine"]}'),
        "JSON text in JSON": response(json.dumps(fine.decode()).encode()),
        "gzip twice": response(gzip.compress(gzip.compress(fine)), headers="Content-Encoding: gzip, gzip\r\n"),
        "gzip cut": response(gzip.compress(fine)[:-9], headers="Content-Encoding: gzip\r\n"),
        "gzip with garbage": response(gzip.compress(fine) + b"garbage", headers="Content-Encoding: gzip\r\n"),
        "deflate": response(zlib.compress(fine), headers="Content-Encoding: deflate\r\n"),
        "gzip bomb in chunks": _chunked(gzip.compress(bytes(200 << 20), 1)).replace(
            b"Transfer", b"Content-Encoding: gzip\r\nTransfer", 1
        ),
        "cookies": response(fine, headers="Set-Cookie: a=b; Domain=.example\r\n" * 300),
        "status 0": b"HTTP/1.1 0 X\r\nContent-Length: 0\r\n\r\n",
        "status -1": b"HTTP/1.1 -1 X\r\nContent-Length: 0\r\n\r\n",
        "status 99999": b"HTTP/1.1 99999 X\r\nContent-Length: 0\r\n\r\n",
        "HTTP/9.9": b"HTTP/9.9 200 OK\r\nContent-Length: %d\r\n\r\n" % len(fine) + fine,
        "status line of 1 MB": b"HTTP/1.1 200 " + b"x" * 1000000 + b"\r\nContent-Length: %d\r\n\r\n" % len(fine) + fine,
        "reason with escapes": b"HTTP/1.1 500 \x1b[2J\x07\r\nContent-Length: 0\r\n\r\n",
        "bare line feeds": b"HTTP/1.1 200 OK\nContent-Length: %d\n\n" % len(fine) + fine,
        "folded header": response(fine, headers="X: a\r\n  b\r\n"),
        "429 date in 10 years": response(b"{}", 429, "Retry-After: Thu, 01 Jan 2037 00:00:00 GMT\r\n"),
        "429 twice the header": response(b"{}", 429, "Retry-After: 0\r\nRetry-After: 99999\r\n"),
        "429 retry-after-ms": response(b"{}", 429, "retry-after-ms: -9e99\r\n"),
        "429 reset": response(
            b"{}", 429, "x-ratelimit-reset-requests: 1e400s\r\nx-ratelimit-reset-tokens: \u00b2m\r\n"
        ),
        "429 html": response(b"<html>", 429),
        "200 with an error": response(b'{"error":{"message":"overloaded","code":529}}'),
        "200 with an error and choices": response(
            b'{"error":{"message":"x"},"choices":[{"message":{"content":"fine"},"finish_reason":"error"}]}'
        ),
        "redirect to itself": response(b"", 302, "Location: /v1/chat/completions\r\n"),
        "redirect 308 elsewhere": response(b"", 308, "Location: http://127.0.0.1:9/\r\n"),
        "redirect to a file": response(b"", 302, "Location: file:///etc/passwd\r\n"),
        "redirect to nonsense": response(b"", 301, "Location: \x1b]0;x http://[zz]/\r\n"),
        "refresh header": response(b"{}", 200, "Refresh: 0; url=http://127.0.0.1:9/\r\n"),
        "alt-svc": response(fine, 200, 'Alt-Svc: h3="127.0.0.1:9"\r\n'),
        "proxy auth": response(b"{}", 407, "Proxy-Authenticate: Basic\r\n"),
        "www-authenticate": response(b"{}", 401, "WWW-Authenticate: Negotiate\r\n"),
        "answer and then a second response": response(fine) + response(answer("second")),
    }
