#!/bin/sh
# The openai package, each major.
exec node "$(dirname "$0")/clients_openai.test.js"
