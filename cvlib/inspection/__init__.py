"""What a network is made of, what it sees, and what it looks for: functions of a Keras model and an array."""
