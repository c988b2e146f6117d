"""The documentation as a site, built offline: the pages, CONTRIBUTING.md, and the API reference made from the docstrings.

    pip install zensical
    python docs/figures/site.py               # -> build/site/index.html

The builder wants its configuration beside the pages, so everything is put together under build/. Fails on a broken link, and on a page that would load
something from the network.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
WORK = ROOT / "build" / "docs"
PAGES = [
    "index",
    "tensors",
    "autograd",
    "testing",
    "drawing",
    "transformer",
    "training",
    "claims",
    "tokenizer",
    "assessment",
    "assessment_at_scale",
    "commands",
    "speed",
    "differences",
    "compat",
    "surface",
]

CONFIG = """\
[project]
site_name = "claimsformer and tensorlite"
site_dir = "site"
docs_dir = "pages"
use_directory_urls = false
nav = [{nav}]
[project.theme]
font = false
features = ["navigation.sections", "content.code.copy"]

[[project.theme.palette]]
scheme = "default"
toggle.icon = "lucide/sun"
toggle.name = "dark"

[[project.theme.palette]]
scheme = "slate"
toggle.icon = "lucide/moon"
toggle.name = "light"
"""


def gather() -> None:
    """The pages under WORK, with links out of docs/ shown as plain names."""
    shutil.rmtree(WORK, ignore_errors=True)
    pages = WORK / "pages"
    shutil.copytree(ROOT / "docs", pages, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    shutil.copy(ROOT / "CONTRIBUTING.md", pages / "contributing.md")
    for page in pages.rglob("*.md"):
        text = page.read_text(encoding="utf-8").replace("](../CONTRIBUTING.md)", "](contributing.md)")
        page.write_text(re.sub(r"\[([^\]]+)\]\(\.\./[^)]+\)", r"\1", text), encoding="utf-8")
    subprocess.run([sys.executable, str(ROOT / "docs/figures/api.py"), str(pages / "api")], check=True, cwd=ROOT)
    written = {p.stem for p in pages.glob("*.md")}
    names = [*(p for p in PAGES if p in written), *sorted(written - {*PAGES, "contributing"}), "contributing"]
    api = ", ".join(f'{{"{p.stem}" = "api/{p.name}"}}' for p in sorted((pages / "api").glob("*.md")))
    nav = ", ".join([*(f'"{name}.md"' for name in names), f'{{"API" = [{api}]}}'])
    (WORK / "zensical.toml").write_text(CONFIG.format(nav=nav), encoding="utf-8")


def check() -> list[str]:
    """What the built pages would fetch from elsewhere."""
    fetched = []
    for page in (WORK / "site").rglob("*.html"):
        tags = re.findall(r"<(?:script|link|img|iframe)\b[^>]*>", page.read_text(encoding="utf-8"))
        fetched += [
            f"{page.name}: {tag[:120]}"
            for tag in tags
            if re.search(r'(?:src|href)="?(?:https?:)?//', tag) and "canonical" not in tag
        ]
    return fetched


def main() -> int:
    gather()
    places = [str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]
    if builder := shutil.which("zensical", path=os.pathsep.join(places)):
        subprocess.run([builder, "build", "--strict", "-f", str(WORK / "zensical.toml")], check=True)
    else:
        print("zensical is not installed: pip install zensical", file=sys.stderr)
        return 1
    if fetched := check():
        print("loads from the network:", *fetched[:10], sep="\n", file=sys.stderr)
        return 1
    target = ROOT / "build" / "site"
    shutil.rmtree(target, ignore_errors=True)
    shutil.move(WORK / "site", target)
    print(f"{len(list(target.rglob('*.html')))} pages in {target.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
