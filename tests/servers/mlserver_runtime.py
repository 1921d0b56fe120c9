"""MLServer around onnxruntime: the Open Inference Protocol over HTTP and gRPC."""
import onnxruntime
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse


class Onnx(MLModel):
    async def load(self) -> bool:
        self.session = onnxruntime.InferenceSession(self.settings.parameters.uri)
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        inputs = {i.name: NumpyCodec.decode_input(i) for i in payload.inputs}
        outputs = self.session.run(None, inputs)
        names = [o.name for o in self.session.get_outputs()]
        encoded = [NumpyCodec.encode_output(n, v) for n, v in zip(names, outputs)]
        return InferenceResponse(model_name=self.name, outputs=encoded)
