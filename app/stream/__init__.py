"""Live scoring: from a folder of arriving files to recommendation lists."""
