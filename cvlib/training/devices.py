"""Start Keras and its backend for one run: only when needed, without log messages, and in a clean state."""

from __future__ import annotations

import os

from cvlib.config.schema import Config
from cvlib.runtime import backend, hardware
from cvlib.runtime.quiet import quiet_import

_POLICIES = {"float32": "float32", "bfloat16": "mixed_bfloat16", "float16": "mixed_float16"}


def start(config: Config) -> None:
    """Prepare Keras for `config`: set the precision and the seed, and reset layer names as in a new process."""
    import_quietly()
    import keras

    keras.utils.clear_session()
    keras.config.set_dtype_policy(_POLICIES[hardware.precision(config.trainer.precision, config.model.depthwise)])
    keras.utils.set_random_seed(config.seed)
    if config.trainer.deterministic and backend.name() == "tensorflow":  # JAX is deterministic on a CPU
        import tensorflow

        tensorflow.config.experimental.enable_op_determinism()


def import_quietly(devices: bool = True) -> None:
    """Import Keras, and TensorFlow if it is installed, without the start-up messages of TensorFlow's C++ code.

    Without `devices`, TensorFlow's runtime isn't started, so that a forked process can start its own. Settings of Keras
    that the user's machine may have, such as `channels_first`, are set to their defaults.
    """
    backend.check()
    os.environ["TF_USE_LEGACY_KERAS"] = "0"  # otherwise TensorFlow needs the package of Keras 2
    with quiet_import():
        import keras

        if backend.has_tensorflow():
            import tensorflow

            tensorflow.get_logger().setLevel("ERROR")  # it warns of retracing if a process trains several networks
            if devices:
                tensorflow.config.list_physical_devices()
                if backend.name() == "jax":  # TensorFlow only reads the images, and would take all memory of a GPU
                    tensorflow.config.set_visible_devices([], "GPU")
    # The user's own file of settings must not change a run.
    keras.config.set_image_data_format("channels_last")
    keras.config.set_floatx("float32")
    keras.config.set_epsilon(1e-7)


def import_frameworks() -> None:
    """Import Keras and TensorFlow before a fork: `import_quietly` without devices."""
    import_quietly(devices=False)
