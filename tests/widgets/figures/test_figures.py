"""Figures are functions of tables: they name units, mark what matters and refuse tables they cannot draw."""

import numpy as np
import pandas as pd
import pytest
from so3lab_widgets import figures, theme


@pytest.fixture
def epochs() -> pd.DataFrame:
    epoch = np.arange(1, 21)
    return pd.DataFrame(
        {
            "epoch": epoch,
            "seconds": 1.5 * epoch,
            "train_loss": 10.0 / epoch,
            "valid_energy_mae_meV": 90.0 / epoch,
            "valid_force_mae_meV_A": 200.0 / epoch + 0.5 * (epoch == 20) * 200,
            "learning_rate": np.linspace(1e-3, 1e-5, 20),
        }
    )


@pytest.fixture
def components() -> pd.DataFrame:
    reference = np.random.default_rng(0).normal(size=6000)
    elements = np.tile(["H", "C", "O"], 2000)
    predicted = reference + np.where(elements == "H", 0.01, -0.03)
    return pd.DataFrame({"element": elements, "reference": reference, "predicted": predicted})


@pytest.fixture
def run() -> pd.DataFrame:
    time = np.arange(100.0)
    temperature = 300 + 10 * np.sin(time)
    return pd.DataFrame({"time_fs": time, "temperature": temperature, "total_energy": -5.0 + 1e-3 * time})


@pytest.fixture
def weights() -> pd.DataFrame:
    rows = [
        (layer, head, i, j, (i - j) * 0.1)
        for layer in range(2)
        for head in range(3)
        for i in range(4)
        for j in range(4)
        if i != j
    ]
    return pd.DataFrame(rows, columns=["layer", "head_or_degree", "receiver", "sender", "weight"])


def axis_titles(figure) -> list[str]:
    layout = figure.to_plotly_json()["layout"]
    return [axis["title"]["text"] for name, axis in layout.items() if "axis" in name and "title" in axis]


def test_learning_curves_mark_the_best_epoch_not_the_last(epochs):
    figure = figures.learning_curves(epochs)
    star = next(trace for trace in figure.data if trace.name == "best")
    assert star.x[0] == 19
    assert "epoch 19" in figure.layout.title.subtitle.text
    assert {"force MAE (meV/Å)", "energy MAE (meV)", "epoch"} <= set(axis_titles(figure))
    assert figure.layout.yaxis.type == "log"
    assert "kcal/mol/Å" in figure.data[0].hovertemplate


def test_learning_curves_survive_a_run_without_validation(epochs):
    epochs[["valid_energy_mae_meV", "valid_force_mae_meV_A"]] = np.nan
    assert figures.learning_curves(epochs).data


def test_parity_states_the_errors_of_the_table(components):
    subtitle = figures.parity(components, "force").layout.title.subtitle.text
    assert "MAE 23.3 meV/Å = 0.538 kcal/mol/Å" in subtitle
    assert "6,000 values" in subtitle


def test_parity_of_many_points_keeps_every_point(components):
    heat = figures.parity(components, "force").data[0]
    assert heat.type == "heatmap"
    assert heat.customdata.sum() == len(components)


def test_parity_of_few_points_colours_elements(components):
    names = [trace.name for trace in figures.parity(components.head(90), "force").data if trace.type == "scatter"]
    assert names[:3] == ["C", "H", "O"]


def test_parity_of_energies_is_relative_and_picks_its_rows(components):
    energies = pd.DataFrame({"kind": "energy", "reference": [-4000.0, -4001.0], "predicted": [-4000.1, -4001.0]})
    both = pd.concat([energies, components.assign(kind="force")])
    figure = figures.parity(both, "energy")
    assert "2 values" in figure.layout.title.subtitle.text
    np.testing.assert_allclose(figure.data[0].x, [0.5, -0.5])


def test_force_error_is_grouped_by_element(components):
    bars = figures.force_error_by_element(components).data[0]
    np.testing.assert_allclose(bars.y, [30, 10, 30], rtol=1e-6)
    assert list(bars.x) == ["C", "H", "O"]


def test_time_series_is_in_picoseconds_with_units(run):
    figure = figures.time_series(run, "temperature", "total_energy", levels={"temperature": 300.0})
    assert figure.data[0].x[-1] == pytest.approx(0.099)
    assert {"temperature (K)", "total energy (eV)", "time (ps)"} == set(axis_titles(figure)) - {""}
    assert figure.layout.shapes[0].y0 == 300.0


def test_total_energy_reports_the_drift(run):
    subtitle = figures.total_energy(run).layout.title.subtitle.text
    assert "drift +1e+03 meV/ps" in subtitle


def test_pair_distance_histogram_draws_both(run):
    table = pd.DataFrame({"r": [1.0, 2.0], "reference": [0.5, 0.5], "simulated": [0.4, 0.6]})
    figure = figures.pair_distance_histogram(table)
    assert [trace.name for trace in figure.data] == ["reference", "simulated"]
    assert axis_titles(figure) == ["interatomic distance r (Å)", "h(r) (1/Å)"]


def test_attention_is_signed_and_placed_by_receiver_and_sender(weights):
    figure = figures.attention_matrix(weights, ["C0", "C1", "O2", "H3"])
    assert len(figure.data) == 6
    assert figure.layout.coloraxis.cmin == -figure.layout.coloraxis.cmax
    block = np.asarray(figure.data[0].z)
    assert block[3, 0] == pytest.approx(0.3)
    assert np.isnan(np.diag(block)).all()


@pytest.mark.parametrize("kind", ["", "heads"])
def test_attention_refuses_unknown_kinds(weights, kind):
    with pytest.raises(ValueError, match="'head' or 'degree'"):
        figures.attention_matrix(weights, kind=kind)


def test_attention_refuses_too_few_labels(weights):
    with pytest.raises(ValueError, match="names 2 atoms, the table has 4"):
        figures.attention_matrix(weights, ["C", "O"])


def test_missing_columns_are_named(run):
    with pytest.raises(ValueError, match="no column 'pressure'; it has time_fs, temperature, total_energy"):
        figures.time_series(run, "pressure")
    with pytest.raises(ValueError, match="nothing to draw"):
        figures.time_series(run)
    with pytest.raises(ValueError, match="empty"):
        figures.total_energy(run.iloc[:0])
    with pytest.raises(ValueError, match="'energy' or 'force'"):
        figures.parity(run, "stress")


def test_every_figure_reads_on_light_and_dark(epochs, run):
    for figure in (figures.learning_curves(epochs), figures.total_energy(run)):
        assert figure.layout.template.layout.paper_bgcolor == "rgba(0,0,0,0)"
        assert figure.layout.template.layout.font.color == theme.INK
        assert figure.layout.width is None


def test_logarithmic_ticks_are_plain_numbers():
    ticks = theme.log_ticks(pd.Series([0.0, 0.3, 40.0]))
    assert ticks["ticktext"][:4] == ["0.1", "0.2", "0.5", "1"]
    assert theme.log_ticks(pd.Series([0.0])) == {"type": "log"}


def test_an_axis_of_nearly_equal_values_is_not_left_without_ticks():
    assert theme.log_ticks(pd.Series([2060.3, 2064.9])) == {"type": "log"}


def test_labels_carry_units():
    assert theme.label("temperature") == "temperature (K)"
    assert theme.label("force_mae_meV_A") == "force mae (meV/Å)"
    assert theme.label("frame") == "frame"


def test_energy_terms_are_drawn_relative_to_the_first_structure():
    rows = [{"learned": -40.0, "repulsion": 2.0}, {"learned": -40.3, "repulsion": 2.1}]
    figure = figures.energy_terms(pd.DataFrame(rows, index=["start", "relaxed"]))
    (bars,) = figure.data
    assert list(bars.x) == ["learned", "repulsion", "total"]
    np.testing.assert_allclose(bars.y, [-0.3, 0.1, -0.2])
    assert "from start to relaxed: -0.200 eV = -4.6 kcal/mol" in figure.layout.title.subtitle.text
    assert axis_titles(figure) == ["change of energy (eV)"]


def test_energy_terms_of_many_structures_are_told_apart():
    rows = pd.DataFrame({"learned": [0.0, 1.0, 2.0]}, index=["a", "b", "c"])
    figure = figures.energy_terms(rows)
    assert [bars.name for bars in figure.data] == ["b", "c"]
    assert figure.data[0].marker.color != figure.data[1].marker.color
    with pytest.raises(ValueError, match="needs two structures, it has one"):
        figures.energy_terms(rows.head(1))


def test_energy_terms_that_do_not_change_are_drawn_too():
    assert figures.energy_terms(pd.DataFrame({"learned": [1.0, 1.0]})).layout.yaxis.range == (-1.0, 1.0)


def test_partial_charges_stay_in_the_order_of_the_atoms():
    table = pd.DataFrame({"element": ["O", "H", "O", "H"], "partial_charge": [-0.4, 0.2, -0.201, 0.4]})
    figure = figures.partial_charges(table)
    assert [bars.name for bars in figure.data] == ["O", "H"]
    assert list(figure.layout.xaxis.categoryarray) == ["O0", "H1", "O2", "H3"]
    np.testing.assert_allclose(figure.data[0].y, [-0.4, -0.201])
    assert figure.layout.title.subtitle.text == "they sum to 0 e"
    assert axis_titles(figure) == ["atom", "partial charge (e)"]


def test_electrostatics_modes_are_curves_against_the_cutoff():
    table = pd.DataFrame(
        {
            "mode": ["wolf", "compat", "compat"],
            "cutoff_A": [12.0, 12.0, 6.0],
            "largest_force_error_eV_A": [0.0, 0.55, 1.1],
            "force_rms_error_eV_A": [0.0, 0.2, 0.4],
        }
    )
    figure = figures.electrostatics_modes(table)
    compat = next(trace for trace in figure.data if trace.name.startswith("compat"))
    assert list(compat.x) == [6.0, 12.0]
    assert list(compat.y) == [1.1, 0.55]
    assert axis_titles(figure) == ["long-range cutoff (Å)", "largest force error (eV/Å)"]
    assert figure.layout.yaxis.type is None
    with pytest.raises(ValueError, match="mode must be one of compat, wolf, the table has exact"):
        figures.electrostatics_modes(table.assign(mode="exact"))
