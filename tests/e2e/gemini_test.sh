#!/bin/sh
# The chat surface over an upstream that speaks Gemini.
exec node "$(dirname "$0")/gemini.test.js"
