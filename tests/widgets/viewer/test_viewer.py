"""The viewer without a browser: what it sends to a page, what it refuses, how it plays and films."""

import time
from io import BytesIO

import ase.io
import numpy as np
import pytest
import traitlets
from ase.build import bulk, molecule
from ase.calculators.singlepoint import SinglePointCalculator
from PIL import Image
from so3lab_widgets.viewer import movie_encoder
from so3lab_widgets.viewer.viewer import Viewer
from waiting import no_threads_left, wait_for

from so3lab.observables import superpose


class Page:
    """Stands for a page: takes what a viewer sends, and answers when a picture is wanted."""

    def __init__(self, viewer: Viewer, answers: bool = True):
        self.viewer, self.answers = viewer, answers
        self.frames: list[dict[str, np.ndarray]] = []
        self.others: list[tuple[dict, list]] = []
        viewer.send = self.receive

    def receive(self, content: dict, buffers=None) -> None:
        if content["kind"] == "frame":
            arrays = {
                name: np.frombuffer(data, np.float32) for name, data in zip(content["parts"], buffers, strict=True)
            }
            self.frames.append(arrays | {"message": content})
        elif content["kind"] == "picture" and self.answers:
            shown = self.frames[-1]["positions"].reshape(-1, 3)
            picture = Image.new("RGBA", (65, 49), (int(40 + 20 * shown[0, 0]) % 256, 80, 120, 255))
            written = BytesIO()
            picture.save(written, "PNG")
            self.tell({"kind": "picture", "number": content["number"]}, written.getvalue())
        else:
            self.others.append((content, buffers))

    def tell(self, content: dict, *buffers: bytes) -> None:
        """Send something to the viewer, as ipywidgets delivers what comes from a page."""
        self.viewer._handle_custom_msg(content, list(buffers))

    @property
    def structure(self) -> dict:
        """The structure that a page loads."""
        return self.viewer.get_state("_structure")["_structure"]

    @property
    def positions(self) -> np.ndarray:
        return self.frames[-1]["positions"].reshape(-1, 3) if self.frames else np.zeros((0, 3))


def frames_of(count: int = 40, forces: bool = False) -> list:
    rng, made = np.random.default_rng(0), []
    for number in range(count):
        atoms = molecule("CH3CH2OH")
        atoms.positions += rng.normal(0, 0.05, atoms.positions.shape)
        atoms.positions[0, 0] += 0.1 * number
        if forces:
            atoms.calc = SinglePointCalculator(atoms, forces=rng.normal(size=atoms.positions.shape))
        made.append(atoms)
    return made


@pytest.fixture
def make():
    made = []

    def one(*arguments, answers: bool = True, **options):
        viewer = Viewer(**options)
        made.append(viewer)
        page = Page(viewer, answers)
        if arguments:
            viewer.show(*arguments)
        return viewer, page

    with no_threads_left():
        yield one
        for viewer in made:
            viewer.close()


def centred(atoms) -> np.ndarray:
    return atoms.positions - atoms.positions.mean(axis=0)


def test_a_page_that_draws_on_the_processor_gets_fewer_frames(make):
    viewer, page = make(frames_of())
    page.tell({"kind": "hello", "in_software": False})
    assert viewer.rate_hz == 20.0
    page.tell({"kind": "hello", "in_software": True})
    assert 15.0 <= viewer.rate_hz < 20.0


def test_a_frame_is_sent_when_it_is_shown(make):
    frames = frames_of()
    viewer, page = make(frames, follow="off")
    assert viewer.frames == 40
    viewer.frame = 7
    wait_for(lambda: len(page.positions) and np.allclose(page.positions, centred(frames[7]), atol=1e-5), "frame 7")
    np.testing.assert_allclose(viewer.atoms.positions, centred(frames[7]), atol=1e-5)


def test_smoothing_is_the_mean_over_superposed_neighbours(make):
    frames = frames_of()
    viewer, page = make(frames, follow="off")
    viewer.frame, viewer.smoothing = 10, 2
    around = superpose(np.stack([atoms.positions for atoms in frames[8:13]]), centred(frames[10]))
    wait_for(lambda: page.frames and np.allclose(page.positions, around.mean(axis=0), atol=1e-4), "a smooth frame")


def test_playing_ends_or_begins_again(make):
    viewer, _ = make(frames_of())
    viewer.fps, viewer.loop = 100.0, False
    viewer.playing = True
    wait_for(lambda: not viewer.playing, "the end")
    assert viewer.frame == 39
    viewer.loop, viewer.fps, viewer.frame = True, 200.0, 30
    seen = set()
    viewer.observe(lambda change: seen.add(change.new), "frame")
    viewer.playing = True
    wait_for(lambda: any(frame < 25 for frame in seen), "the beginning again")
    viewer.playing = False


def test_colours_have_a_legend_with_unit_and_range(make):
    frames = frames_of(forces=True)
    viewer, page = make(frames, {"charge": lambda index: np.linspace(-0.2, 0.4, 9)})
    assert list(viewer.colours) == ["element", "charge", "force"]
    viewer.colour = "charge"
    wait_for(lambda: viewer.legend.get("label") == "charge (e)", "a legend")
    assert viewer.legend["low"] == -viewer.legend["high"] == pytest.approx(-0.4), "pale is zero"
    viewer.colour = "force"
    wait_for(lambda: viewer.legend.get("label") == "force (eV/Å)", "another legend")
    assert viewer.legend["low"] == 0.0
    assert page.frames[-1]["message"]["scale"] == viewer.legend["scale"]
    with pytest.raises(traitlets.TraitError, match="colour must be one of"):
        viewer.colour = "speed"


def test_forces_of_frames_are_arrows(make):
    frames = frames_of(forces=True)
    viewer, page = make(frames, follow="off")
    assert viewer.has_forces
    viewer.forces, viewer.frame = True, 5
    expected = frames[5].get_forces().ravel()
    wait_for(lambda: page.frames and "arrows" in page.frames[-1], "arrows")
    wait_for(lambda: np.allclose(page.frames[-1]["arrows"], expected, atol=1e-5), "those of frame 5")
    viewer.forces = False
    wait_for(lambda: "arrows" not in page.frames[-1], "no arrows")
    assert not make(frames_of())[0].has_forces


def test_links_and_pushes_come_with_the_next_frame(make):
    viewer, page = make(frames_of()[0])
    viewer.link([[0, 1], [1, 2]], [0.5, 1.0])
    viewer.push(frames_of()[3].positions, arrows=np.ones((9, 3)))
    wait_for(lambda: page.frames and {"links", "arrows"} <= page.frames[-1].keys(), "links and arrows")
    assert page.frames[-1]["message"]["pairs"] == [0, 1, 1, 2]
    viewer.link(np.empty((0, 2)), [])
    wait_for(lambda: "links" not in page.frames[-1], "no links")
    for call, sentence in (
        (lambda: viewer.push(np.zeros((3, 3))), r"positions must have shape \(9, 3\)"),
        (lambda: viewer.link([[0, 1], [1, 2]], [-1.0]), "weights must be 2 finite numbers"),
        (lambda: viewer.link([[0, 9]], [1.0]), "pairs must name atoms 0 to 8, got 0 to 9"),
        (lambda: Viewer().push(np.zeros((3, 3))), "push needs a structure"),
    ):
        with pytest.raises(ValueError, match=sentence):
            call()


def test_links_have_signs_a_threshold_and_a_legend_whose_range_only_grows(make):
    viewer, page = make(molecule("CH3CH2OH"))
    viewer.link([[0, 1], [1, 2]], [0.5, -0.2], "attention, layer 1, head 2", "no unit", threshold=0.5, of_picked=True)
    wait_for(lambda: page.frames and "links" in page.frames[-1], "links")
    np.testing.assert_allclose(page.frames[-1]["links"], [0.5, -0.2])
    assert (viewer.link_threshold, viewer.links_of_picked) == (0.5, True)
    legend = {"label": "attention, layer 1, head 2", "definition": "no unit", "low": -0.2, "high": 0.5, "most": 0.5}
    assert viewer.links_legend == viewer.get_state("_links_legend")["_links_legend"] == legend
    viewer.link([[0, 1]], [-0.7], "attention, layer 1, head 2", "no unit")
    assert viewer.links_legend == legend | {"low": -0.7, "most": 0.7}
    viewer.link([[0, 1]], [0.1], "attention, layer 2, head 2", "no unit")
    assert viewer.links_legend["most"] == 0.1, "of something else"
    viewer.link([], [])
    assert viewer.links_legend == {}
    with pytest.raises(traitlets.TraitError, match="link_threshold"):
        viewer.link_threshold = 1.5


def test_links_are_sent_again_to_a_page_that_is_loaded_again(make):
    viewer, page = make(molecule("CH3CH2OH"))
    viewer.link([[0, 1]], [0.5])
    wait_for(lambda: page.frames and "links" in page.frames[-1], "links")
    seen = len(page.frames)
    page.tell({"kind": "hello", "in_software": False})
    wait_for(lambda: len(page.frames) > seen, "everything again")
    assert page.frames[-1]["message"]["pairs"] == [0, 1]


def test_overlays_lie_upon_what_is_shown_whatever_their_numbering(make):
    viewer, page = make(molecule("CH3CH2OH"))
    wait_for(lambda: page.frames, "a frame")
    other = molecule("CH3CH2OH")
    other.rattle(0.03, seed=1)
    turned = other[[0, 1, 2, 3, 4, 5, 8, 6, 7]]  # hydrogens of the methyl group change places
    turned.rotate(70, (1, 2, 3))
    turned.translate((5.0, 0.0, 0.0))
    plain, renumbered = viewer.overlay([other, turned], ["first", "second"])
    assert plain == pytest.approx(renumbered, abs=1e-6)
    assert plain < 0.1
    laid = viewer.get_state("_overlays")["_overlays"]
    assert [one["name"] for one in laid] == ["first", "second"]
    assert len({one["colour"] for one in laid}) == 2
    first, second = ([line for line in one["text"].splitlines() if "HETATM" in line] for one in laid)
    assert first == second
    for call, sentence in (
        (lambda: viewer.overlay([molecule("CH4")]), "must be of the same atoms, got CH4 as number 0"),
        (lambda: viewer.overlay([other], ["a", "b"]), "names must be 1, one per structure, got 2"),
        (lambda: viewer.overlay([other] * 21), "at most 20 structures"),
        (lambda: Viewer().overlay([other]), "needs a structure to lie upon"),
    ):
        with pytest.raises(ValueError, match=sentence):
            call()
    viewer.show(molecule("CH4"))
    assert viewer.get_state("_overlays")["_overlays"] == []


def test_the_cell_goes_along_and_a_crystal_stays_where_it_is(make):
    crystal = bulk("Ar", "fcc", a=5.3, cubic=True)
    _, page = make(crystal)
    wait_for(lambda: page.frames and "cell" in page.frames[-1], "a cell")
    np.testing.assert_allclose(page.frames[-1]["cell"].reshape(3, 3), np.asarray(crystal.cell), atol=1e-6)
    np.testing.assert_allclose(page.positions, crystal.positions, atol=1e-6)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"frame": 99}, "frame must be 0 to 39"),
        ({"picked": [0, 0]}, "picked must be different atoms"),
        ({"picked": [0, 99]}, "picked must be different atoms"),
        ({"picked": [0, 1, 2, 3, 4]}, "picked"),
        ({"fps": 0.0}, "fps"),
        ({"smoothing": -1}, "smoothing"),
        ({"representation": "cartoon"}, "representation"),
        ({"arrow_scale": -1.0}, "arrow_scale"),
    ],
)
def test_traits_are_validated(make, change, sentence):
    viewer, _ = make(frames_of())
    ((name, value),) = change.items()
    with pytest.raises(traitlets.TraitError, match=sentence):
        setattr(viewer, name, value)


def test_what_cannot_be_shown_is_refused():
    for call, error, sentence in (
        (lambda: Viewer(molecule("CH4"), color="red"), TypeError, "Viewer has no 'color'"),
        (lambda: Viewer("gone.h5"), FileNotFoundError, "no trajectory file gone.h5"),
        (lambda: Viewer(42), TypeError, "structure must be Atoms"),
        (lambda: Viewer([]), ValueError, "no frames"),
        (lambda: Viewer(bulk("Ar", cubic=True) * (20, 20, 20)), ValueError, "at most 20000 atoms"),
    ):
        with pytest.raises(error, match=sentence):
            call()


def test_another_structure_forgets_picks_and_the_same_keeps_them(make):
    frames = frames_of()
    viewer, page = make(frames)
    viewer.picked = [0, 1]
    viewer.show(frames[5])
    assert viewer.picked == [0, 1]
    assert not page.structure["fresh"], "the camera stays"
    viewer.show(molecule("CH4"))
    assert (viewer.picked, page.structure["fresh"]) == ([], True)


def test_the_same_view_as_a_plain_nglview_widget(make):
    import nglview

    viewer, _ = make(frames_of())
    view = viewer.as_nglview()
    assert type(view) is nglview.NGLWidget
    assert view.max_frame == 39
    live, _ = make()
    with pytest.raises(ValueError, match="nothing to show yet"):
        live.as_nglview()
    live.show_live(molecule("CH4"))
    assert live.as_nglview().max_frame == 0


@pytest.mark.parametrize("ending", movie_encoder.ENDINGS)
def test_a_movie_holds_every_frame_that_was_asked_for(make, tmp_path, ending):
    viewer, _ = make(frames_of())
    viewer.frame = 3
    path = viewer.save_movie(tmp_path / f"run{ending}", frames=range(0, 40, 4), fps=10.0).result(timeout=30)
    if ending == ".gif":
        with Image.open(path) as movie:
            assert (movie.n_frames, movie.size, movie.info["duration"]) == (10, (64, 48), 100)
    else:
        import av

        with av.open(path) as movie:
            assert movie.streams.video[0].average_rate == 10
            seen = [frame.to_ndarray(format="rgb24") for frame in movie.decode(video=0)]
        assert len(seen) == 10
        assert seen[0].shape == (48, 64, 3)
        assert abs(int(seen[-1][0, 0, 0]) - int(seen[0][0, 0, 0])) > 40, "the molecule has moved"
    assert (viewer.frame, viewer.notice) == (3, "")


def test_movies_that_cannot_be_made_say_why(make, tmp_path, monkeypatch):
    viewer, _ = make(frames_of(), answers=False)
    monkeypatch.setattr("so3lab_widgets.viewer.movie_recorder._PICTURE_S", 0.1)
    with pytest.raises(TimeoutError, match="no page has drawn the movie"):
        viewer.save_movie(tmp_path / "run.gif").result(timeout=10)
    for call, sentence in (
        (lambda: viewer.save_movie("run.avi"), "path must end in .gif or .mp4"),
        (lambda: viewer.save_movie("run.gif", frames=[99]), "frames must be 0 to 39"),
        (lambda: viewer.save_movie("run.gif", width=3), "width must be 16 to 4096 pixels, got 3"),
        (lambda: make(molecule("CH4"))[0].save_movie("run.gif"), "a movie needs a trajectory"),
    ):
        with pytest.raises(ValueError, match=sentence):
            call()


def test_a_page_asks_for_a_movie_and_gets_it(make):
    _, page = make(frames_of(), follow="off")
    page.tell({"kind": "film", "format": "gif", "frames": 20, "width": 48})
    wait_for(lambda: page.others, "a movie", 60)
    ((content, buffers),) = page.others
    assert content == {"kind": "download", "name": "so3lab.gif"}
    with Image.open(BytesIO(buffers[0])) as movie:
        assert movie.width == 48
        assert movie.n_frames > 15, "pictures that are alike are one, shown for longer"
        durations = []
        for number in range(movie.n_frames):
            movie.seek(number)
            durations.append(movie.info["duration"])
    assert sum(durations) == 20 * 50


def test_a_picture_is_written_when_a_page_has_drawn_it(make, tmp_path):
    viewer, page = make(frames_of())
    wait_for(lambda: page.frames, "a frame")
    viewer.save_picture(tmp_path / "one.png").result(timeout=10)
    assert Image.open(tmp_path / "one.png").size == (65, 49)


def test_structures_that_were_drawn_can_be_written(make, tmp_path):
    viewer, page = make(bulk("Ar", "fcc", a=5.3, cubic=True))
    wait_for(lambda: page.frames, "a frame")
    ase.io.write(tmp_path / "cell.extxyz", viewer.atoms)
    assert ase.io.read(tmp_path / "cell.extxyz").cell.lengths() == pytest.approx([5.3] * 3)


def test_numbers_of_one_colour_are_never_those_of_another(make):
    viewer, page = make()
    viewer.show_live(molecule("CH3CH2OH"), ["many", "few"], forces=True)
    positions, many, few = viewer.atoms.positions, np.full(9, 50.0), np.full(9, 2.0)
    viewer.colour = "many"
    viewer.push(positions, values={"many": many}, arrows=np.ones((9, 3)))
    wait_for(lambda: page.frames and "values" in page.frames[-1], "the first colours")
    assert viewer.legend["high"] == 50.0
    viewer.colour = "few"
    wait_for(lambda: "values" not in page.frames[-1], "no colours yet")
    assert "values" in page.frames[-1]["message"]["gone"]
    assert not viewer.legend["label"].startswith("few")
    viewer.recolour({"few": few})
    wait_for(lambda: "values" in page.frames[-1], "the other colours")
    np.testing.assert_allclose(page.frames[-1]["values"], few)
    assert page.frames[-1]["message"]["domain"] == [0.0, 2.0]
    assert viewer.legend["label"] == "few"
    assert "arrows" in page.frames[-1], "what else is drawn stays"
    viewer.recolour({"few": np.ones(3)})  # an answer about another molecule
    wait_for(lambda: "values" not in page.frames[-1], "no colours of something else")


def test_colours_that_come_while_their_frame_waits_are_not_lost(make):
    viewer, page = make(follow="off")
    viewer.show_live(molecule("CH3CH2OH"), ["few"])
    viewer.colour = "few"
    moved = viewer.atoms.positions.copy()
    for number in range(1, 30):
        moved[0, 0] += 0.1
        viewer.push(moved)
        time.sleep(0.003 * (number % 5))  # the frame waits, is on its way, or has gone
        viewer.recolour({"few": np.full(9, float(number))})
        wait_for(
            lambda number=number: page.frames and page.frames[-1].get("values", [0.0])[0] == number,
            "numbers of this frame",
            5,
        )
        np.testing.assert_allclose(page.positions, moved - moved.mean(axis=0), atol=1e-4)


def test_what_is_sent_again_pushes_no_frame_out(make):
    viewer, page = make(follow="off")
    viewer.show_live(molecule("CH3CH2OH"))
    wait_for(lambda: len(page.frames) > 0, "the first frame")
    moved = viewer.atoms.positions.copy()
    moved[0, 0] += 3.0
    for _ in range(20):
        viewer.push(moved)
        viewer.link([[0, 1]], [1.0])
    wait_for(
        lambda: np.allclose(page.positions, moved - moved.mean(axis=0), atol=1e-4) and "links" in page.frames[-1],
        "the pushed frame with its links",
    )
