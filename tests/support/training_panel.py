"""A training panel of a small set of molecules on springs, for tests without a browser."""

from labelled_springs import as_dataset, springs
from so3lab_widgets.panels.train_panel import TrainPanel
from waiting import wait_for

from so3lab.datasets import Dataset

FRAMES = 60
ODD = 41
"""A frame with a force that no other has."""


def data() -> Dataset:
    """Frames of ethanol, one of them odd, with something to be remarked."""
    arrays = springs(frames=FRAMES)
    arrays["forces"][ODD, 0] += 60.0
    arrays["forces"][ODD, 1] -= 60.0
    made = as_dataset(**arrays)
    made.keep_remarks(("net forces are not zero",))
    return made


def length(panel: TrainPanel, epochs: float) -> None:
    """Choose how many epochs are trained, in batches of five."""
    panel.form.fields["unit"].value, panel.form.fields["length"].value = "epochs", epochs
    panel.form.fields["batch_size"].value = 5


def trained(panel: TrainPanel) -> TrainPanel:
    """The panel after a run."""
    before = panel.job
    panel.start()
    wait_for(lambda: panel.job not in (None, before) and panel.job.ended, "the end of a run")
    assert panel.job.error is None
    return panel


def evaluated(panel: TrainPanel) -> TrainPanel:
    """The panel after an evaluation of what it has in hand."""
    panel.parity.evaluate_button.click()
    wait_for(lambda: panel.parity.found is not None and panel.parity.message.sentence == "", "an evaluation")
    return panel
