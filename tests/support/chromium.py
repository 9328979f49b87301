"""The system's Chromium, which the project's setup installs and no test brings along."""

import shutil

NAMES = ("chromium", "chromium-browser", "google-chrome")
MISSING = "there is no Chromium on this machine (" + ", ".join(NAMES) + ")"


def chromium() -> str | None:
    """Return its path."""
    return next(filter(None, map(shutil.which, NAMES)), None)
