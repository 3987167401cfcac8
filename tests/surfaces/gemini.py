"""What tests say to Gemini's API, and what it hears of a provider."""

HI = {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]}
PNG = "iVBORw0KGgoAAAANSUhEUg=="
USAGE = (
    b'{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":5,"total_tokens":8,'
    b'"completion_tokens_details":{"reasoning_tokens":2},"prompt_tokens_details":{"cached_tokens":1}}}'
)
STOP = b'{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}'
