"""Faults of image files: rule -> variants (stops the run?, what spoils the file)."""

import os

from PIL import Image

SIZE = (100, 80)


def save(mode="RGB", size=SIZE, kind="JPEG", **options):
    return lambda path: Image.new(mode, size).save(path, format=kind, **options)


def raw(content):
    return lambda path: path.write_bytes(content)


def cut(share):
    def spoil(path):
        noise = Image.effect_noise(SIZE, 60).convert("RGB")
        noise.save(path, format="JPEG")
        data = path.read_bytes()
        path.write_bytes(data[: int(len(data) * share)])

    return spoil


def loop(path):
    path.unlink()
    os.symlink(path, path)


def turned(path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", SIZE).save(path, format="JPEG", exif=exif)


def animated(path):
    frames = [Image.new("RGB", SIZE, (i, 0, 0)) for i in range(3)]
    frames[0].save(path, format="PNG", save_all=True, append_images=frames[1:])


FILE_FAULTS = {
    "bad-image": [(True, raw(b"")), (True, raw(b"not an image")), (True, raw(b"<html></html>")),
            (True, cut(0.5)),
                  (True, cut(0.9)), (True, cut(0.02)), (True, loop),
                  (True, raw(b"\xff\xd8\xff\xe0 and nothing"))],
    "wrong-size": [(True, save(size=(80, 100))), (True, save(size=(99, 80))), (True, save(size=(200, 160)))],
    "not-rgb": [(False, save("L")), (False, save("CMYK")), (False, save("P", kind="PNG")),
            (False, save("I;16", kind="PNG")),
                (False, save("RGBA", kind="PNG")), (False, save("1", kind="PNG")),
                (False, save("LA", kind="PNG"))],
    "exif-rotation": [(False, turned)],
    "animated": [(False, animated)],
}  # fmt: skip
