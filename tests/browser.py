"""A headless Chromium: what a page really shows, after it has been laid out."""

from __future__ import annotations

import html
import json
import re
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packages import provided

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = [
    "--headless",
    "--no-sandbox",  # it runs as root in containers; what it opens is a page of our own
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # The looking page may look into the page beside it.
    "--allow-file-access-from-files",
    "--virtual-time-budget=4000",
    "--dump-dom",
]
# The page runs in a frame of the looking page, which measures it from outside: the page itself may run no script.
LOOKING_PAGE = """<!doctype html><meta charset="utf-8"><body style="margin:0"><pre id="found"></pre>
<iframe src="{address}" style="border:0;width:{width}px;height:2000px"></iframe>
<script>
const frame = document.querySelector("iframe");
frame.onload = () => {{
  const page = frame.contentDocument, view = frame.contentWindow;
  const box = (element) => element.getBoundingClientRect();
  const shown = (element) => element.checkVisibility() && box(element).width > 0 && box(element).height > 0;
  const all = (selector, within = page) => [...within.querySelectorAll(selector)];
  let found;
  try {{ found = ((page, view, box, shown, all) => {{ {script} }})(page, view, box, shown, all); }}
  catch (error) {{ found = {{ error: String(error) }}; }}
  document.getElementById("found").textContent = JSON.stringify(found);
}};
</script>"""


@dataclass
class Browser:
    """Chromium, started for each look."""

    program: str

    def look(self, page: Path, script: str, width: int = 1100) -> Any:
        """What the script returns: JavaScript with `page`, `view`, `box(element)`, `shown(element)`, `all(where)`."""
        with tempfile.TemporaryDirectory(prefix="browser-") as folder:
            looking = Path(folder, "look.html")
            looking.write_text(LOOKING_PAGE.format(address=page.as_uri(), width=width, script=script), encoding="utf-8")
            command = [self.program, *FLAGS, f"--user-data-dir={folder}/profile", "--window-size=1400,2200"]
            command.append(looking.as_uri())
            done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        found = re.search(r'<pre id="found">(.*?)</pre>', done.stdout, re.S)
        assert found, done.stderr[-3000:]
        assert found[1], f"the page was not laid out: {done.stderr[-3000:]}"
        return json.loads(html.unescape(found[1]))


def provide() -> Browser:
    """The Chromium of this machine."""
    return Browser(provided("chromium", *NAMES))
