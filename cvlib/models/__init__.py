"""Networks: backbones and heads as declarations, the one builder that joins them, and saved ones restored."""
