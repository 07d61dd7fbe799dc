"""Mirrors the four folders of the product, plus cases/, integration/, browser/ and house/."""
