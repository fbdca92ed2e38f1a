"""Body surfaces: generated and published files give the same distances; a pickle that calls is refused."""

import os
import pickle

import numpy as np
import pytest
from scipy import io

from transfer.datasets.coco.densepose import URL
from transfer.datasets.synthetic.mesh import make_mesh, write_mesh_folder
from transfer.errors import DataError
from transfer.evaluation.densepose.geodesics import load_surface
from transfer.evaluation.densepose.similarity import enlarge


def write_published(folder, mesh, distances=None):
    """The three files of DensePose, in their layout, for a small mesh."""
    folder.mkdir(parents=True)
    points = {
        "U_subdiv": mesh["u"][:, None],
        "V_subdiv": mesh["v"][:, None],
        "Part_ID_subdiv": mesh["part"][:, None],
    }
    io.savemat(folder / "SMPL_subdiv.mat", points)
    io.savemat(folder / "SMPL_SUBDIV_TRANSFORM.mat", {"index": mesh["vertex"][:, None]})
    table = mesh["distances"][:, None] if distances is None else distances
    (folder / "Pdist_matrix.pkl").write_bytes(pickle.dumps({"Pdist_matrix": table}, protocol=2))


def test_published_files_are_read_as_the_generated_one(tmp_path):
    write_mesh_folder(tmp_path / "a" / "densepose")
    write_published(tmp_path / "b" / "densepose", make_mesh())
    ours, theirs = load_surface(tmp_path / "a"), load_surface(tmp_path / "b")
    rng = np.random.RandomState(0)
    a, b = rng.randint(0, 480, (2, 500))
    assert np.array_equal(ours.between(a, b), theirs.between(a, b))
    patch, u, v = rng.randint(0, 25, 500), rng.rand(500), rng.rand(500)
    assert np.array_equal(ours.nearest(patch, u, v), theirs.nearest(patch, u, v))


def test_distances_against_a_full_matrix(tmp_path):
    write_mesh_folder(tmp_path / "densepose")
    surface, mesh = load_surface(tmp_path), make_mesh()
    full = np.zeros((480, 480), np.float32)
    full[np.tril_indices(480, -1)] = mesh["distances"]
    full += full.T
    a, b = np.meshgrid(np.arange(480), np.arange(480))
    assert np.array_equal(surface.between(a.ravel(), b.ravel()), full[a.ravel(), b.ravel()])
    assert surface.between(np.array([3]), np.array([-1])) == np.inf


class Evil:
    def __reduce__(self):
        return os.mkdir, ("made-by-a-pickle",)


def test_a_pickle_that_names_a_function_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_published(tmp_path / "densepose", make_mesh(), Evil())
    with pytest.raises(DataError, match="mkdir"):
        load_surface(tmp_path)
    assert not (tmp_path / "made-by-a-pickle").exists()


def test_missing_files_say_where_to_get_them(tmp_path):
    with pytest.raises(DataError) as caught:
        load_surface(tmp_path)
    assert URL in str(caught.value)
    assert "Pdist_matrix.pkl" in str(caught.value)


def test_enlarging_is_that_of_scipy_to_the_last_bit():
    zoom = pytest.importorskip("scipy.ndimage").zoom
    rng = np.random.RandomState(1)
    image = (rng.rand(256, 256) > 0.5).astype(float)
    scales = [(h / 256, w / 256) for h, w in rng.randint(1, 400, (40, 2))]
    halves = 0
    for scale in [*scales, (45 / 256, 21 / 256), (1.0, 1.0)]:
        ours = enlarge(image, *scale)
        assert np.array_equal(ours, zoom(image, scale, order=1, prefilter=False)), scale
        halves += (ours == 0.5).sum()
    assert halves > 100  # where the last bit decides
