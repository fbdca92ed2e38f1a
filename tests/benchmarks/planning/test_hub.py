"""Weights of the hub: fetched once with commit and hash, proven; or one line, and nothing left behind."""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save

from benchmarks.errors import UsageError
from benchmarks.launch.job_file import write_job
from benchmarks.planning import download
from benchmarks.planning.cells import make_cells
from benchmarks.planning.inits import open_inits
from benchmarks.planning.request import Request
from benchmarks.planning.suite import load_suite
from benchmarks.run import main
from converters.errors import CheckpointError
from tests.benchmarks.planning.fake_hub import NEW, OLD, TOKEN, FakeHub, served

NET = "hf/owner/net"


pytestmark = pytest.mark.usefixtures("hub_cache")


def test_weights_come_once_with_commit_hash_and_pixels(
    hub: FakeHub, raw_weights: bytes, hub_cache: Path
) -> None:
    (init,) = open_inits([NET])
    assert init.label == "net"
    assert init.backbone is not None
    manifest = init.backbone.manifest
    assert (manifest["hub_repository"], manifest["hub_revision"]) == ("owner/net", OLD)
    assert (manifest["hub_file"], manifest["source_file"]) == ("model.safetensors", "model.safetensors")
    assert manifest["source_sha256"] == hashlib.sha256(raw_weights).hexdigest()
    assert manifest["pixel_mean"] == manifest["pixel_std"] == [127.5] * 3
    assert "pixels as config.json says, instead of RGB [123.675, 116.28, 103.53]" in manifest["notes"][-1]
    asked = len(hub.asked)
    hub.commits["main"] = NEW  # a name goes on meaning what it meant
    (again,) = open_inits([f"row={NET}"])
    assert again.label == "row"
    assert again.backbone is not None
    assert again.backbone.manifest == manifest
    assert len(hub.asked) == asked
    (newer,) = open_inits([f"{NET}@v2"])
    assert newer.backbone is not None
    assert newer.backbone.manifest["hub_revision"] == NEW
    assert not [path for path in hub_cache.rglob("*") if path.name.endswith(".part")]


def test_commit_and_hash_stand_in_the_record(hub: FakeHub, request_of: Request) -> None:
    cell = make_cells(load_suite("voc_c4"), open_inits([NET]), request_of)[0]
    job = json.loads(write_job(cell, request_of, "cpu").path.read_text())
    assert job["record"]["init_manifest"]["hub_revision"] == OLD
    assert len(job["record"]["init_manifest"]["source_sha256"]) == 64


def test_a_file_of_a_revision(hub: FakeHub, raw_weights: bytes) -> None:
    hub.files = {"old/a.pth": b"x", "old/b.safetensors": raw_weights}
    (init,) = open_inits([f"b={NET}@{NEW}:old/b.safetensors"])
    assert init.backbone is not None
    assert init.backbone.manifest["hub_file"] == "old/b.safetensors"
    assert init.backbone.manifest["hub_revision"] == NEW
    assert init.backbone.manifest["pixel_mean"][0] == 123.675, "nothing says otherwise"


def test_the_token_is_shown_to_the_hub_alone(hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    with served(FakeHub()) as other:
        other.files, hub.elsewhere = hub.files, other.address
        open_inits([NET])
        assert set(other.tokens) == {None}
        assert len(other.asked) == 2
    assert set(hub.tokens) == {f"Bearer {TOKEN}"}


def test_a_redirect_within_the_hub_keeps_the_token(hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    hub.elsewhere = hub.address
    open_inits([NET])
    assert any(path.startswith("/cdn/") for path in hub.asked)
    assert set(hub.tokens) == {f"Bearer {TOKEN}"}


BAD = {
    "gated": "is gated .403.; accept its terms on its page, make a token that may read it, and set HF_TOKEN$",
    "secret": "is not there, or gated, or private .401.; accept its terms .* set HF_TOKEN$",
    "busy": "was not fetched .Too Many Requests.; download model.safetensors of owner/net where",
    "no table": "was not fetched .Expecting value",
    "stalls": "was not fetched .timed out.",
    "breaks off": r"was not fetched .\d+ of \d+ bytes came.",
    "too short": r"was not fetched .\d+ of \d+ bytes came.",
    "too long": "was not fetched .its SHA-256 is [0-9a-f]{16}..., expected",
    "other bytes": "was not fetched .its SHA-256 is [0-9a-f]{16}..., expected",
}


@pytest.mark.parametrize("bad", BAD)
def test_a_bad_server_is_one_line_and_leaves_nothing(
    bad: str,
    hub: FakeHub,
    hub_cache: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(download, "TIMEOUT_S", 0.5)
    hub.bad, hub.sizes = bad, None  # as of a mirror that publishes none
    output = hub_cache.parent / "runs"
    options = ["--suite", "voc_c4", "--engine", "torchvision", "--output", str(output), "--init", NET]
    assert main(options) == 2
    said = capsys.readouterr().err
    (line,) = [line for line in said.splitlines() if line.startswith("error: ")]
    assert "Traceback" not in said
    with pytest.raises(UsageError, match=BAD[bad]):
        raise UsageError(line)
    assert NET in line
    assert [path for path in hub_cache.rglob("*") if path.is_file()] == []
    assert not output.exists()


def test_a_token_that_is_none(hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "old")
    hub.bad = "unknown token"
    with pytest.raises(UsageError, match="is not there, or HF_TOKEN is not a token for it .401."):
        open_inits([NET])
    hub.bad = "gated"
    with pytest.raises(UsageError, match="set HF_TOKEN .the one that is set may not.$"):
        open_inits([NET])


def test_a_malformed_token_is_not_printed(hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret\nx")
    with pytest.raises(UsageError, match="HF_TOKEN holds what no token does") as refused:
        open_inits([NET])
    assert "secret" not in str(refused.value)


def test_what_is_not_there_is_named_with_what_is(hub: FakeHub) -> None:
    hub.files |= {"a.pth": b"", "weights/b.bin": b"", "README.md": b""}
    with pytest.raises(UsageError, match="has no file c.pth at main; it has model.safetensors, a.pth, weigh"):
        open_inits([f"{NET}:c.pth"])
    with pytest.raises(UsageError, match="owner/net has no revision v9 .404."):
        open_inits([f"{NET}@v9"])
    with pytest.raises(UsageError, match="owner/nett is not there .404.; compare the name with its page"):
        open_inits(["hf/owner/nett"])
    del hub.files["model.safetensors"]
    with pytest.raises(UsageError, match="which file. it has a.pth, weights/b.bin; say it, as in hf/owner/"):
        open_inits([NET])
    hub.files = {"model.safetensors.index.json": b"", "model-1-of-2.safetensors": b"", "x.bin": b""}
    with pytest.raises(UsageError, match="in several files; join them, and give that file"):
        open_inits([NET])


def test_without_a_published_hash_the_content_proves_itself(hub: FakeHub) -> None:
    hub.bad = "no hashes"
    assert open_inits([NET])[0].backbone is not None
    hub.files["model.safetensors"] = b"<!doctype html>"
    with pytest.raises(UsageError, match="was not fetched .what came: a web page .HTML."):
        open_inits([f"{NET}@v2"])


def test_a_file_that_is_no_backbone_says_whose(hub: FakeHub) -> None:
    hub.files["model.safetensors"] = save({"head.weight": np.zeros((3, 3), np.float32)})
    with pytest.raises(CheckpointError, match=f"--init {NET}: .*no convolutions"):
        open_inits([NET])


def test_a_damaged_file_of_the_cache_is_not_used(hub: FakeHub, hub_cache: Path) -> None:
    open_inits([NET])
    (file,) = hub_cache.rglob("model.safetensors/model.safetensors")
    file.write_bytes(b"something else")
    with pytest.raises(UsageError, match="is damaged .its SHA-256 is not .* the next call gets it again"):
        open_inits([NET])
    file.unlink()
    assert open_inits([NET])[0].backbone is not None


def test_offline_and_without_an_endpoint(hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    open_inits([NET])
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert open_inits([NET])[0].backbone is not None, "the cache asks nobody"
    with pytest.raises(UsageError, match="@v2: not in the cache, and HF_HUB_OFFLINE is set; download model"):
        open_inits([f"{NET}@v2"])
    monkeypatch.delenv("HF_HUB_OFFLINE")
    monkeypatch.setenv("HF_ENDPOINT", "mirror.example")
    with pytest.raises(UsageError, match="HF_ENDPOINT is 'mirror.example'; expected an address that begins"):
        open_inits([f"{NET}@v2"])
    monkeypatch.delenv("HF_ENDPOINT")
    monkeypatch.setitem(sys.modules, "huggingface_hub.constants", None)
    with pytest.raises(UsageError, match="pip install huggingface_hub, or set HF_ENDPOINT"):
        open_inits([f"{NET}@v2"])


def test_no_network(raw_weights: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    with served(FakeHub()) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.address)
    with pytest.raises(UsageError, match="was not fetched .*refused.*download model.safetensors of owner/"):
        open_inits([NET])


def test_a_dry_run_fetches_nothing(hub: FakeHub, hub_cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--suite", "voc_c4", "--engine", "torchvision", "--dry-run", "--init", NET, "random@net"]
    assert main(options) == 0
    assert f"a run fetches {NET} first" in capsys.readouterr().out
    assert hub.asked == []
    assert not hub_cache.exists()


@pytest.mark.parametrize(
    "name",
    ["hf/net", "hf/o/net:", "hf/o/net@", "hf/a/b/c", "hf/o/..:x", "hf/o/n:../x", "timm/", "hf/"],
)
def test_a_name_that_is_written_badly(name: str) -> None:
    with pytest.raises(UsageError, match="not written as a name of the hub; expected (timm/NAME|hf/OWNER)"):
        open_inits([f"a={name}"])


def test_code_of_a_hub_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="an entry of torch.hub is code of its repository, which is not run"):
        open_inits(["torchhub/facebookresearch/dino:main:dino_resnet50"])


def test_a_file_of_that_path_comes_first(
    narrow_backbone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "hf/owner").mkdir(parents=True)
    (tmp_path / "hf/owner/net.pkl").write_bytes(narrow_backbone.read_bytes())
    (tmp_path / "list.txt").write_text("hf/owner/net.pkl\n")
    monkeypatch.chdir(tmp_path)
    assert open_inits(["hf/owner/net.pkl"])[0].backbone is not None
    monkeypatch.chdir(tmp_path.parent)
    assert open_inits([f"@{tmp_path}/list.txt"])[0].backbone is not None


def test_the_forms_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    from converters.__main__ import main as convert

    assert main(["--list"]) == 0
    assert "timm/NAME, hf/OWNER/NAME[@REVISION][:FILE]" in capsys.readouterr().out
    assert convert(["--list"]) == 0
    assert "timm/NAME, hf/OWNER/NAME[@REVISION][:FILE]" in capsys.readouterr().out
