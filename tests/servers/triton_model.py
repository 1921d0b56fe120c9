"""Triton's python backend around onnxruntime; requests that Triton put in one batch run as one."""
import os
import sys

# The embedded Python does not read PYTHONPATH.
sys.path.append(os.environ["PACKAGES"])

import numpy as np
import onnxruntime
import triton_python_backend_utils as triton


class TritonPythonModel:
    def initialize(self, args):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(os.environ["MODEL"], options)

    def execute(self, requests):
        inputs = [triton.get_input_tensor_by_name(r, "x").as_numpy() for r in requests]
        y = self.session.run(None, {"x": np.concatenate(inputs)})[0]
        ends = np.cumsum([len(x) for x in inputs])[:-1]
        parts = (triton.Tensor("y", part) for part in np.split(y, ends))
        return [triton.InferenceResponse([part]) for part in parts]
