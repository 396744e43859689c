"""Text in cells: lines, grids, sparklines, quantities, and sentences for events."""
