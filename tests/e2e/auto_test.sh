#!/bin/sh
# openrouter/auto: who is chosen, by what, within which restrictions.
exec node "$(dirname "$0")/auto.test.js"
