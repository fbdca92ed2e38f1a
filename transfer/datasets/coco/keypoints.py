"""COCO's person keypoints: names in file order, left-right pairs, and the OKS constants (sigma over object
scale).
"""

# fmt: off
NAMES = (
    "nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder", "right_shoulder",
    "left_elbow", "right_elbow", "left_wrist", "right_wrist", "left_hip", "right_hip", "left_knee",
    "right_knee", "left_ankle", "right_ankle",
)
SIGMAS = (
    0.026, 0.025, 0.025, 0.035, 0.035, 0.079, 0.079, 0.072, 0.072, 0.062, 0.062, 0.107, 0.107, 0.087, 0.087,
    0.089, 0.089,
)
# fmt: on
FLIP_MAP = tuple((n, n.replace("left_", "right_")) for n in NAMES if n.startswith("left_"))
