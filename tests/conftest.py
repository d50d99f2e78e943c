"""Before anything else imports MuJoCo: let it draw without a display."""

import subcritic.envs.display  # noqa: F401
