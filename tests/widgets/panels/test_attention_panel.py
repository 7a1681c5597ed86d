"""The attention panel without a browser: one look is drawn in many places that are linked; what is wrong is said."""

import threading

import numpy as np
import pandas as pd
import pytest
from ase.build import molecule
from fake_inside import SETTINGS, expected_pair, fake_displace, fake_look, fake_respond
from lennard_jones import cluster_in_reduced_units
from so3lab_widgets import AttentionPanel, Session
from so3lab_widgets.panels.attention_panel import VIEWS
from so3lab_widgets.running import jobs
from waiting import no_threads_left, wait_for

import so3lab
from so3lab.attention import Channel, attention_matrix, channels, cumulene, pair_series, rank_correlation
from so3lab.potential import Potential
from so3lab.trajectory import TrajectoryWriter

ONE = Channel(2, "features", 1)


def ethanol(shift: float = 0.0):
    atoms = molecule("CH3CH2OH")
    atoms.positions[2] += [shift, 0, 0]
    return atoms


def follow(potential, frames, pairs, channel):
    return pair_series(potential, frames, pairs, channel, look=fake_look)


@pytest.fixture(scope="module")
def model():
    return Potential.initial(SETTINGS, energy_shifts={1: 0.0, 6: 0.0, 8: 0.0})


@pytest.fixture
def make(model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made = []

    def one(structure=None, *, wait=True, **options):
        options = {"look": fake_look, "follow": follow, "respond": fake_respond, "displace": fake_displace} | options
        made.append(AttentionPanel(model, structure if structure is not None else ethanol(), **options))
        panel = made[-1]
        if wait:
            wait_for(lambda: panel.shown is not None, "an answer")
        return panel

    with no_threads_left():
        yield one
        for panel in made:
            panel.close()


@pytest.fixture
def panel(make):
    return make()


def clicked(figure, trace: int, x, y, row: int = 0) -> None:
    """Let somebody click a point or a cell of a figure."""
    figure._js2py_pointsCallback = {
        "event_type": "plotly_click",
        "points": {"trace_indexes": [trace], "point_indexes": [row], "xs": [x], "ys": [y]},
        "selector": None,
    }


def shows(panel, channel: Channel) -> None:
    wait_for(lambda: panel.shown.channel == channel, "that channel")


def test_thumbnails_of_all_layers_and_heads_come_first_and_a_click_opens_one(panel):
    wait_for(lambda: panel.overview.figure is not None and panel.overview.figure.data[0].z is not None, "thumbnails")
    matrices = [attention_matrix(fake_look(None, ethanol()), one) for one in channels(SETTINGS)]
    share = matrices[5] / np.abs(matrices[5]).max()
    wait_for(lambda: np.allclose(panel.overview.figure.data[5].z, share, atol=1e-6), "those of the model")
    assert panel.overview.figure.layout.xaxis6.title.text == f"±{np.abs(matrices[5]).max():.2g}"
    assert len(panel.overview.figure.data) == len(matrices) == 8
    clicked(panel.overview.figure, channels(SETTINGS).index(ONE), 0, 0)
    shows(panel, ONE)
    assert panel.views.value == "matrix"
    wait_for(lambda: panel.matrix.figure.layout.title.text == "attention, layer 2, head 1", "its matrix")
    wait_for(lambda: panel.viewer.links_legend["label"] == "attention, layer 2, head 1", "its links")
    pair = panel.shown.links.pairs[0]
    assert panel.viewer.latest["links"][0] == pytest.approx(expected_pair(ethanol(), *pair, ONE))


def test_a_cell_a_point_and_a_row_pick_the_pair_and_a_picked_atom_marks_them(panel):
    panel.attention.channel = ONE
    shows(panel, ONE)
    panel.look_at("matrix")
    wait_for(lambda: panel.matrix.figure.data[0].x is not None, "a matrix")
    clicked(panel.matrix.figure, 0, "O2", "C1")
    assert panel.viewer.picked == [1, 2]
    assert panel.shared.selection == (1, 2)
    assert panel.code_line.code == "panel.viewer.picked = [1, 2]"
    assert len(panel.matrix.figure.layout.shapes) == 3
    panel.viewer.picked = [4]
    assert panel.matrix.marked_row == 4
    panel.look_at("distance")
    wait_for(lambda: len(panel.distance.pairs) > 0, "points")
    clicked(panel.distance.figure, 0, 0, 0, row=3)
    assert panel.viewer.picked == panel.distance.pairs[3].tolist()
    panel.pairs.table.current = 2
    assert panel.viewer.picked == panel.shown.links.pairs[2].tolist()
    panel.viewer.picked = panel.shown.links.pairs[5].tolist()
    assert panel.pairs.table.current == 5
    rows, matrix, (one, other) = panel.pairs.table.table, panel.shown.matrix, panel.shown.links.pairs[5]
    assert rows["pair"].iloc[5] == f"{panel.shown.names[one]}–{panel.shown.names[other]}"
    assert rows["first_reads"].iloc[5] == matrix[one, other]
    assert rows["both"].iloc[5] == pytest.approx(matrix[one, other] + matrix[other, one])
    panel.viewer.picked = [4]
    assert panel.pairs.table.current == -1


def test_two_picked_atoms_say_whether_the_network_can_see_from_one_to_the_other(make):
    panel = make(cumulene(8))
    panel.viewer.picked = [2, 3]
    assert "C2 and C3 know of each other after 1 layer of 2; neighbours that see both" in panel.reach.sentence
    panel.viewer.picked = [0, 4]  # two cutoffs of 2.6 Å
    assert "H0 and C4 know of each other after 2 layers of 2; neighbours that see both" in panel.reach.sentence
    panel.viewer.picked = [0, 11]
    assert "features of H0 and H11 never meet in 2 layers of 2.6 Å (it would take 5)" in panel.reach.sentence
    panel.viewer.picked = [2]
    assert panel.reach.sentence == ""


def test_pointing_picks_unless_it_is_switched_off(panel):
    panel.look_at("distance")
    wait_for(lambda: len(panel.distance.pairs) > 0, "points")
    panel._point([0, 1], "hover")
    assert panel.viewer.picked == [0, 1]
    panel.follows.value = False
    panel._point([1, 2], "hover")
    assert panel.viewer.picked == [0, 1]


def test_matrices_of_groups_and_elements_keep_the_sum(panel):
    panel.look_at("matrix")
    wait_for(lambda: panel.matrix.figure.data[0].z is not None, "a matrix")
    total = np.nansum(panel.matrix.figure.data[0].z)
    for rows, names in (("groups", ["C0 H3", "C1 H2", "O2 H"]), ("elements", ["C", "H", "O"])):
        panel.matrix.rows.value = rows
        heat = panel.matrix.figure.data[0]
        assert sorted(heat.x) == sorted(names)
        assert np.sum(heat.z) == pytest.approx(total, rel=1e-5)
        assert (heat.zmin < 0) == bool(np.nanmin(heat.z) < 0), "no colours for what there is not"


def test_atoms_are_coloured_by_what_the_network_carries(panel):
    viewer = panel.viewer
    degrees = [f"norm of degree {degree}" for degree in panel.potential.settings.degrees]
    assert {"attention", "atomic energy", "feature norm", "feature component 3", *degrees} <= set(viewer.colours)
    viewer.colour = degrees[0]
    expected = np.sqrt(3) * np.arange(9)
    wait_for(lambda: np.allclose(viewer.latest.get("values", 0), expected, atol=1e-4), "norms")
    assert "Euclidean variables of degree 1" in viewer.legend["definition"]
    viewer.colour = "attention"
    panel.attention.channel = ONE
    wait_for(lambda: "layer 2, head 1" in viewer.legend.get("definition", ""), "its definition")


def test_curves_of_pairs_follow_a_trajectory_and_its_frames(make, tmp_path):
    frames = [ethanol(0.02 * number) for number in range(30)]
    panel = make(frames)
    panel.attention.channel = ONE
    panel.look_at("along the run")
    panel.viewer.picked = [1, 2]
    panel.along._add_picked()
    wait_for(lambda: panel.along.values.shape == (30, 1), "a curve")
    expected = [expected_pair(atoms, 1, 2, ONE) for atoms in frames]
    np.testing.assert_allclose(panel.along.values[:, 0], expected)
    panel.viewer.frame = 17
    wait_for(lambda: panel.along.plot.figure.cursor == 17.0, "the line")
    wait_for(lambda: np.allclose(panel.shown.atoms.positions, frames[17].positions), "the frame's attention")
    panel._on_curve(3, "click")
    assert panel.viewer.frame == 3
    panel.attention.channel = Channel(1, "features", 1)
    again = [expected_pair(atoms, 1, 2, Channel(1, "features", 1)) for atoms in frames]
    wait_for(lambda: np.allclose(panel.along.values[:, 0], again), "the same pair in another channel")
    panel.viewer.picked = [1]
    panel.along._add_picked()
    assert "a curve needs two picked atoms, and 1 are" in panel.along.bar.message.sentence


def test_another_frame_and_another_model_are_compared_with(make):
    frames = [ethanol(0.1 * number) for number in range(3)]
    panel = make(frames)
    panel.attention.channel = ONE
    panel.compare.what.value = "another frame"
    panel.compare.frame.value = 2
    change = attention_matrix(fake_look(None, frames[2]), ONE) - attention_matrix(fake_look(None, frames[0]), ONE)
    wait_for(lambda: np.allclose(panel.shown.matrix, change), "the difference")
    wait_for(lambda: panel.viewer.links_legend["label"].startswith("change of attention"), "its links")
    assert panel.viewer.links_legend["definition"].startswith("frame 2 − frame 0; ")
    assert "Shown: frame 2 − frame 0, blue where the first attends more" in panel.compare.sentence.value
    wait_for(lambda: "Largest changes</b>, frame 2 − frame 0" in panel.pairs.heading.value, "what the list is")
    for view in ("matrix", "distance"):
        panel.look_at(view)
        wait_for(lambda: "frame 2 − frame 0" in str(panel.figure().layout.title.subtitle.text), f"it in the {view}")
        assert panel.figure().layout.title.text == "change of attention, layer 2, head 1"
    panel.look_at("overview")
    bar = panel.overview.figure.layout.coloraxis.colorbar
    wait_for(lambda: bar.title.text.startswith("Δα, frame 2 − frame 0"), "thumbnails say it")
    assert {"weight_one", "weight_other", "difference"} <= set(panel.table())
    panel.compare.what.value = "another model"
    panel.compare.model.value = "nobody's model"
    wait_for(lambda: "nobody's model" in panel.message.sentence, "the refusal")
    assert panel.message.wrong
    panel.compare.what.value = "nothing"
    wait_for(lambda: panel.shown.other is None, "no comparison")
    wait_for(lambda: panel.compare.sentence.value == "", "no word of it")
    wait_for(lambda: bar.title.text.startswith("α, share"), "thumbnails of the attention itself")


def test_one_structure_has_no_other_frame_to_be_compared_with(panel):
    panel.compare.what.value = "another frame"
    assert panel.compare.what.value == "nothing"
    assert "there is but one structure; open a trajectory" in panel.message.sentence
    panel.load(structure=[ethanol(), ethanol(0.2)])
    panel.compare.what.value = "another frame"
    assert "but one structure" not in panel.message.sentence
    wait_for(lambda: panel.shown is not None and panel.shown.other is not None, "the other one")
    panel.load(structure=ethanol())
    assert panel.compare.what.value == "nothing"


def test_what_follows_when_an_atom_moves_stands_beside_attention(panel):
    panel.look_at("cause")
    panel.viewer.picked = [2]
    wait_for(lambda: panel.cause._shown is not None, "a structure to move")
    panel.cause.move_button.click()
    wait_for(lambda: len(panel.cause.table) == 8, "responses to one atom")
    assert panel.code_line.code == "panel.cause.move(2)"
    panel.viewer.picked = []
    panel.cause.move_button.click()
    wait_for(lambda: len(panel.cause.table) == 72, "responses to all atoms")
    beside = panel.cause.beside()
    agreement = rank_correlation(beside)
    assert 0.5 < agreement < 1, "both fall off with distance, responses alike in both directions"
    wait_for(lambda: f"rank correlation of {agreement:+.2f}" in panel.cause.sentence.value, "what that says")
    matrix = panel.shown.matrix
    np.testing.assert_allclose(beside["attention"], matrix[beside["receiver"], beside["sender"]])
    panel.cause.kind.value = "charge"
    assert "e/Å" in panel.cause.scatter.figure.layout.yaxis.title.text
    panel.cause.displace_button.click()
    assert "no atom is picked" in panel.cause.bar.message.sentence
    panel.cause.displace(1, 0.3)
    wait_for(lambda: "force_change" in panel.cause.table, "changes")
    assert panel.code_line.code == "panel.cause.displace(1, 0.3)"
    with pytest.raises(ValueError, match="atoms are numbered 0 to 8, got 9"):
        panel.cause.move(9)
    assert "force_change" in panel.table()


def test_how_many_atoms_were_moved_is_said_meanwhile_and_never_of_another_task(make, monkeypatch):
    monkeypatch.setattr(jobs, "_PATIENCE_S", 0.01)  # a task that is busy for long is not waited for
    go_on = threading.Event()

    def respond(potential, atoms, moved):
        if 8 in moved:  # the ninth atom comes alone, after the first eight
            assert go_on.wait(60)
        return fake_respond(potential, atoms, moved)

    panel = make(respond=respond)
    panel.look_at("cause")
    wait_for(lambda: panel.cause._shown is not None, "a structure to move")
    panel.cause.move()
    wait_for(lambda: "running · 8 of 9 atoms moved" in panel.cause.bar.status.value, "how far it is")
    slow = panel.cause.attempts.job
    panel.cause.displace(1, 0.3)
    wait_for(lambda: "force_change" in panel.cause.table, "changes")
    go_on.set()
    slow.join()
    wait_for(lambda: "finished · 1 of 1 atom moved" in panel.cause.bar.status.value, "the end")
    assert "force_change" in panel.cause.table


def test_another_model_takes_its_own_responses(panel):
    panel.views.value = "cause"
    wait_for(lambda: panel.cause._shown is not None, "attention to stand beside")
    panel.cause.move(2)
    wait_for(lambda: not panel.cause.table.empty and panel.cause.attempts.job.ended, "responses")
    assert "force_response" in panel.table()
    panel.load(model=Potential.initial(SETTINGS, seed=5, energy_shifts={1: 0.0, 6: 0.0, 8: 0.0}))
    wait_for(lambda: panel.shown is not None, "its answer")
    assert panel.cause.table.empty
    assert "force_response" not in panel.table()


def test_an_error_of_the_model_is_a_sentence_in_place(make):
    def broken(potential, atoms):
        raise ValueError("the model is tired")

    panel = make(look=broken, wait=False)
    wait_for(lambda: panel.message.sentence == "the model is tired", "the sentence")
    panel.saving.save("table")
    wait_for(lambda: "has not answered yet" in panel.saving.message.sentence, "a sentence beside the button")
    panel.cause.move_button.click()
    assert "no structure yet" in panel.cause.bar.message.sentence


def test_what_cannot_be_opened_is_said_and_the_rest_stays(panel):
    for model, structure, sentence in (
        (None, "nowhere.h5", "nowhere.h5"),
        (None, 3, "structure must be Atoms"),
        (cluster_in_reduced_units(), None, "a SO3krates network, which alone has attention"),
        (None, molecule("SiH4"), "Si"),
        ("no such model", None, "no such model"),
    ):
        panel.load(model, structure)
        assert sentence in panel.message.sentence
        assert panel.message.wrong
    assert len(panel.viewer.atoms) == 9
    panel.source.structure.value = ""
    panel.source.open_button.click()
    assert "the field is empty" in panel.message.sentence
    with pytest.raises(ValueError, match="view must be one of overview"):
        panel.look_at("heads")


def test_a_session_is_followed(make, tmp_path):
    atoms, session = ethanol(), Session()
    with TrajectoryWriter(tmp_path / "run.h5", atoms, state_template={}, meta={}) as writer:
        shape = (6, 9, 3)
        writer.append(
            {
                "step": np.arange(6), "time_fs": 1.0 * np.arange(6), "potential_energy": np.zeros(6),
                "positions": atoms.positions + 0.01 * np.arange(6)[:, None, None] * np.ones(shape),
                "velocities": np.zeros(shape), "forces": np.zeros(shape), "kinetic_energy": np.zeros(6),
                "temperature": np.ones(6),
            }
        )  # fmt: skip
    panel = make(session=session)
    session.trajectory = tmp_path / "run.h5"
    wait_for(lambda: panel.viewer.frames == 6, "its frames")
    session.frame = 4
    assert panel.viewer.frame == 4
    panel.viewer.frame = 2
    assert session.frame == 2
    session.selection = (3, 5)
    assert panel.viewer.picked == [3, 5]
    session.structure = molecule("CH3OH")
    wait_for(lambda: len(panel.viewer.atoms) == 6, "the structure")
    session.potential = so3lab.load("ethanol")
    assert panel.potential is session.potential


def test_tables_figures_and_sessions_are_saved(panel, tmp_path):
    panel.attention.channel = ONE
    shows(panel, ONE)
    for view in VIEWS[:3]:
        panel.look_at(view)
        wait_for(lambda: panel._place.children, "its figure")
    for what, ending in (("table", "csv"), ("figure", "html"), ("session", "py")):
        panel.saving.save(what)
        wait_for(lambda ending=ending: (tmp_path / f"attention.{ending}").exists(), what)
        wait_for(lambda: "Wrote" in panel.saving.message.sentence, "that it is written")
    table = pd.read_csv(tmp_path / "attention.csv")
    assert len(table) == 8 * 2 * len(panel.shown.inside.first)
    assert "panel.attention.channel = (2, 'features', 1)" in (tmp_path / "attention.py").read_text()
    panel.saving.save("table")
    wait_for(lambda: "exists; choose another name" in panel.saving.message.sentence, "no file is replaced")


def test_unknown_keywords_are_refused():
    with pytest.raises(TypeError, match="colour"):
        AttentionPanel("ethanol", "ethanol", colour="red")
