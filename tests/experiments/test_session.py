"""When a session saves its state, and what it says meanwhile."""

from types import SimpleNamespace

import pytest

from subcritic.measuring.session import Checkpointer, Progress


@pytest.mark.parametrize(("step", "saves"), [(0, 0), (50, 1), (100, 0)])
def test_a_training_is_saved_on_its_way_but_neither_before_its_first_step_nor_at_its_end(step, saves):
    """At step 0 everything has been logged that a resumed training logs there again."""
    saved = []
    session = SimpleNamespace(
        runtime=SimpleNamespace(checkpoint_seconds=0.0), save=lambda *given, **how: saved.append(how)
    )
    Checkpointer(session, [])(SimpleNamespace(step=step, steps=100))
    assert saved == [{"finished": False}] * saves


def test_the_time_that_is_left_is_told_by_steps_that_learn(capsys):
    trainer = SimpleNamespace(
        step=0, steps=1000, seeds=[0], learning=False,
        watch=SimpleNamespace(diverged_at=[None], failures=[None]),
    )  # fmt: skip
    progress = Progress("task/method", seconds=0.0)
    for trainer.step, trainer.learning in ((50, False), (200, True), (300, True)):
        progress(trainer)
    first, warm_up, later = capsys.readouterr().err.splitlines()
    assert first.startswith("task/method: step 50 of 1,000, 1 seed, ")
    assert not any("left" in line for line in (first, warm_up)) and "left" in later
