"""Operations that cvlib adds to tf2onnx compute the same in ONNX Runtime."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import special

from cvlib.export import onnx_operations


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_complementary_error_function_is_exported() -> None:
    import onnxruntime
    import tensorflow as tf
    import tf2onnx

    onnx_operations.register()
    signature = [tf.TensorSpec((None, 3), tf.float32, name="x")]
    function = tf.function(lambda x: tf.math.erfc(x), input_signature=signature)
    proto, _ = tf2onnx.convert.from_function(function, signature, opset=17)
    session = onnxruntime.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    x = np.array([[-3, -0.5, 0], [0.2, 1, 4]], np.float32)
    (found,) = session.run(None, {"x": x})
    np.testing.assert_allclose(found, special.erfc(x), atol=1e-6)
