"""Installation of moco-transfer (use `pip install -e .`, or `make`, which does it for you)."""

from setuptools import find_packages, setup

# By name: `tests` and run directories must never become importable names of the machine. Nor may `results` or
# `transfer`: all are installed below one name, whose own files are in FRONT.
NAME, FRONT = "moco_transfer", "benchmarks.front"
OURS = ("pretrain", "converters", "transfer", "benchmarks", "results")
FOUND = find_packages(include=[*OURS, *(f"{name}.*" for name in OURS)], exclude=[FRONT])


def below(name: str) -> str:
    """The name under which a package of the checkout is installed."""
    return f"{NAME}.{name}"


setup(
    name="moco-transfer",
    version="0.1.0",
    description="Does this pre-trained backbone transfer better than supervised ImageNet?",
    license="MIT",
    python_requires=">=3.10",
    classifiers=[f"Programming Language :: Python :: 3.{minor}" for minor in range(10, 15)],
    packages=[NAME, *map(below, FOUND)],
    package_dir={NAME: FRONT.replace(".", "/"), **{below(name): name.replace(".", "/") for name in FOUND}},
    entry_points={"console_scripts": [f"moco-transfer = {NAME}.__main__:script"]},
    package_data={
        NAME: ["py.typed"],
        below("transfer.recipes"): ["*.yaml"],
        below("benchmarks"): [
            "suites/*.yaml",
            "suites/smoke/*.yaml",
            "studies/*.yaml",
            "studies/*.txt",
            "studies/suites/*.yaml",
            "studies/suites/frozen/*.yaml",
        ],
        below("benchmarks.demo_kit"): ["*.safetensors", "*.json"],
        below("results"): ["published/*.csv", "report/*.css", "reference/**/*"],
    },
    install_requires=[
        "torch>=2.10",  # older versions have code execution holes in weights_only loading
        "torchvision",  # must come from the same index as torch: its operators are compiled against it
        "numpy",
        "pillow",
        "pandas",
        "orjson",  # 10,000 records in a second
        "pyyaml",
        "yacs",  # Detectron2's configuration class: same merge rules, same literals
        "rich",  # progress bars and terminal tables
        "boltons",  # atomic_save: temporary file, fsync, rename
        "safetensors",
        "matplotlib",
        "scipy",
        "simplejpeg",  # decodes straight to arrays, a little faster than Pillow
        "opencv-python",  # batched colour and blur on the host; lvis needs the same package
        "braceexpand",  # shard names like train-{000..099}.tar
        "pycocotools",
        "lvis",
        "cityscapesscripts",
        "shapely>=2",  # cuts Cityscapes' polygons as Detectron2 does, which trains on what is seen of them
    ],
    extras_require={
        "dev": [
            "hotcoco",
            "submitit",  # its local executor stands in for Slurm in the tests
            "timm",  # the oracle of vision transformers, ConvNeXts and Swins
            "pytest",
            "pytest-xdist",
            "ruff",
            "mypy",
            "types-PyYAML",
            "pandas-stubs",
        ],
        "slurm": ["submitit"],
        "hub": ["timm", "huggingface_hub"],  # --init timm/NAME; hf/NAME needs neither
        "fast": ["hotcoco"],  # COCO metrics, a hundred times faster and equal to the last bit
        "tensorboard": ["tensorboard"],
    },
)
