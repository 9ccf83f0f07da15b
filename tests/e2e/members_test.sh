#!/bin/sh
# Every member of a chat completion request: judged, and carried to an upstream of the same dialect.
exec node "$(dirname "$0")/members.test.js"
