"""Gemini's protocol: files, generateContent, batches."""
