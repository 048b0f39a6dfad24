"""What is frozen and when, where weights come from, and cached features."""
