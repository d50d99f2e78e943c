"""Speed of updates and whole training against the peers:  python -m benchmarks.throughput [--seconds 0.5] [--rounds 21]"""

from __future__ import annotations

import argparse
from pathlib import Path

from subcritic.studies.throughput import report, training
from subcritic.studies.throughput import run as throughput
from subcritic.studies.throughput.settings import Throughput, local_rules


def main() -> None:
    default = Throughput()
    parser = argparse.ArgumentParser(
        description="Updates per second on one thread, all learners interleaved."
    )
    parser.add_argument("--hidden", nargs="+", type=sizes, default=default.hidden, metavar="256-256")
    parser.add_argument("--batches", nargs="+", type=int, default=default.batches)
    parser.add_argument("--rounds", type=int, default=default.rounds)
    parser.add_argument("--seconds", type=float, default=default.seconds, help="per learner and round")
    parser.add_argument(
        "--training-steps",
        type=int,
        default=default.training_steps,
        help="of whole training, per learner and round",
    )
    parser.add_argument("--training-rounds", type=int, default=default.training_rounds)
    parser.add_argument(
        "--folder", type=Path, help="keep throughput.csv, operations.csv and training.csv here"
    )
    options = vars(parser.parse_args())
    folder = options.pop("folder")
    settings = Throughput(**options)
    print(table(settings, folder))


def sizes(text: str) -> tuple[int, ...]:
    """'256-256' → (256, 256)."""
    return tuple(int(size) for size in text.split("-"))


def table(settings: Throughput, folder: Path | None) -> str:
    """Measure, and say it in Markdown: speeds, and ratios within a round with their quartiles."""
    rounds, operations = throughput.measure(settings, local_rules())
    trained = training.measure(settings)
    if folder:
        folder.mkdir(parents=True, exist_ok=True)
        rounds.to_csv(folder / "throughput.csv", index=False)
        operations.to_csv(folder / "operations.csv", index=False)
        trained.to_csv(folder / "training.csv", index=False)
    updates = report.markdown(report.speed_table(rounds, operations), report.ratio_table(rounds, operations))
    return updates + report.training_markdown(report.training_table(trained))


if __name__ == "__main__":
    main()
