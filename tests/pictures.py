"""How far two pictures are apart, whatever the version of matplotlib that drew them."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageFilter

#: Of 255; other versions shade edges a little differently, and move lines by less than a pixel.
SLIGHT = 5.0


def difference(one: Image.Image, other: Image.Image, background: str) -> float:
    """Return the mean difference of two blurred pictures of one size, of 255, where they are not background."""
    blur = ImageFilter.GaussianBlur(2)
    pixels = [np.asarray(each.convert("RGB").filter(blur), np.int16) for each in (one, other)]
    ground = np.array(list(bytes.fromhex(background[1:])), np.int16)
    is_drawn = (np.abs(pixels[0] - ground).max(axis=2) > 8) | (np.abs(pixels[1] - ground).max(axis=2) > 8)
    return float(np.abs(pixels[0] - pixels[1])[is_drawn].mean())
