"""Labels of rows, inits from lists in files, and what is refused with its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.errors import UsageError
from benchmarks.planning.inits import open_inits, slug
from converters.errors import CheckpointError


def test_labels(narrow_backbone: Path) -> None:
    assert open_inits(["random"])[0].label == "random"
    assert open_inits(["scratch=random"])[0].label == "scratch"
    assert open_inits([str(narrow_backbone)])[0].label == "narrow"
    assert open_inits([f"my net={narrow_backbone}"])[0].label == "my net"


def test_files_may_have_an_equals_sign_in_their_name(
    narrow_backbone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As Lightning names them: epoch=9-step=100.ckpt. A file that is there comes before a label."""
    named = tmp_path / "epoch=9-step=1.pkl"
    named.write_bytes(narrow_backbone.read_bytes())
    assert open_inits([str(named)])[0].label == "epoch=9-step=1"
    assert open_inits([f"mine={named}"])[0].label == "mine"
    (tmp_path / "list.txt").write_text(f"{named.name}\nours={named.name}\n")
    monkeypatch.chdir(tmp_path.parent)
    assert [init.label for init in open_inits([f"@{tmp_path / 'list.txt'}"])] == ["epoch=9-step=1", "ours"]
    assert (open_inits(["lr=0.1=random"])[0].label, open_inits(["k=random"])[0].label) == ("lr=0.1", "k")
    with pytest.raises(UsageError, match=r"not a name \(label 'mine', path 'epoch=8.ckpt'\)"):
        open_inits(["mine=epoch=8.ckpt"])


@pytest.mark.parametrize("text", ["mine=", "", "="])
def test_a_label_without_a_path_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="no path behind the label; expected moco=PATH"):
        open_inits([text])


def test_labels_of_every_script_are_folders_of_their_own() -> None:
    slugs = {
        label: slug(label)
        for label in ("моко", "моко 2", "日本語", "e\u0301t\u00e9", "a b", "a/../b", "...", "!")
    }
    assert list(slugs.values()) == [
        "моко",
        "моко_2",
        "日本語",
        "\u00e9t\u00e9",
        "a_b",
        "a_.._b",
        "...",
        "init",
    ]
    assert slug("moco_v1-200.ep") == "moco_v1-200.ep", "folders of before stay where they are"
    assert len(slug("語" * 100).encode()) == 198
    assert len(slug("a" * 300)) == 200


def test_the_row_random_is_that_without_weights(narrow_backbone: Path) -> None:
    """Gaps and reports know it by its name."""
    with pytest.raises(UsageError, match="--init random=.*: the row `random` is that without weights"):
        open_inits([f"random={narrow_backbone}"])[0]
    with pytest.raises(UsageError, match="two rows are called 'random'; leave one of them out"):
        open_inits(["random", "random"])
    assert open_inits([f"supervised={narrow_backbone}"])[0].label == "supervised", "a reference of one's own"


def test_inits_from_a_list(narrow_backbone: Path, tmp_path: Path) -> None:
    (tmp_path / "nets").mkdir()
    (tmp_path / "nets" / "net.pkl").write_bytes(narrow_backbone.read_bytes())
    path = tmp_path / "nets" / "list.txt"
    path.write_text(f"# rows\n\nrandom\nscratch = random  # again\nnet.pkl\n  b#1={narrow_backbone}\n")
    inits = open_inits([f"@{path}", "c=random"])
    assert [init.label for init in inits] == ["random", "scratch", "net", "b#1", "c"]
    assert [init.backbone is None for init in inits] == [True, True, False, False, True]


def test_mistakes_in_a_list_name_file_and_line(tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    (tmp_path / "broken.pth").write_bytes(b"")
    for text, message, kind in [
        (
            "random\n\nrandon",
            r"list.txt:3: --init .*randon: no such file, and not a name; did you mean random",
            UsageError,
        ),
        ("broken.pth", r"list.txt:1: .*broken.pth: .*empty", CheckpointError),
        ("# nothing\n", "no init; expected one a line", UsageError),
        ("random\na=random\nrandom", "two rows are called 'random'", UsageError),
    ]:
        path.write_text(text)
        with pytest.raises(kind, match=message):
            open_inits([f"@{path}"])
    with pytest.raises(UsageError, match=r"absent.txt: cannot be read \(No such file"):
        open_inits([f"@{tmp_path}/absent.txt"])
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError, match="no UTF-8 text"):
        open_inits([f"@{path}"])
