#!/bin/sh
# @openrouter/sdk, its schemas as the judge.
exec node "$(dirname "$0")/clients_openrouter.test.js"
