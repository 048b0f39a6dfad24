"""Pictures and text tables for people."""
