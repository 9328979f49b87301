"""Start the emulator in the foreground: `python -m local.emulator`, configured by the environment (see `settings`).

Exit codes: 0 after SIGTERM or SIGINT, 2 where the settings are wrong or a patch does not fit the MiniStack installed.
"""

import os
import sys
import tempfile
from pathlib import Path

from local.emulator.patching import PatchDoesNotFit
from local.emulator.settings import InvalidSettings, Settings, ministack_environment
from local.lifeline import follow_parent


def main() -> int:
    """Run until stopped, and return the exit code."""
    follow_parent()
    try:
        settings = Settings.from_environment(os.environ)
        with tempfile.TemporaryDirectory(prefix="gatehouse-emulator-", ignore_cleanup_errors=True) as scratch:
            environment = ministack_environment(os.environ, settings, Path(scratch))
            os.environ.clear()
            os.environ.update(environment)
            tempfile.tempdir = scratch
            # MiniStack reads its environment when it is imported.
            from local.emulator import server  # noqa: PLC0415

            server.run(settings, Path(scratch))
    except (InvalidSettings, PatchDoesNotFit) as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
