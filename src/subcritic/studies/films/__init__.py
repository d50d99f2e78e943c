"""Films: what trained policies do on a task of the suite, methods side by side."""

from subcritic.studies.films.settings import Films, jobs
from subcritic.study import Recorded, Study, View, figure

STUDY = Study(
    name="films",
    question="What do the policies do?",
    view=View(
        """Films: what do trained policies do, methods side by side?

*Open* the run `results` and its tab *Artifacts*: frames along one episode of every method. The films lie in
`results/<profile>/films/`.""",
        grouped=False,
    ),
    settings=Films,
    jobs=jobs,
    over=("environment",),
    records={
        "film": Recorded("films/{environment}.gif", about="one episode of each method, side by side"),
        "sheet": Recorded("films/{environment}.png", about="frames along it, a row for each method"),
    },
    shown={"films": figure("films", "films", about="what policies do; films in films/", vector=False)},
    optional=True,
    publishes=True,
    memory=1000,
)
