"""Settings as people have them, and what is written into them."""

from typing import Any

ZED = ("language_models", "openai_compatible", "freeroute")
PROVIDER = {"api_url": "http://127.0.0.1:3000/v1", "available_models": [{"name": "free"}]}
TABLE = {"name": "freeroute", "wire_api": "responses"}
ITEM = {"name": "freeroute", "model": "free", "roles": ["chat", "edit"]}


JSONS = {
    "comments": (
        """\
// Zed settings
{
  "theme": "One Dark", // dark
  /* models */
  "language_models": {
    "ollama": { "api_url": "http://localhost:11434" } // local
  },
  "agent": { "default_model": { "provider": "zed.dev", "model": "x" } }, // mine
  // the end
}
""",
        """\
// Zed settings
{
  "theme": "One Dark", // dark
  /* models */
  "language_models": {
    "ollama": { "api_url": "http://localhost:11434" }, // local
    "openai_compatible": {
      "freeroute": {
        "api_url": "http://127.0.0.1:3000/v1",
        "available_models": [
          {
            "name": "free"
          }
        ]
      }
    }
  },
  "agent": { "default_model": { "provider": "freeroute", "model": "x" } }, // mine
  // the end
}
""",
    ),
    "one line": (
        '{"a": 1}',
        (
            '{"a": 1, "language_models": {"openai_compatible": {"freeroute": {"api_url":'
            ' "http://127.0.0.1:3000/v1", "available_models": [{"name": "free"}]}}},'
            ' "agent": {"default_model": {"provider": "freeroute"}}}'
        ),
    ),
    "tabs and no end of line": (
        '{\n\t"a": {}\n}',
        """\
{
\t"a": {},
\t"language_models": {
\t\t"openai_compatible": {
\t\t\t"freeroute": {
\t\t\t\t"api_url": "http://127.0.0.1:3000/v1",
\t\t\t\t"available_models": [
\t\t\t\t\t{
\t\t\t\t\t\t"name": "free"
\t\t\t\t\t}
\t\t\t\t]
\t\t\t}
\t\t}
\t},
\t"agent": {
\t\t"default_model": {
\t\t\t"provider": "freeroute"
\t\t}
\t}
}""",
    ),
}
VALUES: Any = {ZED: PROVIDER, ("agent", "default_model"): {"provider": "freeroute"}}


TOML = """\
# Codex
model = "gpt-5.5" # mine
notify = [
  "a",
]

# servers
[mcp_servers.docs]
command = "docs"

# last
[profiles]
"""


YAML = """\
# mine
name: My config   # first
models:
  - name: local
    model: llama3  # at home

  # rules follow
rules: []
"""
