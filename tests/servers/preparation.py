"""A JPEG file into what image.onnx takes."""
import io

import numpy as np
from PIL import Image

MEAN = np.array([0.485, 0.456, 0.406], dtype=np.float32)
DEVIATION = np.array([0.229, 0.224, 0.225], dtype=np.float32)


def prepare(data):
    image = Image.open(io.BytesIO(data)).convert("RGB").resize((224, 224), Image.Resampling.BILINEAR)
    x = (np.asarray(image, dtype=np.float32) / 255 - MEAN) / DEVIATION
    return x.transpose(2, 0, 1)[None]
