"""Networks: declarations of backbones and heads, the builder that joins them, and restoring of saved networks."""
