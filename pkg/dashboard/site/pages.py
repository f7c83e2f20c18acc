"""The one page, whatever its address, and the files that it consists of."""

from __future__ import annotations

import hashlib
import mimetypes
from pathlib import Path
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from pkg.dashboard.site.services import Fault

STATIC: Final = Path(__file__).resolve().parents[1] / "static"
_TYPES: Final = {
    ".js": "text/javascript",
    ".css": "text/css",
    ".html": "text/html",
    ".svg": "image/svg+xml",
    ".woff2": "font/woff2",
    ".txt": "text/plain",
    ".webmanifest": "application/manifest+json",
}


class Pages:
    """Handlers. The files are read once: there are few, and they are small.

    base_path: the prefix of all addresses, which the page is told; empty for none.
    """

    def __init__(self, base_path: str = "", folder: Path = STATIC) -> None:
        self._files: dict[str, tuple[bytes, str, str]] = {}
        for path in sorted(folder.iterdir()):
            content = path.read_bytes()
            if path.name == "index.html":
                content = _with_base(content, base_path)
            kind = _TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0] or "application/octet-stream"
            self._files[path.name] = (content, kind, f'"{hashlib.sha256(content).hexdigest()[:20]}"')

    async def page(self, request: Request) -> Response:
        """The page: what it shows follows from its address."""
        return self._file("index.html", request)

    async def file(self, request: Request) -> Response:
        """A file of the page."""
        return self._file(request.path_params["file"], request)

    def _file(self, name: str, request: Request) -> Response:
        found = self._files.get(name)
        if found is None:
            raise Fault(404, f"there is no file {name[:100]!r}")
        content, kind, etag = found
        headers = {"etag": etag, "cache-control": "no-cache"}
        if request.headers.get("if-none-match") == etag:
            return Response(status_code=304, headers=headers)
        return Response(content, media_type=kind, headers=headers)


def _with_base(page: bytes, base_path: str) -> bytes:
    """The page under a prefix, which has no characters that mean something in HTML."""
    prefix = base_path.encode()
    page = page.replace(b'name="base-path" content=""', b'name="base-path" content="%b"' % prefix)
    return page.replace(b'="/static/', b'="%b/static/' % prefix)
