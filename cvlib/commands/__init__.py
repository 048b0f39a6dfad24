"""The subcommands of `cvlib`, a file each: `add(commands)` declares it; TensorFlow is imported when it computes."""
