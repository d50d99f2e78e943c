"""When a session saves its state."""

from types import SimpleNamespace

import pytest

from subcritic.measuring.session import Checkpointer


@pytest.mark.parametrize(("step", "saves"), [(0, 0), (50, 1), (100, 0)])
def test_a_training_is_saved_on_its_way_but_neither_before_its_first_step_nor_at_its_end(step, saves):
    """At step 0 everything has been logged that a resumed training logs there again."""
    saved = []
    session = SimpleNamespace(
        runtime=SimpleNamespace(checkpoint_seconds=0.0), save=lambda *given, **how: saved.append(how)
    )
    Checkpointer(session, [])(SimpleNamespace(step=step, steps=100))
    assert saved == [{"finished": False}] * saves
