#!/bin/sh
# The chat surface over HTTP.
exec node "$(dirname "$0")/chat.test.js"
