"""Parts that several heads share."""
