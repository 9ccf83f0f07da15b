#!/bin/sh
# What on_error asks for after a failure: next, retry, another model, stop.
exec node "$(dirname "$0")/acts.test.js"
