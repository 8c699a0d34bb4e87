"""Check that no page of the site fetches from another host: ``site_check.py FOLDER`` ends with 1 if one does."""

import re
import sys
from pathlib import Path

#: What a browser fetches: scripts, pictures, frames, styles and fonts, and what these name.
FETCHED = re.compile(
    r"""(?:<(?:script|img|iframe|source)[^>]*\ssrc=|<link[^>]*\shref=|url\(|@import )["']?(?:https?:)?//[^"')>\s]+"""
)

pages = [path for ending in ("html", "css", "js") for path in Path(sys.argv[1]).rglob(f"*.{ending}")]
found = [
    f"{path}: {match[0]}"
    for path in pages
    for match in FETCHED.finditer(path.read_text("utf-8"))
    if 'rel="canonical"' not in match[0]
]
print(*found, f"{len(pages)} files of the site, {len(found)} fetch from another host.", sep="\n")
sys.exit(bool(found) or not pages)
