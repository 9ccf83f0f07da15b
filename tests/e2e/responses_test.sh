#!/bin/sh
# The Responses API and Azure behind the chat surface.
exec node "$(dirname "$0")/responses.test.js"
