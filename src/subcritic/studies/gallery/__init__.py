"""Gallery: films of a planner on the tasks of the suite, and one figure of them all."""

from subcritic.studies.gallery.settings import Gallery, jobs
from subcritic.study import Recorded, Study, View, figure

STUDY = Study(
    name="gallery",
    question="What do the tasks of the suite look like?",
    view=View(
        """Gallery: what do the tasks of the suite look like, and what does it look like to score 1?

*Open* the run `results` and its tab *Artifacts*: every task as an episode starts. Films of MPPI lie in
`results/<profile>/videos/`.""",
        grouped=False,
    ),
    settings=Gallery,
    jobs=jobs,
    over=("environment",),
    records={
        "film": Recorded("videos/{environment}.gif", about="a film of MPPI"),
        "still": Recorded("videos/{environment}.png", about="how its episode starts"),
        "sheet": Recorded("videos/{environment}.frames.png", about="frames along it, on one sheet"),
    },
    shown={"gallery": figure("gallery", "gallery", about="the tasks, and films in videos/", vector=False)},
    optional=True,
    publishes=True,
    memory=1000,
)
