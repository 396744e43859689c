"""Text for people: banners, tables, numbers, sentences."""
