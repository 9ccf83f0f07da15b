#!/bin/sh
# SSE comments: signs of life before the first output and in a silent stream.
exec node "$(dirname "$0")/comments.test.js"
