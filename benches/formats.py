#!/usr/bin/env python3
"""One network in every format: the same multiply-accumulates in each file.

    pip install tensorflow-cpu==2.21.0 tf_keras==2.21.0 keras==3.15.1 tf2onnx==1.17.0
    python benches/formats.py make FOLDER [NAME ...]
    python benches/formats.py table target/release/rooflens FOLDER

`make` builds networks with random weights in Keras 3 and in Keras 2 (`tf_keras`) and saves each as ONNX, SavedModel,
frozen graph, `.keras`, `.h5` of both, and TFLite in float, with dynamic range and in eight bits. `table` counts
each file at a batch of one and prints a Markdown table: MACs, and where a file differs, by how much. Exit code 1
where a file is not read whole, or where a difference has no reason in `REASONS`.
"""
import argparse
import json
import os
import pathlib
import shutil
import subprocess
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

IMAGES = {
    "MobileNetV2": 224,
    "MobileNetV3Small": 224,
    "EfficientNetB0": 224,
    "DenseNet121": 224,
    "NASNetMobile": 224,
    "ResNet50": 224,
    "InceptionV3": 299,
    "Xception": 299,
}
OTHERS = ["unet", "speech_gru", "text_lstm", "text_transformer"]
FORMATS = ["onnx", "savedmodel", "frozen.pb", "keras", "keras3.h5", "keras2.h5", "float.tflite", "dynamic.tflite",
           "int8.tflite"]
# Why a file of a network may differ from the others, by network and format.
REASONS = {}


def image(keras, name, size):
    return getattr(keras.applications, name)(weights=None, input_shape=(size, size, 3))


def unet(keras):
    layers = keras.layers
    x = inputs = keras.Input((128, 128, 3))
    skips = []
    for width in (16, 32, 64):
        x = layers.Conv2D(width, 3, padding="same", activation="relu")(x)
        x = layers.BatchNormalization()(x)
        skips.append(x)
        x = layers.MaxPooling2D()(x)
    x = layers.Conv2D(128, 3, padding="same", dilation_rate=2, activation="relu")(x)
    for width, skip in zip((64, 32, 16), reversed(skips)):
        x = layers.Conv2DTranspose(width, 3, strides=2, padding="same")(x)
        x = layers.Concatenate()([x, skip])
        x = layers.SeparableConv2D(width, 3, padding="same", activation="relu")(x)
    return keras.Model(inputs, layers.Conv2D(5, 1, activation="softmax")(x))


def speech_gru(keras):
    layers = keras.layers
    inputs = keras.Input((98, 40))
    x = layers.Conv1D(32, 5, strides=2, padding="same", activation="relu")(inputs)
    x = layers.Bidirectional(layers.GRU(48, return_sequences=True))(x)
    x = layers.GRU(32)(x)
    return keras.Model(inputs, layers.Dense(12, activation="softmax")(x))


def text_lstm(keras):
    layers = keras.layers
    inputs = keras.Input((64,), dtype="int32")
    x = layers.Embedding(5000, 64)(inputs)
    x = layers.LSTM(64, return_sequences=True)(x)
    x = layers.LSTM(64)(x)
    return keras.Model(inputs, layers.Dense(5)(x))


def text_transformer(keras):
    layers = keras.layers
    inputs = keras.Input((32,), dtype="int32")
    x = layers.Embedding(2000, 96)(inputs)
    for _ in range(2):
        y = layers.MultiHeadAttention(4, 24)(x, x)
        x = layers.LayerNormalization()(layers.Add()([x, y]))
        y = layers.Dense(96)(layers.Dense(192, activation="relu")(x))
        x = layers.LayerNormalization()(layers.Add()([x, y]))
    x = layers.GlobalAveragePooling1D()(x)
    return keras.Model(inputs, layers.Dense(4)(x))


def build(keras, name):
    if name in IMAGES:
        return image(keras, name, IMAGES[name])
    return globals()[name](keras)


def make(folder, name):
    import keras
    import numpy as np
    import tensorflow as tf
    import tf_keras
    from tensorflow.python.framework import convert_to_constants

    folder.mkdir(parents=True, exist_ok=True)
    model = build(keras, name)
    model.save(folder / f"{name}.keras")
    model.save(folder / f"{name}.keras3.h5")
    shutil.rmtree(folder / f"{name}.savedmodel", ignore_errors=True)
    model.export(folder / f"{name}.savedmodel", verbose=False)
    old = build(tf_keras, name)
    old.save(folder / f"{name}.keras2.h5")

    specs = [tf.TensorSpec([1, *x.shape[1:]], x.dtype, name="x") for x in model.inputs]
    call = tf.function(lambda x: model(x, training=False)).get_concrete_function(*specs)
    # The converter wants whole loops, and variables as constants.
    constant = convert_to_constants.convert_variables_to_constants_v2(call, lower_control_flow=False)
    frozen = convert_to_constants.convert_variables_to_constants_v2(call)
    (folder / f"{name}.frozen.pb").write_bytes(frozen.graph.as_graph_def().SerializeToString())

    def examples():
        rng = np.random.default_rng(1)
        for _ in range(2):
            x = rng.random(specs[0].shape) * (1 if specs[0].dtype.is_floating else 1000)
            yield [x.astype(specs[0].dtype.as_numpy_dtype)]

    for kind in ("float", "dynamic", "int8"):
        converter = tf.lite.TFLiteConverter.from_concrete_functions([constant])
        if kind != "float":
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if kind == "int8":
            converter.representative_dataset = examples
        try:
            (folder / f"{name}.{kind}.tflite").write_bytes(converter.convert())
        except Exception as error:  # The converter refuses some networks in eight bits.
            print(f"{name}.{kind}.tflite: {str(error).splitlines()[0][:120]}", file=sys.stderr)
    try:
        import tf2onnx

        tf2onnx.convert.from_function(tf.function(lambda x: model(x, training=False)), input_signature=specs,
                                      opset=17, output_path=str(folder / f"{name}.onnx"))
    except Exception as error:
        print(f"{name}.onnx: {str(error).splitlines()[0][:120]}", file=sys.stderr)


def analyzed(rooflens, path):
    for batch in (["--batch", "1"], []):
        run = subprocess.run([rooflens, "analyze", str(path), "--format", "json", *batch], capture_output=True, text=True)
        if run.returncode == 0:
            return json.loads(run.stdout), ""
    return None, run.stderr.strip().splitlines()[0]


def table(rooflens, folder):
    print("| network | " + " | ".join(FORMATS) + " |\n| --- |" + " ---: |" * len(FORMATS))
    wrong = 0
    for name in [*IMAGES, *OTHERS]:
        cells, due = [], None
        for form in FORMATS:
            path = folder / f"{name}.{form}"
            if not path.exists():
                cells.append("–")
                continue
            report, error = analyzed(rooflens, path)
            if report is None:
                wrong += 1
                cells.append("refused")
                print(f"{path.name}: {error}", file=sys.stderr)
                continue
            macs, coverage = report["totals"]["macs"], report["coverage"]["percent"]
            due = due or macs
            reason = REASONS.get((name, form))
            if coverage != 100.0 or (macs != due and reason is None):
                wrong += 1
                print(f"{path.name}: MACs {macs}, others {due}, coverage {coverage} %", file=sys.stderr)
            cells.append(f"{macs:,}" if macs == due else f"{macs:,} ({reason})")
        print(f"| {name} | " + " | ".join(cells) + " |")
    return wrong


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("command", choices=["make", "table"])
    parser.add_argument("arguments", nargs="+")
    given = parser.parse_args()
    if given.command == "table":
        binary, folder = given.arguments
        sys.exit(1 if table(binary, pathlib.Path(folder)) else 0)
    folder, *names = given.arguments
    if len(names) == 1:
        make(pathlib.Path(folder), names[0])
        return
    for name in names or [*IMAGES, *OTHERS]:
        # A process each: what one network leaves in memory is not the next one's.
        subprocess.run([sys.executable, __file__, "make", folder, name], check=False)


main()
