"""A site that nobody looks at starts without the screens' libraries."""

from __future__ import annotations

import subprocess
import sys


def test_apis_do_not_bring_nicegui() -> None:
    said = subprocess.run(
        [sys.executable, "-c", "import sys, isogenic.web.site_api, isogenic.web.control_api, isogenic.web.tasks; print('nicegui' in sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert said.stdout.strip() == "False"
