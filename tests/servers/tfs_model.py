"""small.onnx as a SavedModel of TensorFlow, from its weights: tfs_model.py small.npz FOLDER."""
import sys

import numpy as np
import tensorflow as tf

weights = np.load(sys.argv[1])


class Small(tf.Module):
    def __init__(self):
        # ONNX: out, in, height, width; TensorFlow: height, width, in, out.
        self.w1 = tf.Variable(weights["w1"].transpose(2, 3, 1, 0))
        self.w2 = tf.Variable(weights["w2"].transpose(2, 3, 1, 0))
        self.w3 = tf.Variable(weights["w3"].T)

    @tf.function(input_signature=[tf.TensorSpec([None, 3, 32, 32], tf.float32, name="x")])
    def serve(self, x):
        padding = [[0, 0], [1, 1], [1, 1], [0, 0]]
        x = tf.transpose(x, [0, 2, 3, 1])
        x = tf.nn.relu(tf.nn.conv2d(x, self.w1, strides=2, padding=padding))
        x = tf.nn.relu(tf.nn.conv2d(x, self.w2, strides=2, padding=padding))
        return {"y": tf.reduce_mean(x, [1, 2]) @ self.w3}


model = Small()
tf.saved_model.save(model, sys.argv[2], signatures={"serving_default": model.serve})
