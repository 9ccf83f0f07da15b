#!/bin/sh
# The AI SDK with the OpenRouter provider.
exec node "$(dirname "$0")/clients_ai.test.js"
