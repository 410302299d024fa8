"""OpenAI's protocol: files, chat completions, responses, batches."""
