"""Faults of image files: rule -> variants (stops the run?, what spoils the file)."""

import os
import struct
import zlib

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


def upright(path):
    """Lies on its side in the file, and EXIF sets it right: what a telephone writes."""
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", SIZE[::-1]).save(path, format="JPEG", exif=exif)


def colour_of_16_bits(path):
    """Pillow writes none: 16-bit RGB, one filtered row after the other."""
    width, height = SIZE
    rows = (b"\0" + b"\x12\x34" * 3 * width) * height
    header = struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)
    parts = [(b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    chunks = [struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in parts]
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunks))


def bomb(path):
    """A header that promises 3.6 gigapixels."""
    header = struct.pack(">IIBBBBB", 60000, 60000, 8, 2, 0, 0, 0)
    chunk = b"IHDR" + header
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk))
        + struct.pack(">I", 0) + b"IDAT" + struct.pack(">I", zlib.crc32(b"IDAT"))
    )  # fmt: skip


def clear_palette(path):
    """A palette of which one colour is transparent."""
    image = Image.new("P", SIZE)
    image.save(path, format="PNG", transparency=0)


def animated(path):
    frames = [Image.new("RGB", SIZE, (i, 0, 0)) for i in range(3)]
    frames[0].save(path, format="PNG", save_all=True, append_images=frames[1:])


FILE_FAULTS = {
    "bad-image": [(True, raw(b"")), (True, raw(b"not an image")), (True, raw(b"<html></html>")),
            (True, cut(0.5)),
                  (True, cut(0.9)), (True, cut(0.02)), (True, loop),
                  (True, raw(b"\xff\xd8\xff\xe0 and nothing")), (True, bomb)],
    "deep-image": [(True, save("I;16", kind="PNG")), (True, save("I;16", kind="TIFF")),
                   (True, save("I;16B", kind="TIFF")), (True, save("I", kind="TIFF")),
                   (True, save("F", kind="TIFF")), (True, colour_of_16_bits)],
    "wrong-size": [(True, save(size=(80, 100))), (True, save(size=(99, 80))), (True, save(size=(200, 160))),
                   (True, turned)],
    "not-rgb": [(False, save("L")), (False, save("CMYK")), (False, save("P", kind="PNG")),
            (False, clear_palette),
                (False, save("RGBA", kind="PNG")), (False, save("1", kind="PNG")),
                (False, save("LA", kind="PNG"))],
    "exif-rotation": [(False, upright)],
    "animated": [(False, animated)],
}  # fmt: skip
