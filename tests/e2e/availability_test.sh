#!/bin/sh
# What a client is told when nothing can answer: codes, and what to do about it.
exec node "$(dirname "$0")/availability.test.js"
