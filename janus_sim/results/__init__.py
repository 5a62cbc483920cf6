"""What a run tells: metrics, tables and figures, computed from its record alone."""
