#!/bin/sh
# Bedrock behind the chat surface: signatures, the event stream, a conversation with tools.
exec node "$(dirname "$0")/bedrock.test.js"
