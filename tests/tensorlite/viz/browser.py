"""A headless Chromium, for the tests that need one and for screenshots."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
_FLAGS = """
    --headless --no-sandbox --disable-gpu --disable-quic --no-first-run --hide-scrollbars --disable-background-networking
    --disable-component-update --disable-sync
"""


def _run(*arguments: str) -> str:
    assert CHROMIUM is not None
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        command = [CHROMIUM, *_FLAGS.split(), f"--user-data-dir={profile}", *arguments]
        return subprocess.run(command, capture_output=True, check=True, timeout=120).stdout.decode()


def screenshot(page: Path, out: Path, size: tuple[int, int], *, dark: bool = False) -> None:
    """A PNG of a page as a reader with a light or dark system would see it."""
    scheme = ["--blink-settings=preferredColorScheme=0"] if dark else []
    _run(f"--screenshot={out}", f"--window-size={size[0]},{size[1]}", *scheme, page.resolve().as_uri())


def run_script(page: str, script: str, folder: Path) -> Any:
    """What `script` returns when it runs at the end of `page`."""
    reply = "const p=document.createElement('pre');p.id='reply';p.textContent=JSON.stringify(v);document.body.append(p)"
    code = f"<script>(async()=>{{{script}}})().then(v=>{{{reply}}},e=>{{const v={{error:String(e)}};{reply}}})</script>"
    path = folder / "page.html"
    path.write_text(page.replace("</body>", code + "</body>"), encoding="utf-8")
    dom = _run("--virtual-time-budget=5000", "--dump-dom", path.resolve().as_uri())
    found = re.search(r'<pre id="reply">(.*?)</pre>', dom, re.S)
    assert found is not None, "the script did not finish"
    return json.loads(html.unescape(found.group(1)))
