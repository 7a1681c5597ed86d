"""The form gives what its fields say, or the objects that it was made with as long as they say nothing else."""

import pytest
from ase.build import molecule
from ase.io import write
from so3lab_widgets.panels.panel import close_all
from so3lab_widgets.panels.run_form import RunForm

import so3lab
from so3lab.dynamics import ENSEMBLES
from so3lab.structures import total_charge


@pytest.fixture
def form():
    made = RunForm(so3lab.load("ethanol"), molecule("CH3CH2OH"), "langevin", 1)
    yield made
    close_all(made)


def test_objects_are_given_out_as_copies_until_a_field_names_something_else(form):
    model, structure = form.load()
    assert model is form.load()[0]
    structure.positions += 1.0
    assert form.load()[1] != structure, "whoever changes it changes a copy"
    assert form.values[1] == "C2H6O"
    form.structure.value = "smiles:O"
    assert form.load()[1].get_chemical_formula() == "H2O"
    form.structure.value = "C2H6O"
    assert len(form.load()[1]) == 9, "its own name means the object again"


def test_names_are_trimmed_and_empty_fields_refused(form):
    form.structure.value = "  smiles:CCO "
    assert len(form.load()[1]) == 9
    form.structure.value = "CC#N"
    assert form.load()[1].get_chemical_formula() == "C2H3N"
    assert form.notes[-1] == "CC#N was read as a SMILES"
    form.structure.value = "nowhere"
    with pytest.raises(FileNotFoundError, match="got 'nowhere'"):
        form.load()
    form.structure.value = "   "
    with pytest.raises(ValueError, match="the molecule must be a bundled name"):
        form.load()


def test_a_charge_takes_the_place_of_what_the_molecule_says(form):
    form.structure.value = "smiles:CC(=O)[O-]"
    assert total_charge(form.load()[1]) == -1
    form.charge.value = "1"
    assert total_charge(form.load()[1]) == 1
    assert form.values[-1] == "1"
    for typed in ("one", "nan", "-inf"):
        form.charge.value = typed
        with pytest.raises(
            ValueError, match=f"charge must be a number of elementary charges such as -1, got '{typed}'"
        ):
            form.load()


def test_what_was_decided_in_reading_is_kept(form, tmp_path):
    write(tmp_path / "two.xyz", [molecule("H2O"), molecule("NH3")])
    form.structure.value = str(tmp_path / "two.xyz")
    form.load()
    assert form.notes == ("the last of 2 frames",)
    assert form.about == "H3N, read as extended XYZ; the last of 2 frames"
    assert form.told.sentence == ""
    form.tell()
    assert (form.told.sentence, form.told.layout.display) == (form.about, "")
    form.structure.value = "smiles:CC(=O)[O-]"
    assert (form.told.sentence, form.told.layout.display) == ("", "none")  # until it is read
    form.load()
    assert form.about == "C2H3O2, read as SMILES, total charge -1 e (charge)"
    form.structure.value = "smiles:O"
    form.load()
    assert (form.notes, form.about) == ((), "")


@pytest.mark.parametrize(
    ("ensemble", "replicas", "sentence"),
    [("nvt", 1, "ensemble must be one of"), ("nve", 0, "replicas must be 1 to 4, got 0")],
)
def test_what_cannot_be_chosen_is_refused(ensemble, replicas, sentence):
    with pytest.raises(ValueError, match=sentence):
        RunForm("ethanol", "ethanol", ensemble, replicas)


def test_ensembles_are_chosen_by_their_usual_names(form):
    assert ("NVT Bussi", "csvr") in form.ensemble.options
    assert len({words for words, _ in form.ensemble.options}) == len(ENSEMBLES)
    form.ensemble.label = "NVE"
    assert form.values[2] == "nve"
