"""`make demo`: the whole mission in miniature, on generated images and two CPU cores.

Each step is a command that a user can type; it is printed before it runs. A second call reuses what is there.
"""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path

from benchmarks import child

ROOT = Path(__file__).resolve().parents[1]
OUTPUT = Path("runs") / "demo"
DATA = OUTPUT / "synthetic"
# VOC2012 has no test split, so pre-training sees no test image.
PRETRAIN = f"""-m pretrain --data {DATA}/VOC2012/JPEGImages --output {OUTPUT}/pretrain --arch resnet50
    --mlp --aug-plus --cos --moco-k 512 --moco-t 0.2 --moco-m 0.99 --image-size 64 --batch-size 32
    --max-iters 90 --lr 0.03 --seed 0"""
CONVERT = f"-m converters {OUTPUT}/pretrain/checkpoint_last.pth.tar {OUTPUT}/moco_demo.pkl"
BENCHMARK = f"""benchmarks/run.py --suite voc_c4 --init random 'moco (demo)={OUTPUT}/moco_demo.pkl' --smoke
    --data synthetic --data-root {DATA} --output {OUTPUT}"""


def main() -> int:
    """Exit code of the first step that fails, 0 if none does."""
    (ROOT / OUTPUT).mkdir(parents=True, exist_ok=True)
    _make_images()
    for number, (what, command) in enumerate(
        [
            ("pre-train a ResNet-50 with MoCo v2 on unlabelled images", PRETRAIN),
            ("convert the checkpoint to a Detectron2 backbone", CONVERT),
            ("fine-tune and evaluate: Faster R-CNN R50-C4, random against MoCo", BENCHMARK),
        ],
        start=1,
    ):
        words = shlex.split(command)
        print(f"\n[{number}/3] {what}\n$ python {shlex.join(words)}", flush=True)
        code = child.run([sys.executable, *words], cwd=ROOT, env=_environment())
        if code:
            return code
    pictures = sorted((ROOT / OUTPUT).glob("cells/voc_c4/*/samples.png"))
    print("pictures:", *(path.relative_to(ROOT) for path in pictures))
    return 0


def _make_images() -> None:
    from transfer.config import load_recipe
    from transfer.datasets.synthetic import make_synthetic

    datasets = load_recipe("voc_c4").DATASETS
    make_synthetic([*datasets.TRAIN, *datasets.TEST], ROOT / DATA)


def _environment() -> dict[str, str]:
    """Warnings of the libraries about themselves would bury what a newcomer should see."""
    return {**os.environ, "PYTHONWARNINGS": "ignore"}


if __name__ == "__main__":
    sys.exit(main())
