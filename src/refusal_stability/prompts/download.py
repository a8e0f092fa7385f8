"""Download a benchmark file, and use it only if its SHA-256 is the one that the study gives."""

from __future__ import annotations

import hashlib
import http.client
import re
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

from refusal_stability.files import atomic_write, file_sha256
from refusal_stability.progress import progress
from refusal_stability.prompts.source import PromptSourceError

CHUNK = 1 << 20
TIMEOUT_SECONDS = 60
MOST_BYTES, MOST_SECONDS = 4 << 30, 3600
USER_AGENT = "refusal-stability"


def fetched(url: str, sha256: str | None, folder: Path) -> Path:
    """The file at `url` with the digest `sha256`, downloaded into `folder` unless it is there already.

    Without a digest the download is kept but not used. The error gives its digest, so that the user can pin it. A
    pinned file is never downloaded twice.
    """
    if sha256 is not None:
        kept = _kept(folder, sha256, url)
        if kept.is_file() and _readable_digest(kept) == sha256:
            return kept
    found, kept = _download(url, folder)
    if sha256 is None:
        raise PromptSourceError(
            f"prompts.sha256: a download must be pinned, but no digest is given; {url} now has {found}. "
            f"If you trust the file, set `sha256: {found}` under `prompts` and run again (the file is kept)"
        )
    if found != sha256:
        kept.unlink()
        raise PromptSourceError(
            f"prompts.sha256: {url} has SHA-256 {found}, expected {sha256}; nothing was used. "
            "Give the `url` of the pinned revision, or pin the new file if you trust it"
        )
    return kept


def check_digest(path: Path, sha256: str) -> None:
    """Refuse a local file whose digest is not the one that the study gives."""
    found = _readable_digest(path)
    if found != sha256:
        raise PromptSourceError(
            f"{path}: has SHA-256 {found}, expected {sha256} (prompts.sha256); restore the file, or change the digest"
        )


def _readable_digest(path: Path) -> str:
    try:
        return file_sha256(path)
    except OSError as error:
        raise PromptSourceError(f"{path}: could not be read ({error.strerror or error}); check prompts.path") from error


def _download(url: str, folder: Path) -> tuple[str, Path]:
    """Stream a file into `folder`; returns its digest and its path."""
    digest = hashlib.sha256()
    partial = folder / f"{hashlib.sha256(url.encode()).hexdigest()}.download"
    with atomic_write(partial, "wb") as file:
        for chunk in _chunks(url):
            digest.update(chunk)
            file.write(chunk)
    found = digest.hexdigest()
    return found, partial.replace(_kept(folder, found, url))


def _chunks(url: str) -> Iterator[bytes]:
    """The bytes at `url`. Connection errors are caught here, so that they are not mistaken for a full disk."""
    arrived = 0
    try:
        request = urllib.request.Request(url, headers={"User-Agent": USER_AGENT})
        with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as response:
            length = int(response.headers.get("Content-Length", 0))
            name = unquote(urlsplit(url).path).rsplit("/", 1)[-1]
            with progress(f"download {name}", length or None, in_bytes=True) as work:
                started = time.monotonic()
                while chunk := response.read(CHUNK):
                    arrived += len(chunk)
                    if arrived > MOST_BYTES:
                        raise _failed(url, f"it is larger than {MOST_BYTES >> 30} GiB")
                    if time.monotonic() - started > MOST_SECONDS:
                        raise _failed(url, f"it takes longer than {MOST_SECONDS // 60} minutes")
                    work.advance(len(chunk))
                    yield chunk
            # Before Python 3.13, a connection that breaks off looks like the end of the file.
            if arrived < length:
                raise http.client.IncompleteRead(b"")
    except urllib.error.HTTPError as error:
        raise _failed(url, f"the server answered {error.code} {error.reason}") from error
    except urllib.error.URLError as error:
        raise _failed(url, str(error.reason)) from error
    except (http.client.IncompleteRead, ConnectionError) as error:
        raise _failed(url, "the connection broke off") from error
    except (http.client.HTTPException, TimeoutError, ValueError) as error:
        raise _failed(url, str(error) or type(error).__name__) from error


def _failed(url: str, reason: str) -> PromptSourceError:
    return PromptSourceError(
        f"{url}: could not be downloaded ({reason}); try again, or fetch the file yourself and name it in prompts.path"
    )


def _kept(folder: Path, sha256: str, url: str) -> Path:
    """The path of a kept download: its digest, then the file name of the URL, with unsafe characters replaced."""
    name = re.sub(r"[^A-Za-z0-9.]+", "-", unquote(urlsplit(url).path).rsplit("/", 1)[-1])
    return folder / f"{sha256[:16]}-{name[-80:]}"
