"""Operations of TensorFlow that tf2onnx doesn't know."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np


@functools.cache
def register() -> None:
    """Teach tf2onnx the operation Erfc, the complementary error function.

    TensorFlow computes GELU with it, which transformers and ConvNeXt use.
    """
    from tf2onnx import utils
    from tf2onnx.handler import tf_op

    def erfc(ctx: Any, node: Any, **_: Any) -> None:
        """Replace the node by 1 − Erf(x)."""
        shapes, dtypes = node.output_shapes, node.output_dtypes
        number = np.ones((), utils.map_onnx_to_numpy_type(dtypes[0]))
        one = ctx.make_const(utils.make_name("one"), number).output[0]
        erf = ctx.make_node("Erf", [node.input[0]], shapes=shapes, dtypes=dtypes).output[0]
        ctx.remove_node(node.name)
        ctx.make_node("Sub", [one, erf], name=node.name, outputs=node.output, shapes=shapes, dtypes=dtypes)

    tf_op("Erfc").register_compat_handler(erfc, 9)  # ONNX has Erf since operator set 9
