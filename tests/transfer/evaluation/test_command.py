"""`python -m transfer.evaluation`: re-scores files without an engine; errors are one line."""

import json
import subprocess
import sys

import pytest

from benchmarks.planning.suite import load_suite
from tests.conftest import ROOT
from tests.transfer.evaluation import scenes
from tests.transfer.evaluation.suites import trained_suites
from transfer.datasets.registry import dataset_names
from transfer.evaluation.__main__ import main, scored_set
from transfer.evaluation.evaluate import evaluate, write_predictions
from transfer.recipes.resolve import load_recipe

SUITES = {
    "voc_c4": "voc", "coco_fpn_1x": "coco", "coco_keypoint": "keypoints", "coco_densepose": "densepose",
    "lvis": "lvis_v0.5", "cityscapes_instance": "cityscapes_instance",
    "cityscapes_semantic": "cityscapes_semantic", "voc_semantic": "voc_semantic",
}  # fmt: skip


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return tmp_path_factory.mktemp("data")


@pytest.mark.parametrize("suite", SUITES)
def test_scores_as_evaluate_does(root, tmp_path, capsys, suite):
    task = SUITES[suite]
    dataset = scenes.load(task, root)
    assert scored_set(suite) == dataset.name
    predictions = scenes.spoil(dataset, scenes.truth(dataset), 2)
    write_predictions(dataset, predictions, tmp_path)
    data = ["--data-root", str(root / task)]
    assert main([suite, str(tmp_path), "--json", *data]) == 0
    printed = json.loads(capsys.readouterr().out)
    for name, values in evaluate(dataset, predictions).summary.items():
        for key, value in values.items():
            assert printed[name][key] == (pytest.approx(value, abs=1e-9) if value == value else None)


def test_per_class_prints_every_class(root, tmp_path, capsys):
    dataset = scenes.load("voc", root)
    write_predictions(dataset, scenes.truth(dataset), tmp_path)
    assert main([dataset.name, str(tmp_path), "--per-class", "--data-root", str(root / "voc")]) == 0
    out = capsys.readouterr().out
    assert "per_class/bbox/AP50/bottle 100.000" in out
    assert "per_class/bbox/AP50/bus nan" in out


def test_help_says_what_it_does_in_a_whole_sentence(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    description = " ".join(capsys.readouterr().out.split("\n\n")[1].split())
    assert description.startswith("Scores prediction files")
    assert description.endswith(".")
    assert description.count("`") % 2 == 0


@pytest.mark.parametrize("suite", trained_suites())
def test_a_suite_is_scored_on_what_its_recipe_tests_on(suite):
    recipe = load_recipe(load_suite(suite).recipe)
    assert [scored_set(suite)] == list(recipe.DATASETS.TEST)
    assert scored_set(suite) in dataset_names()


def test_any_other_name_is_a_data_set():
    assert scored_set("voc_2012_val") == "voc_2012_val"
    assert scored_set("c4_bn") == "c4_bn"  # the base of recipes, which names no data sets


def test_help_reads_no_recipe_and_imports_no_library():
    code = (
        "import sys; from transfer.evaluation.__main__ import main\n"
        "try: main(['--help'])\n"
        "except SystemExit as ended: assert ended.code == 0\n"
        "assert not {'numpy', 'yaml', 'yacs', 'transfer.recipes.resolve'} & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_errors_are_one_line(root, tmp_path, capsys):
    scenes.load("voc", root)
    data = ["--data-root", str(root / "voc")]
    for arguments in (["voc_c4", "nowhere"], ["voc_c5", str(tmp_path)], ["voc_c4", str(tmp_path)]):
        assert main([*arguments, *data]) == 2
        err = capsys.readouterr().err
        assert err.startswith("error: ")
        assert err.count("\n") == 1


RESULTS = {
    "not valid JSON": "[{",
    "got dict": "{}",
    "score is missing": [{"image_id": 1, "category_id": 1}],
    "is not in the annotations": [{"image_id": 1, "category_id": 2000, "score": 1}],
    "is no integer": [{"image_id": "1", "category_id": 1, "score": 1}],
    "expected [x, y, width, height]": [{"image_id": 1, "category_id": 1, "score": 1, "bbox": [1, 2, 3]}],
    "expected a number": [{"image_id": 1, "category_id": 1, "score": "high", "bbox": [1, 2, 3, 4]}],
    "no valid compressed": [
        {"image_id": 1, "category_id": 1, "score": 1, "segmentation": {"size": [9, 9], "counts": "zz"}}
    ],
    "no such image": [{"image_id": 1, "category_id": 1, "score": 1, "bbox": [1, 2, 3, 4]}],
}


@pytest.mark.parametrize("says", RESULTS)
def test_malformed_result_files(root, tmp_path, capsys, says):
    scenes.load("coco", root)
    content = RESULTS[says]
    file = tmp_path / "results.json"
    file.write_text(content if isinstance(content, str) else json.dumps(content))
    assert main(["coco_fpn_1x", str(file), "--data-root", str(root / "coco")]) == 2
    err = capsys.readouterr().err
    assert says in err
    assert err.count("\n") == 1
