"""The engine page holds the generated list and the figures that the code gives."""

from pathlib import Path

from dssn_models.crypto.published import published
from dssn_models.engines.fitting import predict_psi, predict_sgb
from dssn_models.engines.overview import markdown

PAGE = Path(__file__).parents[2] / "docs" / "models" / "engines.md"


def test_the_list_of_engines_is_current():
    text = PAGE.read_text(encoding="utf-8")
    for line in markdown().splitlines():
        assert line in text


def test_the_predictions_on_the_page_are_those_of_the_code():
    text = PAGE.read_text(encoding="utf-8")
    rows = [r for r in published("psi_secretflow_v2") if r["network"] != "LAN"]
    predictions = [*predict_psi(rows), *predict_sgb(published("sgb_secretflow"), growth={"creditcard": 0.55})]
    assert len(predictions) == 11
    for p in predictions:
        cells = f"| {p.seconds:.0f} | {p.predicted_s:.1f} | {100 * p.error:+.1f} % |"
        assert cells in text, cells
