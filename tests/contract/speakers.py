"""Every speaker there is: one for each API that callers may speak."""

from tests.contract.anthropic import Anthropic
from tests.contract.completions import Completions
from tests.contract.gemini import Gemini
from tests.contract.ollama import Ollama
from tests.contract.openai import OpenAi
from tests.contract.responses import Responses
from tests.contract.speaking import Speaker

SPEAKERS: list[Speaker] = [OpenAi(), Responses(), Completions(), Anthropic(), Ollama(), Gemini()]
