#!/bin/sh
# Predictions that are waited for, asked for again and streamed.
exec node "$(dirname "$0")/replicate.test.js"
