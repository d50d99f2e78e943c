"""Throughput: updates per second of the local rules, of DDPG and of Stable-Baselines3's DDPG."""

from subcritic.studies.throughput.settings import Throughput, jobs
from subcritic.study import Recorded, Study, View, figure, table

STUDY = Study(
    name="throughput",
    question="How fast is an update?",
    view=View(
        """Throughput: how many updates a second does each learner make?

The local rules, our DDPG and Stable-Baselines3's, measured in turns in one process on one thread, for several network
and batch sizes.

*Open* the run `results` and its tab *Artifacts*: the table (median and spread) and the figure.""",
        grouped=False,
    ),
    settings=Throughput,
    jobs=jobs,
    records={
        "rounds": Recorded(
            "throughput/throughput.csv", ("learner", "hidden", "batch", "round", "updates_per_second")
        ),
        "training": Recorded(
            "throughput/training.csv",
            ("environment", "learner", "seeds", "round", "microseconds"),
            "CPU time per environment step of one agent, the environment and acting included",
        ),
        "gpu": Recorded(
            "throughput/gpu.csv",
            ("learner", "hidden", "batch", "seeds", "part", "captured", "round", "updates_per_second"),
            "updates of all seeds at once on a GPU; empty where there is none",
        ),
        "operations": Recorded("throughput/operations.csv", ("learner", "hidden", "batch", "multiply_adds")),
    },
    shown={
        "figure": figure("throughput", "throughput"),
        "table": table("throughput.csv"),
        "page": table("throughput.md", "throughput_table", about="updates per second"),
        "ratios": table("throughput_ratios.csv"),
        "training": table("throughput_training.csv"),
    },
    threads="all",
)
