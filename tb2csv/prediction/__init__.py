"""Predictions of models as tables: files of several frameworks and live models in, CSV tables and images out."""
